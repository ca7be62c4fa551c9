//! Where the work of other people's crates is done: readers and printers of text and of interfaces. They call themselves for each
//! level of what they read, so they get a large stack (how deep text may be, `nesting` and `wit` say). And they may meet a file
//! that they were not made for: then it is said in words, not by a panic.

use crate::failure::Failure;
use std::any::Any;
use std::sync::Once;

/// Address space; only what is used becomes memory.
const STACK_BYTES: usize = 256 << 20;
/// The name of the thread.
const TOOL: &str = "tool";

/// Does the work on a thread of its own with a large stack. A panic is an error.
pub(crate) fn on_a_large_stack<R: Send>(work: impl FnOnce() -> R + Send) -> Result<R, Failure> {
    quieten();
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name(TOOL.into()).stack_size(STACK_BYTES);
        let thread = thread
            .spawn_scoped(scope, work)
            .map_err(|error| Failure::Other(format!("cannot start a thread with a large stack: {error}")))?;
        thread.join().map_err(|panic| {
            Failure::Other(format!("a library inside mini-wasm has failed over this file: {}", said(&*panic)))
        })
    })
}

/// What a panic said.
fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("it does not say how")
}

/// Panics of that thread are told by whoever waits for it, once.
fn quieten() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if std::thread::current().name() != Some(TOOL) {
                before(panic);
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_words() {
        let failure = on_a_large_stack(|| panic!("no {}", "way")).map(|(): ()| ()).unwrap_err();
        assert!(failure.to_string().ends_with("has failed over this file: no way"), "{failure}");
        assert_eq!(on_a_large_stack(|| 1).unwrap(), 1);
    }
}
