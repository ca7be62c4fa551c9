//! The directives of a script: one table (name in a script, what kind of work proves it), and where they stand.
//!
//! The script language is the reference interpreter's ("Scripts" in its README); the reader is the crate `wast`.
//! This file knows no engine.

use wast::{WastDirective, token::Span};

/// What it takes to decide a directive. Reports keep the two sorts of assertion apart: a validator alone answers the
/// static ones, so they say nothing about an engine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// Makes or names something that later directives use.
    Setup,
    /// An assertion that needs guest code to run, or to be linked.
    Engine,
    /// An assertion that reading and validation decide.
    Static,
}

macro_rules! directives {
    ($($kind:ident $name:literal $class:ident $pattern:pat,)*) => {
        /// The kinds of directive.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[allow(missing_docs, reason = "each is a word of the script language")]
        pub enum Kind { $($kind,)* }

        impl Kind {
            /// Every kind, in table order.
            pub const ALL: &'static [Kind] = &[$(Kind::$kind,)*];

            /// The word in a script.
            pub const fn name(self) -> &'static str {
                match self { $(Kind::$kind => $name,)* }
            }

            /// What it takes to decide it.
            pub const fn class(self) -> Class {
                match self { $(Kind::$kind => Class::$class,)* }
            }

            pub(crate) fn of(directive: &WastDirective<'_>) -> Kind {
                match directive { $($pattern => Kind::$kind,)* }
            }
        }
    };
}
directives! {
    Module "module" Setup WastDirective::Module(_),
    Definition "definition" Setup WastDirective::ModuleDefinition(_),
    Instance "instance" Setup WastDirective::ModuleInstance { .. },
    Register "register" Setup WastDirective::Register { .. },
    Invoke "invoke" Setup WastDirective::Invoke(_),
    Thread "thread" Setup WastDirective::Thread(_),
    Wait "wait" Setup WastDirective::Wait { .. },
    Return "assert_return" Engine WastDirective::AssertReturn { .. },
    Trap "assert_trap" Engine WastDirective::AssertTrap { .. },
    Exhaustion "assert_exhaustion" Engine WastDirective::AssertExhaustion { .. },
    Unlinkable "assert_unlinkable" Engine WastDirective::AssertUnlinkable { .. },
    Exception "assert_exception" Engine WastDirective::AssertException { .. },
    Suspension "assert_suspension" Engine WastDirective::AssertSuspension { .. },
    Invalid "assert_invalid" Static WastDirective::AssertInvalid { .. },
    Malformed "assert_malformed" Static WastDirective::AssertMalformed { .. },
    InvalidCustom "assert_invalid_custom" Static WastDirective::AssertInvalidCustom { .. },
    MalformedCustom "assert_malformed_custom" Static WastDirective::AssertMalformedCustom { .. },
}

/// Lines of a text by byte offset, found once: scripts have tens of thousands of directives.
pub(crate) struct Lines {
    starts: Vec<usize>,
}

impl Lines {
    pub(crate) fn new(text: &str) -> Lines {
        let ends = text.bytes().enumerate().filter(|&(_, byte)| byte == b'\n').map(|(at, _)| at + 1);
        Lines { starts: std::iter::once(0).chain(ends).collect() }
    }

    /// The line of a span, counted from 1.
    pub(crate) fn line(&self, span: Span) -> u32 {
        self.starts.partition_point(|&start| start <= span.offset()) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_from_one_and_begin_after_the_line_feed() {
        let lines = Lines::new("a\nbc\n\nd");
        let at = |offset| lines.line(Span::from_offset(offset));
        assert_eq!([at(0), at(1), at(2), at(4), at(5), at(6)], [1, 1, 2, 2, 3, 4]);
    }

    #[test]
    fn every_kind_has_its_own_word() {
        let mut names: Vec<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Kind::ALL.len());
    }
}
