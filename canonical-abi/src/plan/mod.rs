//! A call between two components as data: what `canon lower` of the caller joined to `canon lift` of the callee does to the
//! values, as one flat list of steps (CanonicalABI.md "Lifting" and "Lowering", fused).
//!
//! A plan is made once, where the function type and the options of both sides are known ([`Plan::new`]), and run at each call
//! ([`Plan::run`]) without any value of the host's own: slots to slots, memory to memory. Both sides have the same type, so what
//! goes flat on one side goes flat on the other, in the same slots. What an observer in either component sees is what lifting
//! everything and then lowering everything gives: the same bytes, the same calls of `realloc` with the same arguments, the same
//! handles, and a trap where that traps. A trap may come after calls of `realloc` that it would have come before.
//!
//! That is only so while neither the source's memory nor its handles change under the destination's `realloc`: the two sides must
//! be different component instances. (Two instances never share a memory or a table. A component that calls its own lifted
//! function goes through [`Val`](crate::Val)s.)
//!
//! Must not know: stores, how `realloc` is called, who runs.

mod compile;
mod run;
mod string;

pub use compile::{MAX_STEPS, TooLarge};
pub use string::{Transcode, transcode};

use crate::context::StringEncoding;
use crate::error::Result;
use crate::layout::PtrType;
use crate::types::ResourceType;
use alloc::vec::Vec;

/// What a plan must know of one side's canonical options.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Side {
    /// How strings lie in memory.
    pub string_encoding: StringEncoding,
    /// The address type of the memory.
    pub ptr_type: PtrType,
}

/// Bytes that a plan moves at once.
pub const PIECE_BYTES: usize = 1 << 20;
/// Elements of lists that a plan moves between two pauses.
pub const PIECE_ELEMENTS: usize = 1 << 15;

/// The two component instances between which values go: from the source, which has lifted them, to the destination, into which
/// they are lowered. The caller is the source of the parameters and the destination of the result.
pub trait Sides {
    /// The source's memory, and the destination's to write. They are different memories; either may have grown or moved after a
    /// [`Sides::realloc`].
    fn memories(&mut self) -> (&[u8], &mut [u8]);

    /// Calls the destination's `realloc`, with `may_leave` false while it runs. The result is not to be trusted.
    fn realloc(
        &mut self,
        old_ptr: usize,
        old_size: usize,
        alignment: usize,
        new_size: usize,
    ) -> Result<usize>;

    /// `bytes` are about to be moved: where the embedder counts them.
    fn charge(&mut self, bytes: usize) -> Result<()>;

    /// Asked after each [`PIECE_BYTES`] or [`PIECE_ELEMENTS`]: whether there is time for more. Memories may have moved afterwards.
    fn pause(&mut self) -> Result<()> {
        Ok(())
    }

    /// `lift_own` of the source, `lower_own` of the destination.
    fn transfer_own(&mut self, index: u32, rt: ResourceType) -> Result<u32>;

    /// `lift_borrow` of the source, `lower_borrow` of the destination.
    fn transfer_borrow(&mut self, index: u32, rt: ResourceType) -> Result<u32>;
}

/// Parameters or results of one pair of functions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Plan {
    steps: Vec<Step>,
    /// Where the cases of variants begin among the steps.
    targets: Vec<u32>,
    resources: Vec<ResourceType>,
    from: Side,
    to: Side,
    /// How deep regions of memory lie in each other.
    depth: u32,
    needs: Needs,
}

/// What running a plan can ask of its sides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Needs {
    /// Memories.
    pub memory: bool,
    /// The destination's `realloc`.
    pub realloc: bool,
    /// The handle tables, for `own`.
    pub own: bool,
    /// The handle tables and the scopes of both calls, for `borrow`.
    pub borrow: bool,
}

/// What a place in the program works on. Slots have the same number on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum At {
    /// A core value: of 17 at most.
    Slot(u8),
    /// Memory.
    Memory {
        /// Bytes from where the source's current region begins.
        from: u32,
        /// Bytes from where the destination's current region begins.
        to: u32,
    },
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// A value without parts.
    Scalar {
        /// What happens to it.
        kind: Scalar,
        /// Where.
        at: At,
    },
    /// `len` bytes of memory that need no look; offsets as in [`At::Memory`].
    Bytes {
        /// In the source.
        from: u32,
        /// In the destination.
        to: u32,
        /// How many.
        len: u32,
    },
    /// Pointer and length, and what they point at.
    String {
        /// Where the pointer is; the length follows.
        at: At,
    },
    /// A discriminant of `size` bytes below `cases`; goes on at `targets[first + discriminant]`.
    Case {
        /// Where.
        at: At,
        /// Bytes in memory.
        size: u8,
        /// How many cases there are.
        cases: u32,
        /// The first case's place in [`Plan::targets`].
        first: u32,
    },
    /// Goes on there.
    Jump(u32),
    /// Slots that a shorter case leaves unused, from `first` up to `end`.
    Zero {
        /// The first.
        first: u8,
        /// The first that is not.
        end: u8,
    },
    /// Pointer and length; the elements, all at once.
    Whole {
        /// Where the pointer is; the length follows.
        at: At,
        /// Bytes of an element, on both sides.
        size: u32,
        /// Of an element, on both sides.
        alignment: u8,
        /// What the elements are checked for.
        check: Check,
    },
    /// Pointer and length; the steps up to `end` for each element.
    List {
        /// Where the pointer is; the length follows.
        at: At,
        /// An element.
        elements: Elements,
        /// Where the program goes on after the last.
        end: u32,
    },
    /// Elements in place, without a pointer; the steps up to `end` for each. Offsets as in [`At::Memory`].
    Repeat {
        /// In the source.
        from: u32,
        /// In the destination.
        to: u32,
        /// How many.
        count: u32,
        /// An element.
        elements: Elements,
        /// Where the program goes on after the last.
        end: u32,
    },
    /// The end of an element of the `List` or `Repeat` at `begin`.
    Next {
        /// The step.
        begin: u32,
    },
    /// Values that are too many to go flat: slot 0 points at them, and will.
    Spilled {
        /// The region that holds them.
        elements: Elements,
    },
    /// A handle of its own.
    Own {
        /// Where its index is.
        at: At,
        /// Which resource, in the plan's list.
        resource: u32,
    },
    /// A handle for the time of the call.
    Borrow {
        /// Where its index is.
        at: At,
        /// Which resource, in the plan's list.
        resource: u32,
    },
}

/// Size and alignment on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Elements {
    /// Bytes in the source.
    pub from_size: u32,
    /// Bytes in the destination.
    pub to_size: u32,
    /// In the source.
    pub from_alignment: u8,
    /// In the destination.
    pub to_alignment: u8,
}

/// What happens to a value without parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scalar {
    /// 0 stays, all else becomes 1.
    Bool,
    /// The low 8 bits.
    U8,
    /// The low 8 bits, with their sign.
    S8,
    /// The low 16 bits.
    U16,
    /// The low 16 bits, with their sign.
    S16,
    /// u32, s32, f32
    Word32,
    /// u64, s64, f64
    Word64,
    /// With the canonical NaN.
    F32,
    /// With the canonical NaN.
    F64,
    /// A Unicode scalar value, or a trap.
    Char,
    /// Only the bits of `mask`.
    Flags {
        /// Bytes in memory.
        size: u8,
        /// The flags that there are.
        mask: u32,
    },
    /// Below `cases`, or a trap.
    Enum {
        /// Bytes in memory.
        size: u8,
        /// How many cases there are.
        cases: u32,
    },
}

/// What the elements of a list that moves as a whole are checked for, or made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Check {
    /// Every bit pattern is a value.
    None,
    /// As the scalar says, element by element.
    Scalar(Scalar),
}

impl Plan {
    /// What running it can ask of its sides.
    pub fn needs(&self) -> Needs {
        self.needs
    }

    /// Whether every slot goes over as it is: then the destination's function can be called with the source's own slots.
    pub fn is_identity(&self) -> bool {
        self.steps.iter().all(|step| {
            matches!(step, Step::Scalar { kind: Scalar::Word32 | Scalar::Word64, at: At::Slot(_) })
        })
    }

    /// The steps, for a compiler. Jumps lead forward; only `Next` leads back.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Where the cases of variants begin among the steps.
    pub fn targets(&self) -> &[u32] {
        &self.targets
    }

    /// The resource types that its steps name by number.
    pub fn resources(&self) -> &[ResourceType] {
        &self.resources
    }

    /// The plan with as many resource types as it has, that say nothing: what is left is the same for all pairs of functions that move
    /// their values in the same way.
    pub fn anonymous(&self) -> Plan {
        let mut plan = self.clone();
        plan.resources.fill(ResourceType::Id(0));
        plan
    }

    /// Whether running it calls the destination's `realloc`; `out_param`: the destination says where values go that are spilled.
    pub fn allocates(&self, out_param: bool) -> bool {
        self.steps.iter().any(|step| match step {
            Step::String { .. } | Step::Whole { .. } | Step::List { .. } => true,
            Step::Spilled { .. } => !out_param,
            _ => false,
        })
    }

    /// What it knows of the source and of the destination.
    pub fn sides(&self) -> (Side, Side) {
        (self.from, self.to)
    }

    /// How many steps there are.
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Moves one string by itself: pointer and (tagged) length of it, and of what it became.
    ///
    /// # Errors
    /// As for [`Plan::run`].
    pub fn move_string<S: Sides + ?Sized>(
        &self,
        sides: &mut S,
        ptr: usize,
        tagged_code_units: u64,
    ) -> Result<(usize, u64)> {
        run::Run::new(sides, self, &[], &mut []).string(ptr, tagged_code_units)
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}
