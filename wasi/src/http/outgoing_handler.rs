//! `wasi:http/outgoing-handler`: denied.

use mini_wasm_canonical_abi::Own;

use crate::http::types::{ErrorCode, FutureIncomingResponse, OutgoingRequest, RequestOptions};
use crate::interface::interface;
use crate::{Stop, Wasi};

interface! {
    "wasi:http/outgoing-handler@0.2.12";
    func handle(request, options);
}

/// `handle`: denied. The request is at its end.
pub fn handle(
    wasi: &mut Wasi,
    request: Own<OutgoingRequest>,
    options: Option<Own<RequestOptions>>,
) -> Result<Result<Own<FutureIncomingResponse>, ErrorCode>, Stop> {
    wasi.table.take(request)?;
    options.map(|options| wasi.table.take(options)).transpose()?;
    Ok(Err(ErrorCode::HttpRequestDenied))
}
