//! Text to binary (core specification 6 "Text Format", and the component model's Explainer.md), as scripts and commands read it.
//!
//! References to core items in canonical definitions were written without `core` until 2026: `(realloc (func $f))`,
//! `(memory $instance "memory")`. The crate `wast` reads that only if a variable of the environment says so, once for the whole
//! process. Here such text is put into today's form instead, token by token, and only after it could not be read as it stands.

use std::fmt;
use wast::lexer::{LexError, Lexer, TokenKind};
use wast::parser::{self, ParseBuffer};

/// Why text is none, and where.
#[derive(Debug)]
pub struct TextError {
    /// What is wrong.
    pub message: String,
    /// Where in the text: a count of bytes.
    pub offset: usize,
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at byte {})", self.message, self.offset)
    }
}

impl std::error::Error for TextError {}

/// The binary of a module or component.
///
/// # Errors
/// The text does not parse, or names what is not there.
pub fn binary(text: &str) -> Result<Vec<u8>, TextError> {
    match encode(text) {
        Ok(binary) => Ok(binary),
        Err(error) => match Modern::of(text) {
            None => Err(TextError { message: error.message(), offset: error.span().offset() }),
            Some(modern) => encode(&modern.text).map_err(|error| TextError {
                message: error.message(),
                offset: modern.offset_before(error.span().offset()),
            }),
        },
    }
}

fn encode(text: &str) -> Result<Vec<u8>, wast::Error> {
    let buffer = ParseBuffer::new(text)?;
    parser::parse::<wast::Wat<'_>>(&buffer)?.encode()
}

/// Whether text begins like that of WebAssembly: with an opening bracket, after blanks and comments. `None` if nothing but those is
/// there, so that what comes next would tell.
pub fn begins_like_text(text: &str) -> Option<bool> {
    let mut lexer = Lexer::new(text);
    // Whether it may be there is for the parser to say.
    lexer.allow_confusing_unicode(true);
    for token in lexer.iter(0) {
        match token {
            Ok(token) if is_blank(token.kind) => {}
            Ok(token) => return Some(token.kind == TokenKind::LParen),
            Err(error) => {
                let is_open = matches!(error.lex_error(), Some(LexError::DanglingBlockComment));
                return if is_open { None } else { Some(false) };
            }
        }
    }
    None
}

fn is_blank(kind: TokenKind) -> bool {
    matches!(kind, TokenKind::Whitespace | TokenKind::LineComment | TokenKind::BlockComment)
}

/// Text in today's form that was in the older one.
pub(crate) struct Modern {
    pub(crate) text: String,
    /// Where something was put in, in the old text, and how many bytes.
    added: Vec<(usize, usize)>,
}

impl Modern {
    /// `None` if there is nothing of the older form in it.
    pub(crate) fn of(text: &str) -> Option<Modern> {
        let mut lexer = Lexer::new(text);
        lexer.allow_confusing_unicode(true);
        let mut tokens = Vec::new();
        for token in lexer.iter(0) {
            // What cannot be read to its end cannot be put right either.
            let token = token.ok()?;
            if !is_blank(token.kind) {
                tokens.push((token.kind, token.offset, token.src(text)));
            }
        }
        let mut added: Vec<(usize, &str)> = Vec::new();
        for at in 0..tokens.len() {
            match tokens[at..] {
                // `(memory $i "name")` -> `(memory (core memory $i "name"))`
                [
                    (TokenKind::LParen, ..),
                    (TokenKind::Keyword, _, "memory"),
                    (TokenKind::Id | TokenKind::Integer(_), index, _),
                    (TokenKind::String, ..),
                    (TokenKind::RParen, end, _),
                    ..,
                ] => added.extend([(index, "(core memory "), (end, ")")]),
                // `(realloc (func $f))` -> `(realloc (core func $f))`
                [
                    (TokenKind::LParen, ..),
                    (TokenKind::Keyword, _, "realloc" | "post-return" | "callback" | "core-type" | "dtor"),
                    (TokenKind::LParen, ..),
                    (TokenKind::Keyword, sort, "func" | "type"),
                    ..,
                ] => added.push((sort, "core ")),
                // `thread.new-indirect $type (table $t)` -> `... (core table $t)`
                [(TokenKind::Keyword, _, "thread.new-indirect" | "thread.spawn-indirect"), ..] => {
                    let mut depth = 0usize;
                    let after = tokens[at + 1..].iter().position(|(kind, ..)| {
                        match kind {
                            TokenKind::LParen => depth += 1,
                            TokenKind::RParen => depth = depth.saturating_sub(1),
                            _ => {}
                        }
                        depth == 0
                    });
                    let after = after.map_or(tokens.len(), |after| at + 2 + after);
                    if let Some([(TokenKind::LParen, ..), (TokenKind::Keyword, sort, "table"), ..]) =
                        tokens.get(after..)
                    {
                        added.push((*sort, "core "));
                    }
                }
                _ => {}
            }
        }
        if added.is_empty() {
            return None;
        }
        let mut modern = String::with_capacity(text.len() + 13 * added.len());
        let mut from = 0;
        for (at, what) in &added {
            modern += &text[from..*at];
            modern += what;
            from = *at;
        }
        modern += &text[from..];
        let added = added.into_iter().map(|(at, what)| (at, what.len())).collect();
        Some(Modern { text: modern, added })
    }

    /// Where in the old text something of the new one stands.
    pub(crate) fn offset_before(&self, offset: usize) -> usize {
        let mut shift = 0;
        for (at, length) in &self.added {
            if at + shift >= offset {
                break;
            }
            shift += length.min(&(offset - at - shift));
        }
        offset - shift
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPONENT: &str = r#"(component
        (core module $m
            (memory (export "memory") 1)
            (table (export "table") 1 funcref)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0))
            (func (export "post") (param i32))
            (func (export "dtor") (param i32))
            (func (export "f") (param i32 i32) (result i32) (i32.const 0)))
        (core instance $m (instantiate $m))
        (type $r (resource (rep i32) (dtor CORE-func $m "dtor"))))
        (func (export "f") (param "s" string) (result string)
            (canon lift (core func $m "f") MEMORY (realloc CORE-func $m "realloc"))
                (post-return CORE-func $m "post")))))"#;

    fn old() -> String {
        COMPONENT.replace("CORE-", "(").replace("MEMORY", r#"(memory (; as it was ;) $m "memory")"#)
    }

    #[test]
    fn the_older_form_of_references_gives_the_same_binary() {
        let new = COMPONENT.replace("CORE-", "(core ");
        let new = new.replace("MEMORY", r#"(memory (core memory $m "memory"))"#);
        assert!(Modern::of(&new).is_none());
        assert_eq!(binary(&old()).unwrap(), binary(&new).unwrap());
    }

    #[test]
    fn the_table_of_new_threads_is_put_right_behind_either_form_of_type() {
        for (old, new) in [
            (
                "(canon thread.new-indirect $t (table $i \"t\"))",
                "(canon thread.new-indirect $t (core table $i \"t\"))",
            ),
            (
                "(canon thread.spawn-indirect (core type $t) (table 0))",
                "(canon thread.spawn-indirect (core type $t) (core table 0))",
            ),
        ] {
            assert_eq!(Modern::of(old).unwrap().text, new);
            assert!(Modern::of(new).is_none());
        }
    }

    #[test]
    fn what_is_wrong_in_older_text_is_told_where_it_stands() {
        let wrong = old().replace("\"s\" string", "\"s\" strung");
        let error = binary(&wrong).unwrap_err();
        assert_eq!(&wrong[error.offset..][..6], "strung", "{error}");
        let wrong = old().replace("$m \"post\"", "$n \"post\"");
        let error = binary(&wrong).unwrap_err();
        assert_eq!(&wrong[error.offset..][..2], "$n", "{error}");
    }

    #[test]
    fn text_begins_with_a_bracket() {
        for text in ["(module)", " ;; a\n(; b ;) (component)"] {
            assert_eq!(begins_like_text(text), Some(true), "{text}");
        }
        for text in ["module", "{}", "y\ny\n", "\u{1b}(", "\0\0"] {
            assert_eq!(begins_like_text(text), Some(false), "{text}");
        }
        for text in ["", ";; only", "  (; not at its end"] {
            assert_eq!(begins_like_text(text), None, "{text}");
        }
    }
}
