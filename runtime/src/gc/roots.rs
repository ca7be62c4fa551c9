//! Where a store's references are: what its guests can reach, and what is under way on its stacks.
//!
//! Stacks are read word by word, whoever wrote them. The interpreter keeps every reference in a slot below
//! `VmStore::value_stack_top` when it allocates; native code keeps those that it needs after a call in its frames or in
//! callee-saved registers, which are caught here. On targets for which no register list is known (and on boards), native frames are the
//! engine's own only, and builtins there keep to slots and [`super::Heap::scratch`].

use super::mark::Marker;
use crate::deadline::PIECE_ELEMS;
use crate::store::StoreInner;
use crate::trap::Trap;
use crate::types::{HeapType, ValType};

impl StoreInner {
    /// Marks everything that the roots reach.
    ///
    /// # Errors
    /// `Interrupted` at the deadline, where that is the end.
    ///
    /// # Safety
    /// G1, G3; called by the thread that runs in the store. `low` is an address in a frame above which all of the guest's lie.
    pub(super) unsafe fn mark_roots(&self, marker: &mut Marker<'_>, low: *const u8) -> Result<(), Trap> {
        // SAFETY: V1, V5.
        let vm = unsafe { &*self.vm() };
        marker.reference(vm.exception);
        for &word in &self.gc.scratch {
            marker.reference(word);
        }
        for address in self.gc.roots.addresses() {
            marker.reference(address as u64);
        }
        for global in &self.globals {
            if let ValType::Ref(_) = global.ty.content {
                // SAFETY: V1.
                marker.reference(unsafe { (*global.vm).slots[0] });
            }
        }
        for table in &self.tables {
            // SAFETY: V1, V3.
            let table = unsafe { table.as_ref() };
            if !matches!(table.ty.element.heap, HeapType::Func | HeapType::NoFunc) {
                for piece in table.elements().chunks(PIECE_ELEMS) {
                    if self.ends_here() {
                        return Err(Trap::Interrupted);
                    }
                    piece.iter().for_each(|&element| marker.reference(element));
                }
            }
        }
        let segments = self.instances.iter().flat_map(|instance| &instance.elems).filter(|elem| elem.traced);
        for value in segments.flat_map(|elem| &elem.values) {
            marker.reference(*value);
        }
        let values = self.value_stack_base();
        let innermost = self.switching.values().unwrap_or(values);
        // SAFETY: slots of a value stack up to its top belong to frames, and whole pages of it can be read.
        unsafe { marker.words(innermost.cast(), vm.value_stack_top.cast()) };
        let Some(entry) = self.native_stack_entry().filter(|_| cfg!(not(miri))) else { return Ok(()) };
        let end = self.switching.native_end().unwrap_or(entry);
        // SAFETY: from a live frame of this thread up to one that waits for it: all of it is stack. Those who wait for fibers
        // are between their stack pointers and the ends of their stacks.
        unsafe {
            marker.words(low, low.with_addr(end.max(low.addr())));
            self.switching.mark_active(marker, (entry, values));
        }
        Ok(())
    }
}
