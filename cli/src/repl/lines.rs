//! Where the lines come from: an editor with history and completion at a terminal, else standard input as it is.

#[cfg(feature = "tools")]
mod editor;

use crate::failure::Failure;
#[cfg(feature = "tools")]
use editor::Editor;
use std::io::{BufRead, IsTerminal};

/// Lines, one after the other.
pub(crate) enum Lines {
    #[cfg(feature = "tools")]
    Editor(Box<Editor>),
    Plain {
        is_terminal: bool,
    },
}

impl Lines {
    /// `words` are what can be completed.
    pub(crate) fn open(words: Vec<String>) -> Lines {
        let is_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
        #[cfg(feature = "tools")]
        if is_terminal && let Some(editor) = Editor::open(words) {
            return Lines::Editor(Box::new(editor));
        }
        #[cfg(not(feature = "tools"))]
        drop(words);
        Lines::Plain { is_terminal }
    }

    /// Whether somebody types them.
    pub(crate) fn is_terminal(&self) -> bool {
        match self {
            #[cfg(feature = "tools")]
            Lines::Editor(_) => true,
            Lines::Plain { is_terminal } => *is_terminal,
        }
    }

    /// The next line; none at the end.
    pub(crate) fn next(&mut self) -> Result<Option<String>, Failure> {
        let broken = |error: &dyn std::fmt::Display| Failure::Other(format!("cannot read a line: {error}"));
        match self {
            #[cfg(feature = "tools")]
            Lines::Editor(editor) => editor.next().map_err(|error| broken(&error)),
            Lines::Plain { is_terminal } => {
                if *is_terminal {
                    crate::output::print(PROMPT)?;
                }
                let mut line = String::new();
                match std::io::stdin().lock().read_line(&mut line) {
                    Ok(0) => Ok(None),
                    Ok(_) => Ok(Some(line)),
                    Err(error) => Err(broken(&error)),
                }
            }
        }
    }
}

const PROMPT: &str = "> ";
