//! The host's functions called as a guest would call them, against real directories. Names are the sentences proved;
//! the ids in comments are the advisories of other runtimes that a test answers to.

#[path = "host/budgets.rs"]
mod budgets;
#[path = "host/clients.rs"]
mod clients;
#[path = "host/clocks_and_random.rs"]
mod clocks_and_random;
#[path = "host/closed.rs"]
mod closed;
#[path = "host/deadlines.rs"]
mod deadlines;
#[path = "host/denied.rs"]
mod denied;
#[path = "host/files.rs"]
mod files;
#[path = "host/http.rs"]
mod http;
#[path = "host/keyvalue.rs"]
mod keyvalue;
#[path = "host/listing.rs"]
mod listing;
#[path = "host/memory.rs"]
mod memory;
#[path = "host/model.rs"]
mod model;
#[path = "host/network.rs"]
mod network;
#[path = "host/paths.rs"]
mod paths;
#[path = "host/peer.rs"]
mod peer;
#[path = "host/race.rs"]
mod race;
#[path = "host/sandbox.rs"]
mod sandbox;
#[path = "host/serve.rs"]
mod serve;
#[path = "host/splice.rs"]
mod splice;
#[path = "host/starvation.rs"]
mod starvation;
#[path = "host/streams.rs"]
mod streams;
#[path = "host/suspended.rs"]
mod suspended;
#[path = "host/tls.rs"]
mod tls;
#[path = "host/told.rs"]
mod told;
#[path = "host/tree.rs"]
mod tree;
#[path = "host/waiting_to_open.rs"]
mod waiting_to_open;
#[path = "host/withheld.rs"]
mod withheld;
