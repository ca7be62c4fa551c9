//! The body of an answer on its way: it keeps its connection busy, says what became of it, and tells the guest when nobody takes it.

use core::pin::Pin;
use core::task::{Context, Poll};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use hyper::Method;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::http::uri::PathAndQuery;

use crate::http::body::{Aborted, OutBody};
use crate::http::server::Served;
use crate::http::server::connection::Busy;
use crate::http::server::place::{End, Place};
use crate::http::server::service::Service;

/// The body as hyper takes it.
pub(super) struct AnswerBody {
    body: OutBody,
    taken: u64,
    is_whole: bool,
    is_aborted: bool,
    /// Of a body that its guest had not finished when the answer began.
    open: Option<Box<Open>>,
    _busy: Busy,
}

/// Whose an answer is.
pub(super) struct Open {
    pub(super) service: Arc<Service>,
    pub(super) place: Arc<Place>,
    pub(super) asked: AskedBy,
    pub(super) status: u16,
}

/// A request as the log has it.
#[derive(Clone)]
pub(super) struct AskedBy {
    pub(super) peer: SocketAddr,
    pub(super) method: Method,
    pub(super) path: Option<PathAndQuery>,
    pub(super) began: Instant,
}

impl AskedBy {
    /// For the log: what was answered, or how it ended.
    pub(super) fn served<'s>(&'s self, status: u16, cut: Option<&'s str>) -> Served<'s> {
        let path = self.path.as_ref().map_or("*", |path| path.as_str());
        let Self { peer, ref method, began, .. } = *self;
        Served { peer, method: method.as_str(), path, status, took: began.elapsed(), cut }
    }
}

impl AnswerBody {
    pub(super) fn new(body: OutBody, open: Option<Box<Open>>, busy: Busy) -> Self {
        Self { body, taken: 0, is_whole: false, is_aborted: false, open, _busy: busy }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Aborted;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        let this = self.get_mut();
        let frame = Pin::new(&mut this.body).poll_frame(cx);
        match &frame {
            Poll::Ready(None) => this.is_whole = true,
            Poll::Ready(Some(Ok(frame))) => match frame.data_ref() {
                Some(data) => this.taken += data.len() as u64,
                // Trailers are the end.
                None => this.is_whole = true,
            },
            Poll::Ready(Some(Err(_))) => this.is_aborted = true,
            Poll::Pending => {}
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        let Some(open) = self.open.take() else { return };
        if self.is_whole || self.body.is_whole(self.taken) {
            return;
        }
        let why = match (open.place.ended(), self.is_aborted) {
            (Some(End::Overdue), _) => "the guest took too long",
            (Some(End::Displaced), _) => {
                "the rest of the request did not come, and another one needed its place"
            }
            (_, true) => "the guest did not finish it",
            _ => "the client has gone",
        };
        open.place.end(End::Gone);
        let cut = format!("cut after {} bytes: {why}", self.taken);
        (open.service.log)(&open.asked.served(open.status, Some(&cut)));
    }
}
