//! Traps: what a guest can do wrong while it runs (core specification 4.2 "Runtime structure", Appendix "Soundness").
//!
//! One table: the code that native code and the interpreter use, and the words that the official suites expect.
//! A trap is always the guest's fault (or the end of a budget that it was given). A fault of the engine is a panic that
//! begins with "crash: ".

/// Hands the table of traps to the macro `$m`: variant, message.
#[macro_export]
macro_rules! for_each_trap {
    ($m:ident) => {
        $m! {
            Unreachable "wasm `unreachable` instruction executed";
            MemoryOutOfBounds "out of bounds memory access";
            TableOutOfBounds "out of bounds table access";
            UndefinedElement "undefined element";
            UninitializedElement "uninitialized element";
            IndirectCallTypeMismatch "indirect call type mismatch";
            IntegerDivideByZero "integer divide by zero";
            IntegerOverflow "integer overflow";
            InvalidConversionToInteger "invalid conversion to integer";
            NullReference "null reference";
            StackOverflow "call stack exhausted";
            OutOfFuel "all fuel consumed";
            Interrupted "deadline reached";
            UnalignedAtomic "unaligned atomic";
            NullFunctionReference "null function reference";
            NullStructReference "null structure reference";
            NullArrayReference "null array reference";
            NullI31Reference "null i31 reference";
            NullDescriptorReference "null descriptor reference";
            DescriptorCastFailure "descriptor cast failure";
            ArrayOutOfBounds "out of bounds array access";
            CastFailure "cast failure";
            UnhandledException "unhandled exception";
            OutOfMemory "allocation size too large";
            GcHeapOutOfMemory "GC heap out of memory";
            NullContinuation "null continuation reference";
            ContinuationConsumed "continuation already consumed";
            UnhandledTag "unhandled tag";
            TooManyContinuations "too many continuations";
            MissingImport "import that is not linked was called";
            CannotLeaveComponent "cannot leave component instance";
            CannotEnterComponent "cannot enter component instance";
            CanonicalAbi "canonical ABI violated";
            ExpectedSharedMemory "expected shared memory";
            HostFunction "a rule of a host function was broken";
        }
    };
}

macro_rules! trap_enum {
    ($($name:ident $text:literal;)*) => {
        /// A trap. Displays as the official suites word it.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
        #[repr(u8)]
        #[allow(missing_docs, reason = "each variant is worded by its message")]
        pub enum Trap { $($name,)* }

        impl Trap {
            /// Every trap, in table order; the index is the code minus one.
            pub const ALL: &'static [Trap] = &[$(Trap::$name,)*];

            /// The words of the official suites.
            pub const fn message(self) -> &'static str {
                match self { $(Trap::$name => $text,)* }
            }
        }
    };
}
for_each_trap!(trap_enum);

impl Trap {
    /// The code that guest code and status words carry: never 0.
    pub const fn code(self) -> u8 {
        self as u8 + 1
    }

    /// The trap of a code; `None` for 0 and for codes that name none.
    pub fn from_code(code: u8) -> Option<Trap> {
        Trap::ALL.get(usize::from(code).checked_sub(1)?).copied()
    }
}

impl core::fmt::Display for Trap {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.message())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_leads_back_to_its_trap() {
        for &trap in Trap::ALL {
            assert_eq!(Trap::from_code(trap.code()), Some(trap));
        }
        assert_eq!(Trap::from_code(0), None);
        assert_eq!(Trap::from_code(Trap::ALL.len() as u8 + 1), None);
    }
}
