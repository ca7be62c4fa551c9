//! The line editor of a terminal: history in a file of the user's, completion of commands and functions.

use super::PROMPT;
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{Context, Helper};
use std::path::PathBuf;

/// An editor; it keeps its history when it goes.
pub(crate) struct Editor {
    editor: rustyline::Editor<Words, FileHistory>,
    history: Option<PathBuf>,
}

impl Editor {
    /// None where the terminal cannot be edited on.
    pub(super) fn open(words: Vec<String>) -> Option<Editor> {
        let mut editor = rustyline::Editor::new().ok()?;
        editor.set_helper(Some(Words(words)));
        let history = history();
        if let Some(history) = &history {
            // The first time there is none.
            let _ = editor.load_history(history);
        }
        Some(Editor { editor, history })
    }

    pub(super) fn next(&mut self) -> Result<Option<String>, ReadlineError> {
        loop {
            match self.editor.readline(PROMPT) {
                Ok(line) => {
                    let _ = self.editor.add_history_entry(&line);
                    return Ok(Some(line));
                }
                // Ctrl-C gives the line up, Ctrl-D ends.
                Err(ReadlineError::Interrupted) => {}
                Err(ReadlineError::Eof) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        if let Some(history) = &self.history {
            // A history that cannot be kept is no reason to fail.
            let _ = history.parent().map(std::fs::create_dir_all);
            let _ = self.editor.save_history(history);
        }
    }
}

/// `$XDG_STATE_HOME/mini-wasm/repl.history`, by default under `~/.local/state`.
fn history() -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")))?;
    Some(state.join("mini-wasm/repl.history"))
}

/// What can be completed.
struct Words(Vec<String>);

impl Completer for Words {
    type Candidate = String;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let typed = &line[..at];
        // Only a name is completed, and that stands first.
        let (from, begun) = match typed.split_once(' ') {
            Some((":type", rest)) => (at - rest.len(), rest),
            _ => (0, typed),
        };
        let completed = self.0.iter().filter(|word| word.starts_with(begun)).cloned();
        Ok((from, completed.collect()))
    }
}

impl Hinter for Words {
    type Hint = String;
}
impl Highlighter for Words {}
impl Validator for Words {}
impl Helper for Words {}
