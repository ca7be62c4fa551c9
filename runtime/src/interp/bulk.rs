//! Handlers of what is done by the engine's builtins, and of tables: slow things, all operands in slots.
//!
//! Operands lie in a row from the slot at byte 8 on, where the result goes as well; immediates follow at 12 and 16.

use super::operand::Value;
use super::state::{A, Exec, Flow, State};
use super::unwind::check;
use crate::trap::Trap;
use crate::vm::{VmFunc, VmMemory, VmTable};
use core::marker::PhantomData;
use core::sync::atomic::Ordering;

/// First immediate.
pub(super) const FIRST: usize = 12;
/// Second immediate.
pub(super) const SECOND: usize = 16;

macro_rules! bulk {
    ($($(#[$doc:meta])* $name:ident, $s:ident, $at:ident: $size:literal $body:block)*) => { $(
        $(#[$doc])*
        pub(super) struct $name;
        impl Exec for $name {
            const SIZE: usize = $size;
            #[inline(always)]
            unsafe fn exec($s: &mut State) -> Flow {
                // SAFETY: the caller's promise; I2, I4, V1, V3.
                unsafe {
                    let $at = $s.slot_at(A);
                    $body
                }
            }
        }
    )* };
}

macro_rules! builtin {
    ($s:ident . $name:ident($($arg:expr),*)) => {
        ((*(*$s.ctx).builtins).$name)($s.ctx $(, $arg)*)
    };
}

/// An index or size as an operand of its type.
pub(super) trait Index: Value {
    /// From the engine's 64 bits; -1 stays -1.
    fn of(value: u64) -> Self;
}

impl Index for u32 {
    #[inline(always)]
    fn of(value: u64) -> u32 {
        value as u32
    }
}

impl Index for u64 {
    #[inline(always)]
    fn of(value: u64) -> u64 {
        value
    }
}

bulk! {
    /// `memory.fill`: address, value, length; memory.
    MemoryFill, s, at: 16 {
        let status = builtin!(s.memory_fill(s.operand(FIRST), *at, *at.wrapping_add(1) as u32, *at.wrapping_add(2)));
        check(s, status)
    }
    /// `memory.copy`: to, from, length; memory to, memory from.
    MemoryCopy, s, at: 24 {
        let status = builtin!(s.memory_copy(
            s.operand(FIRST), s.operand(SECOND), *at, *at.wrapping_add(1), *at.wrapping_add(2)));
        check(s, status)
    }
    /// `memory.init`: to, from, length; memory, data.
    MemoryInit, s, at: 24 {
        let status = builtin!(s.memory_init(
            s.operand(FIRST), s.operand(SECOND), *at, *at.wrapping_add(1) as u32, *at.wrapping_add(2) as u32));
        check(s, status)
    }
    /// `data.drop`: data.
    DataDrop, s, _at: 16 {
        let status = builtin!(s.data_drop(s.operand(FIRST)));
        check(s, status)
    }
    /// `table.fill`: index, value, length; table.
    TableFill, s, at: 16 {
        let status = builtin!(s.table_fill(s.operand(FIRST), *at, *at.wrapping_add(1), *at.wrapping_add(2)));
        check(s, status)
    }
    /// `table.copy`: to, from, length; table to, table from.
    TableCopy, s, at: 24 {
        let status = builtin!(s.table_copy(
            s.operand(FIRST), s.operand(SECOND), *at, *at.wrapping_add(1), *at.wrapping_add(2)));
        check(s, status)
    }
    /// `table.init`: to, from, length; table, elem.
    TableInit, s, at: 24 {
        let status = builtin!(s.table_init(
            s.operand(FIRST), s.operand(SECOND), *at, *at.wrapping_add(1) as u32, *at.wrapping_add(2) as u32));
        check(s, status)
    }
    /// `elem.drop`: elem.
    ElemDrop, s, _at: 16 {
        let status = builtin!(s.elem_drop(s.operand(FIRST)));
        check(s, status)
    }
    /// `table.get`: index; offset of the table in the instance.
    TableGet, s, at: 16 {
        let table = *s.instance_entry::<*mut VmTable>(s.operand(FIRST));
        if *at >= (*table).len as u64 {
            return Flow::Trap(Trap::TableOutOfBounds);
        }
        *at = *(*table).base.wrapping_add(*at as usize);
        Flow::Next
    }
    /// `table.set`: index, value; offset of the table in the instance.
    TableSet, s, at: 16 {
        let table = *s.instance_entry::<*mut VmTable>(s.operand(FIRST));
        if *at >= (*table).len as u64 {
            return Flow::Trap(Trap::TableOutOfBounds);
        }
        *(*table).base.wrapping_add(*at as usize) = *at.wrapping_add(1);
        Flow::Next
    }
    /// `table.size`: offset of the table in the instance.
    TableSize, s, at: 16 {
        *at = (**s.instance_entry::<*mut VmTable>(s.operand(FIRST))).len as u64;
        Flow::Next
    }
    /// `memory.size`: offset of the memory in the instance, binary logarithm of the page size.
    MemorySize, s, at: 24 {
        let memory = *s.instance_entry::<*mut VmMemory>(s.operand(FIRST));
        *at = ((*memory).len.load(Ordering::Relaxed) as u64).wrapping_shr(s.operand::<u32>(SECOND));
        Flow::Next
    }
    /// `ref.func` of a function of the module: offset of its `VmFunc` in the instance.
    RefOwnFunc, s, at: 16 {
        *at = s.instance_entry::<VmFunc>(s.operand(FIRST)).expose_provenance() as u64;
        Flow::Next
    }
    /// `ref.func` of an imported function: offset of the import in the instance.
    RefImportedFunc, s, at: 16 {
        *at = (*s.instance_entry::<crate::vm::VmImport>(s.operand(FIRST))).func.expose_provenance() as u64;
        Flow::Next
    }
}

/// `memory.grow`: pages; memory. Old size or -1 in the memory's index type.
pub(super) struct MemoryGrow<I>(PhantomData<I>);

impl<I: Index> Exec for MemoryGrow<I> {
    const SIZE: usize = 16;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        // SAFETY: the caller's promise; I2, I4.
        unsafe {
            let at = s.slot_at(A);
            let old = builtin!(s.memory_grow(s.operand(FIRST), *at));
            *at = I::of(old).slot();
            s.reload_memory();
        }
        Flow::Next
    }
}

/// `table.grow`: value, elements; table. Old size or -1 in the table's index type.
pub(super) struct TableGrow<I>(PhantomData<I>);

impl<I: Index> Exec for TableGrow<I> {
    const SIZE: usize = 16;
    #[inline(always)]
    unsafe fn exec(s: &mut State) -> Flow {
        /// The builtin's answers when fuel does not suffice, and at the deadline.
        const OUT_OF_FUEL: u64 = -2i64 as u64;
        const INTERRUPTED: u64 = -3i64 as u64;
        // SAFETY: the caller's promise; I2, I4.
        unsafe {
            let at = s.slot_at(A);
            let old = builtin!(s.table_grow(s.operand(FIRST), *at, *at.wrapping_add(1)));
            match old {
                OUT_OF_FUEL => return Flow::Trap(Trap::OutOfFuel),
                INTERRUPTED => return Flow::Trap(Trap::Interrupted),
                _ => {}
            }
            *at = I::of(old).slot();
        }
        Flow::Next
    }
}
