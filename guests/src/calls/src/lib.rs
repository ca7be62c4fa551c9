//! A server of `wasi:http/incoming-handler` that uses every function of its side: `/echo` sends a request back with its trailers,
//! `/broken` ends an answer too early, anything else is 404.

use wasip2::clocks::monotonic_clock::subscribe_duration;
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{
    ErrorCode, Fields, HeaderError, IncomingBody, IncomingRequest, Method, OutgoingBody, OutgoingResponse, ResponseOutparam, Scheme,
};
use wasip2::io::streams::StreamError;

struct Answers;

wasip2::http::proxy::export!(Answers);

impl Guest for Answers {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        match request.path_with_query().as_deref() {
            Some("/echo?times=1") => echo(request, out),
            Some("/broken") => broken(out),
            Some("/error") => ResponseOutparam::set(out, Err(ErrorCode::LoopDetected)),
            _ => {
                let response = OutgoingResponse::new(Fields::new());
                response.set_status_code(404).unwrap();
                ResponseOutparam::set(out, Ok(response));
            }
        }
    }
}

fn echo(request: IncomingRequest, out: ResponseOutparam) {
    assert!(matches!(request.method(), Method::Post));
    assert!(matches!(request.scheme(), Some(Scheme::Http)));
    assert!(request.authority().unwrap().starts_with("127.0.0.1:"));
    let headers = request.headers();
    assert_eq!(headers.get("x-asked"), [b"yes"]);
    assert!(matches!(headers.append("x-asked", b"no"), Err(HeaderError::Immutable)));
    drop(headers);

    let list = [("x-answered", "yes"), ("trailer", "x-sum")].map(|(name, value)| (name.to_owned(), value.into()));
    let response = OutgoingResponse::new(Fields::from_list(&list).unwrap());
    assert_eq!(response.status_code(), 200);
    assert_eq!(response.set_status_code(99), Err(()));
    response.set_status_code(201).unwrap();
    assert_eq!(response.status_code(), 201);
    assert!(matches!(response.headers().delete("x-answered"), Err(HeaderError::Immutable)));
    let to = response.body().unwrap();
    assert!(response.body().is_err());
    ResponseOutparam::set(out, Ok(response));

    let from = request.consume().unwrap();
    assert!(request.consume().is_err());
    {
        let (input, output) = (from.stream().unwrap(), to.write().unwrap());
        loop {
            match output.blocking_splice(&input, u64::MAX) {
                Ok(_) => {}
                Err(StreamError::Closed) => break,
                Err(StreamError::LastOperationFailed(error)) => panic!("{}", error.to_debug_string()),
            }
        }
    }
    let trailers = IncomingBody::finish(from);
    trailers.subscribe().block();
    let trailers = trailers.get().unwrap().unwrap().unwrap().expect("there are trailers");
    // Those of a request cannot be changed, and go on as they are.
    OutgoingBody::finish(to, Some(trailers.clone())).unwrap();
}

fn broken(out: ResponseOutparam) {
    let response = OutgoingResponse::new(Fields::from_list(&[("content-length".to_owned(), b"10".to_vec())]).unwrap());
    let body = response.body().unwrap();
    ResponseOutparam::set(out, Ok(response));
    body.write().unwrap().blocking_write_and_flush(b"half").unwrap();
    // So that the head is on its way before the end is found to be missing.
    subscribe_duration(50_000_000).block();
    // Fewer bytes than the header says.
    assert!(matches!(OutgoingBody::finish(body, None), Err(ErrorCode::HttpResponseBodySize(_))));
}
