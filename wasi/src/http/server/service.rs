//! One request from its head to the head of its answer: who may be served, what the guest's answer becomes, and what is
//! answered without one.

use core::future::poll_fn;
use core::pin::Pin;
use core::task::Poll;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::body::{Body, Incoming};
use hyper::header::{CONTENT_LENGTH, HeaderMap, HeaderValue, RETRY_AFTER, TE};
use hyper::{Method, Request, Response, StatusCode, Version};
use tokio::sync::oneshot;
use tokio::time::{timeout, timeout_at};

use crate::http::body::{BodyReader, Bounds, Message, OutBody, read_ahead};
use crate::http::fields;
use crate::http::owed::Owed;
use crate::http::server::answer::{AnswerBody, AskedBy, Open};
use crate::http::server::computing::Computing;
use crate::http::server::connection::Line;
use crate::http::server::guest::Guest;
use crate::http::server::peers::Connected;
use crate::http::server::place::{End, Place};
use crate::http::server::turns::{OnTheWay, Turns};
use crate::http::server::{Asked, Complain, Handler, Limits, Log, target};
use crate::http::types::ErrorCode;

/// How long the head of an answer waits for the names of its trailers, where the client wants them and the guest has not named
/// them: over HTTP/1.1 they are part of the head.
const TRAILER_NAMES: Duration = Duration::from_millis(100);

/// What serves the requests of all connections.
pub(super) struct Service {
    pub(super) limits: Limits,
    pub(super) turns: Arc<Turns>,
    pub(super) computing: Arc<Computing>,
    pub(super) handler: Arc<Handler>,
    pub(super) log: Arc<Log>,
    pub(super) complain: Arc<Complain>,
}

/// An answer of the server's own.
fn own(status: StatusCode, text: &str) -> Response<OutBody> {
    let mut response = Response::new(OutBody::of_text(text));
    *response.status_mut() = status;
    response
}

/// Who asks, on one connection.
pub(super) struct Client {
    pub(super) service: Arc<Service>,
    pub(super) connected: Connected,
    pub(super) line: Arc<Line>,
    pub(super) peer: SocketAddr,
}

/// A request whose answer has not begun; dropped as such, its client has gone.
struct Unanswered<'s> {
    service: &'s Service,
    asked: &'s AskedBy,
    is_answered: bool,
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if !self.is_answered {
            (self.service.log)(&self.asked.served(499, Some("the client did not wait for the answer")));
        }
    }
}

impl Client {
    pub(super) async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        on_the_way: OnTheWay,
    ) -> Result<Response<AnswerBody>, hyper::Error> {
        let busy = self.line.begin();
        self.line.take_turns().await;
        let asked = AskedBy {
            peer: self.peer,
            method: request.method().clone(),
            path: request.uri().path_and_query().cloned(),
            began: Instant::now(),
        };
        let mut unanswered = Unanswered { service: &self.service, asked: &asked, is_answered: false };
        let mut cut = None;
        let (response, place) = self
            .service
            .ask(&self.connected, &self.line.owed, request, on_the_way, asked.began, &mut cut)
            .await;
        unanswered.is_answered = true;
        drop(unanswered);
        let status = response.status().as_u16();
        (self.service.log)(&asked.served(status, cut.as_deref()));
        let open = place.filter(|_| !response.body().has_ended()).map(|place| {
            let service = self.service.clone();
            Box::new(Open { service, place, asked, status })
        });
        Ok(response.map(|body| AnswerBody::new(body, open, busy)))
    }
}

/// What is remembered of a request's head for its answer.
struct Asker {
    method: Method,
    /// Trailers may follow the answer, and have to be named before.
    names_trailers: bool,
}

impl Service {
    /// Serves a request; the answer, and the place of the guest that gave it. Also what the log has to say of the request's body.
    async fn ask(
        &self,
        connected: &Connected,
        owed: &Arc<Owed>,
        request: Request<Incoming>,
        mut on_the_way: OnTheWay,
        began: Instant,
        cut: &mut Option<String>,
    ) -> (Response<OutBody>, Option<Arc<Place>>) {
        let (head, body) = request.into_parts();
        if let Err((status, text)) = target::judge(&head) {
            return (own(status, text), None);
        }
        if body.size_hint().lower() > self.limits.body {
            return (too_large(), None);
        }
        let deadline = began + self.limits.request;
        let Some(_asking) = owed.asks(&head.uri, &head.headers) else { return (out_of_memory(), None) };
        let Some(unread) = owed.body(read_ahead(&body, head.version)) else { return (out_of_memory(), None) };
        if owed.is_full() {
            // Not what the others of its address wait for.
            on_the_way.rests();
        }
        if !owed.room(deadline).await {
            return (
                own(StatusCode::SERVICE_UNAVAILABLE, "the answers before have to be taken first\n"),
                None,
            );
        }
        on_the_way.goes_on();
        let Ok(turn) = timeout_at(deadline.into(), self.turns.turn(&on_the_way)).await else {
            return (too_many(), None);
        };
        let Some(slot) = connected.slot() else {
            return (too_many(), None);
        };
        let asker = Asker {
            method: head.method.clone(),
            names_trailers: head.version == Version::HTTP_11 && wants_trailers(&head.headers),
        };
        let Limits { between_bytes, body_rate: rate, body: bytes, .. } = self.limits;
        let body = BodyReader::new(body, Bounds { of: Message::Request, between_bytes, rate, bytes }, unread);
        let place = Place::new(slot, body.clone(), self.limits.keep_abandoned);
        let (answer, mut answered) = oneshot::channel();
        let call = (self.handler)(Asked { head, body: body.clone(), answer, deadline });
        let mut guest =
            Guest::new(call, deadline, place.clone(), self.computing.clone(), self.complain.clone());
        let mut turn = Some((turn, on_the_way));
        // The guest first: most have ended when they have answered, and all that they have said goes out in one piece.
        let answered = timeout_at(
            deadline.into(),
            poll_fn(|cx| {
                let over = guest.poll(cx).is_ready();
                turn = None;
                match Pin::new(&mut answered).poll(cx) {
                    Poll::Pending if over => Poll::Ready(None),
                    answered => answered.map(Result::ok),
                }
            }),
        )
        .await;
        let answer = match answered {
            Ok(answer) => answer,
            Err(_) => {
                guest.stop();
                None
            }
        };
        if answer.is_some() {
            guest.answered();
        }
        *cut = body.cut().map(|(came, code)| format!("its body was cut after {came} bytes: {code:?}"));
        let response = match answer {
            // Nothing of it has been sent: that counts more than what the guest made of the body's end.
            Some(Ok(response))
                if body.is_too_large() && response.status() != StatusCode::PAYLOAD_TOO_LARGE =>
            {
                too_large()
            }
            Some(Ok(response)) => {
                if asker.names_trailers {
                    let body = response.body().writer();
                    let ended = poll_fn(|cx| {
                        let _ = guest.poll(cx);
                        body.poll_ended(cx)
                    });
                    let _ = timeout(TRAILER_NAMES, ended).await;
                }
                let response = self.finished(&asker, response);
                return match owed.answers(&response) {
                    true => (response, Some(place)),
                    false => (out_of_memory(), None),
                };
            }
            _ if Instant::now() >= deadline => {
                own(StatusCode::GATEWAY_TIMEOUT, "the program took too long\n")
            }
            _ if body.is_too_large() => too_large(),
            _ if body.is_too_slow() || place.ended() == Some(End::Displaced) => {
                own(StatusCode::REQUEST_TIMEOUT, "the body is too slow\n")
            }
            Some(Err(error)) => {
                (self.complain)(&format!("the guest answered with an error: {error:?}"));
                own(status_of(&error), "the program failed\n")
            }
            // It ended without having answered; why is in the log.
            None => own(StatusCode::INTERNAL_SERVER_ERROR, "the program gave no answer\n"),
        };
        (response, None)
    }

    /// A guest's answer as it is sent: what it says of its body is true in both versions.
    fn finished(&self, asker: &Asker, mut response: Response<OutBody>) -> Response<OutBody> {
        let status = response.status();
        if status.is_informational() {
            (self.complain)(&format!("the guest answered with the status {status}, which is not final"));
            return own(StatusCode::INTERNAL_SERVER_ERROR, "the program gave no answer\n");
        }
        let is_head = asker.method == Method::HEAD;
        if is_head || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
            let length = response.body().size_hint().exact();
            response.body().writer().discard();
            *response.body_mut() = OutBody::empty();
            let headers = response.headers_mut();
            match length {
                _ if status == StatusCode::NO_CONTENT => drop(headers.remove(CONTENT_LENGTH)),
                Some(length) if is_head => {
                    headers.entry(CONTENT_LENGTH).or_insert_with(|| length.into());
                }
                _ => {}
            }
            return response;
        }
        // Nothing has been sent yet, so the client can be told.
        if response.body().is_broken() {
            (self.complain)("the guest did not finish the body of its answer");
            return own(StatusCode::INTERNAL_SERVER_ERROR, "the program did not finish its answer\n");
        }
        if response.body().is_end_stream()
            && let Some(length) = response.headers_mut().remove(CONTENT_LENGTH)
            && length != "0"
        {
            let length = String::from_utf8_lossy(length.as_bytes());
            (self.complain)(&format!(
                "the guest answered with a length of {length} bytes and without a body"
            ));
        }
        if asker.names_trailers {
            let names = response.body().writer().trailer_names();
            fields::name_trailers(response.headers_mut(), names);
        }
        response
    }
}

/// Whether `te` says that trailers are welcome (RFC 9110, 10.1.4).
fn wants_trailers(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(TE).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|name| name.trim().eq_ignore_ascii_case("trailers"))
}

/// All places for requests are taken, or no turn came in time.
fn too_many() -> Response<OutBody> {
    unavailable("too many requests at once\n")
}

/// The server keeps as much as it may.
fn out_of_memory() -> Response<OutBody> {
    unavailable("out of memory\n")
}

/// 503, with the advice to ask again after a second.
fn unavailable(text: &str) -> Response<OutBody> {
    let mut full = own(StatusCode::SERVICE_UNAVAILABLE, text);
    full.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    full
}

fn too_large() -> Response<OutBody> {
    own(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large\n")
}

fn status_of(error: &ErrorCode) -> StatusCode {
    match error {
        ErrorCode::HttpRequestBodySize(_) => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::HttpRequestDenied => StatusCode::FORBIDDEN,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
