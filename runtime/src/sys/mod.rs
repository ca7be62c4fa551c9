//! What the engine asks of the system. A platform owes:
//!
//! * `thread_stack_low() -> Option<usize>`: lowest usable address of the calling thread's stack;
//! * `Reservation`: address space that faults where it was not made accessible from its start on, all zero when first touched.
//! * `has_plenty_of_address_space() -> bool`: may memories reserve what native code can reach?
//! * `has_address_space(bytes) -> bool`: is there so much left?
//! * `return_free_memory()`: gives back what the allocator keeps for later, where that is known how to;
//! * `survive_file_size_limit()`: a write past the limit on the size of files is an error, not the
//!   end of the process;
//! * `fiber`, if it can (build.rs): stacks of their own for guest code.
//!
//! Linux is tested. Without `std` none of this exists: memories lie on the heap and the stack's end is not known.

#[cfg(fibers)]
pub(crate) mod fiber;
#[cfg_attr(unix, path = "unix.rs")]
#[cfg_attr(not(unix), path = "other.rs")]
mod platform;

pub(crate) use platform::{Reservation, has_address_space, has_plenty_of_address_space, thread_stack_low};
pub use platform::{return_free_memory, survive_file_size_limit};
