//! Preview 1, each function called by a core module as a toolchain's programs do. Names are the sentences proved; the ids in
//! comments are the advisories of other runtimes that a test answers to.

#[path = "preview1/calls.rs"]
mod calls;
#[path = "preview1/escapes.rs"]
mod escapes;
#[path = "preview1/files.rs"]
mod files;
#[path = "preview1/guest.rs"]
mod guest;
#[path = "preview1/hostile.rs"]
mod hostile;
#[path = "preview1/limits.rs"]
mod limits;
#[path = "preview1/listing.rs"]
mod listing;
#[path = "preview1/model.rs"]
mod model;
#[path = "preview1/official.rs"]
mod official;
#[path = "preview1/polling.rs"]
mod polling;
#[path = "preview1/rights.rs"]
mod rights;
#[expect(dead_code, reason = "the other test has more use for it")]
#[path = "host/sandbox.rs"]
mod sandbox;
#[path = "preview1/sockets.rs"]
mod sockets;
#[path = "host/tree.rs"]
mod tree;
#[path = "preview1/withheld.rs"]
mod withheld;
