//! The least that polls a future, and a future that takes several polls.

use mini_wasm_jit::Jit;
use mini_wasm_runtime::{Config, Engine};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// Ready at the poll after so many.
pub(crate) struct Pending(pub(crate) usize);

impl Future for Pending {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.0 == 0 {
            return Poll::Ready(());
        }
        self.0 -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// The output of a future, and how often it was polled.
pub(crate) fn block_on<F: Future>(future: F) -> (F::Output, usize) {
    let mut future = pin!(future);
    for polls in 1.. {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return (output, polls);
        }
    }
    unreachable!("the future is never ready")
}

/// One poll.
pub(crate) fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// An engine that interprets, one that compiles, and one that compiles without guard pages.
pub(crate) fn engines(change: impl Fn(&mut Config)) -> [Engine; 3] {
    let mut config = Config::default();
    change(&mut config);
    let unguarded = Config { guard_pages: false, ..config.clone() };
    [
        Engine::new(config.clone()),
        Engine::with_backend(config, Arc::new(Jit::default())),
        Engine::with_backend(unguarded, Arc::new(Jit::default())),
    ]
}
