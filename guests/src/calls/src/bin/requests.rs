//! `wasi:http/types` and `outgoing-handler`, as a client of the server in lib.rs, whose address is the first argument.

use wasip2::cli::environment::get_arguments;
use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{
    http_error_code, ErrorCode, Fields, FutureIncomingResponse, HeaderError, IncomingBody, IncomingResponse, Method, OutgoingBody,
    OutgoingRequest, RequestOptions, Scheme,
};
use wasip2::io::streams::StreamError;

const SECOND: u64 = 1_000_000_000;

fn main() {
    let server = get_arguments().remove(1);
    fields();
    let options = options();
    errors(&server);
    echo(&server, options);
    broken(&server);
}

fn fields() {
    let list = [("a", "1"), ("A", "2"), ("b", "3")].map(|(name, value)| (name.to_owned(), value.into()));
    let fields = Fields::from_list(&list).unwrap();
    assert_eq!(fields.get("A"), [b"1", b"2"], "names are the same in both cases");
    assert!(fields.has("B") && !fields.has("c"));
    fields.append("c", b"4").unwrap();
    fields.set("A", &[b"5".to_vec()]).unwrap();
    let copy = fields.clone();
    fields.delete("b").unwrap();
    assert!(!fields.has("b") && copy.has("b"));
    let mut entries = fields.entries();
    entries.sort();
    assert_eq!(entries.iter().map(|(_, value)| &value[..]).collect::<Vec<_>>(), [b"5", b"4"]);
    assert!(matches!(fields.set("no name", &[]), Err(HeaderError::InvalidSyntax)));
    assert!(matches!(fields.append("a", b"line\r\nbreak"), Err(HeaderError::InvalidSyntax)));
    assert!(matches!(fields.set("connection", &[b"close".to_vec()]), Err(HeaderError::Forbidden)));
    assert!(matches!(Fields::from_list(&[("host".to_owned(), b"else".to_vec())]), Err(HeaderError::Forbidden)));
}

fn options() -> RequestOptions {
    let options = RequestOptions::new();
    assert_eq!(options.connect_timeout(), None);
    options.set_connect_timeout(Some(5 * SECOND)).unwrap();
    options.set_first_byte_timeout(Some(20 * SECOND)).unwrap();
    options.set_between_bytes_timeout(Some(20 * SECOND)).unwrap();
    assert_eq!(options.connect_timeout(), Some(5 * SECOND));
    assert_eq!(options.first_byte_timeout(), Some(20 * SECOND));
    assert_eq!(options.between_bytes_timeout(), Some(20 * SECOND));
    options
}

fn request(server: &str, method: Method, path: &str, fields: Fields) -> OutgoingRequest {
    let request = OutgoingRequest::new(fields);
    request.set_method(&method).unwrap();
    request.set_scheme(Some(&Scheme::Http)).unwrap();
    request.set_authority(Some(server)).unwrap();
    request.set_path_with_query(Some(path)).unwrap();
    request
}

/// What comes back, and then nothing more.
fn response(future: FutureIncomingResponse) -> Result<IncomingResponse, ErrorCode> {
    let arrives = future.subscribe();
    arrives.block();
    let response = future.get().expect("it is ready").expect("it has not been taken");
    assert!(matches!(future.get(), Some(Err(()))), "it has been taken");
    response
}

fn errors(server: &str) {
    let bad = OutgoingRequest::new(Fields::new());
    assert!(matches!(bad.method(), Method::Get));
    assert!(bad.path_with_query().is_none() && bad.scheme().is_none() && bad.authority().is_none());
    assert_eq!(bad.set_method(&Method::Other("no method".to_owned())), Err(()));
    assert_eq!(bad.set_path_with_query(Some("/a b")), Err(()));
    assert_eq!(bad.set_authority(Some("a b")), Err(()));
    assert_eq!(bad.set_scheme(Some(&Scheme::Other("1".to_owned()))), Err(()));
    // The path says another host; that one must not be asked.
    assert_eq!(bad.set_path_with_query(Some("http://elsewhere/")), Err(()));
    // Not granted.
    let elsewhere = request("192.0.2.1", Method::Get, "/", Fields::new());
    let refused = handle(elsewhere, None).and_then(response);
    assert!(matches!(refused, Err(ErrorCode::HttpRequestDenied)), "{refused:?}");
    let missing = request(server, Method::Get, "/nothing", Fields::new());
    let future = handle(missing, None).unwrap();
    assert_eq!(response(future).unwrap().status(), 404);
}

fn echo(server: &str, options: RequestOptions) {
    // HTTP/1.1 wants to know of trailers in advance, and whether whoever asks would like some.
    let list = [("x-asked", "yes"), ("trailer", "x-sum"), ("te", "trailers")];
    let fields = Fields::from_list(&list.map(|(name, value)| (name.to_owned(), value.into()))).unwrap();
    let request = request(server, Method::Post, "/echo?times=1", fields);
    assert!(matches!(request.method(), Method::Post));
    assert_eq!(request.path_with_query().as_deref(), Some("/echo?times=1"));
    assert!(matches!(request.scheme(), Some(Scheme::Http)));
    assert_eq!(request.authority().as_deref(), Some(server));
    let headers = request.headers();
    assert_eq!(headers.get("x-asked"), [b"yes"]);
    assert!(matches!(headers.set("x-asked", &[]), Err(HeaderError::Immutable)));
    assert!(matches!(headers.append("x-asked", b""), Err(HeaderError::Immutable)));
    assert!(matches!(headers.delete("x-asked"), Err(HeaderError::Immutable)));
    drop(headers);
    let body = request.body().unwrap();
    assert!(request.body().is_err(), "a body is given once");
    let future = handle(request, Some(options)).unwrap();
    {
        let stream = body.write().unwrap();
        assert!(body.write().is_err(), "and so is its stream");
        stream.subscribe().block();
        assert!(stream.check_write().unwrap() > 0);
        stream.blocking_write_and_flush(b"a request ").unwrap();
        stream.blocking_write_zeroes_and_flush(2).unwrap();
        stream.blocking_write_and_flush(b" with a body").unwrap();
        stream.blocking_flush().unwrap();
    }
    let trailers = Fields::from_list(&[("x-sum".to_owned(), b"24".to_vec())]).unwrap();
    OutgoingBody::finish(body, Some(trailers)).unwrap();

    let response = response(future).unwrap();
    assert_eq!(response.status(), 201);
    assert_eq!(response.headers().get("x-answered"), [b"yes"]);
    assert!(matches!(response.headers().delete("x-answered"), Err(HeaderError::Immutable)));
    let body = response.consume().unwrap();
    assert!(response.consume().is_err());
    let mut all = Vec::new();
    {
        let stream = body.stream().unwrap();
        assert!(body.stream().is_err());
        let arrives = stream.subscribe();
        loop {
            arrives.block();
            match stream.read(7) {
                Ok(bytes) => all.extend(bytes),
                Err(StreamError::Closed) => break,
                Err(error) => panic!("{error:?}"),
            }
        }
    }
    assert_eq!(all, b"a request \0\0 with a body");
    let trailers = IncomingBody::finish(body);
    trailers.subscribe().block();
    let got = trailers.get().expect("ready").expect("not taken").unwrap().expect("there are some");
    assert_eq!(got.get("x-sum"), [b"24"]);
    assert!(matches!(trailers.get(), Some(Err(()))), "taken");
}

/// An answer that ends before it is whole.
fn broken(server: &str) {
    let request = request(server, Method::Get, "/broken", Fields::new());
    let response = response(handle(request, None).unwrap()).unwrap();
    let body = response.consume().unwrap();
    let stream = body.stream().unwrap();
    let error = loop {
        match stream.blocking_read(100) {
            Ok(_) => {}
            Err(StreamError::LastOperationFailed(error)) => break error,
            Err(StreamError::Closed) => panic!("that was not all"),
        }
    };
    assert!(!error.to_debug_string().is_empty());
    assert!(http_error_code(&error).is_some());
}
