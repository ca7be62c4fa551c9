//! What a request asks for and of whom: method, target and `host`, judged by RFC 9112 (3.2) and RFC 9113 (8.3.1) before a guest
//! sees them, so that no two readers of one request take it for different ones.

use std::net::Ipv6Addr;

use hyper::header::{HOST, HeaderMap, TRANSFER_ENCODING};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode, Uri, Version};

use crate::http::types::Scheme;

/// An answer to a request that no guest gets: its status and its text.
pub(super) type Refusal = (StatusCode, &'static str);

const fn bad(text: &'static str) -> Refusal {
    (StatusCode::BAD_REQUEST, text)
}

/// `Ok` for a request that means one thing.
pub(super) fn judge(head: &Parts) -> Result<(), Refusal> {
    if head.method == Method::CONNECT {
        return Err((StatusCode::NOT_IMPLEMENTED, "no tunnels begin here\n"));
    }
    judge_form(&head.method, &head.uri)?;
    judge_coding(&head.headers)?;
    let mut hosts = head.headers.get_all(HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (None, _) => None,
        (Some(host), None) => match host.to_str() {
            Ok(host) if is_authority(host) => Some(host),
            _ => return Err(bad("the field `host` is not a host\n")),
        },
        (Some(_), Some(_)) => return Err(bad("the field `host` comes more than once\n")),
    };
    let authority = head.uri.authority().map(|authority| authority.as_str());
    if authority.is_some_and(|authority| !is_authority(authority)) {
        return Err(bad("the target's authority is not a host\n"));
    }
    match (host, authority) {
        (None, _) if head.version == Version::HTTP_11 => Err(bad("the field `host` is missing\n")),
        (None, None) if head.version == Version::HTTP_2 => {
            Err(bad("neither `:authority` nor `host` is there\n"))
        }
        // Of HTTP/1.1 the target counts, and `host` is ignored beside it (RFC 9112, 3.2.2).
        (Some(host), Some(authority)) if head.version == Version::HTTP_2 => {
            let scheme = head.uri.scheme_str();
            match usual(host, scheme) == usual(authority, scheme) {
                true => Ok(()),
                false => Err(bad("`host` and `:authority` name two hosts\n")),
            }
        }
        _ => Ok(()),
    }
}

/// The four forms of a target (RFC 9112, 3.2); that of CONNECT has been refused before.
fn judge_form(method: &Method, uri: &Uri) -> Result<(), Refusal> {
    let path = uri.path_and_query().map(|path| path.as_str());
    match (uri.scheme(), path) {
        (_, Some("*")) if method != Method::OPTIONS => Err(bad("only OPTIONS asks for `*`\n")),
        (None, None) => Err(bad("the target has no path\n")),
        _ => Ok(()),
    }
}

/// hyper has taken `chunked` off, and knows no other transfer coding: a body in one would reach the guest as it is.
fn judge_coding(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => Ok(()),
        (Some(coding), None) if coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked") => Ok(()),
        _ => Err((StatusCode::NOT_IMPLEMENTED, "no transfer coding but `chunked` is known\n")),
    }
}

/// Whether `text` is `uri-host [ ":" port ]` of RFC 9110 (7.2), and not empty: no URI of `http` has an empty host (4.2.1).
fn is_authority(text: &str) -> bool {
    let (is_host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, port)) => (address.parse::<Ipv6Addr>().is_ok(), port),
            None => return false,
        },
        None => {
            let (name, port) = text.split_at(text.find(':').unwrap_or(text.len()));
            (is_name(name), port)
        }
    };
    let is_port = match port.strip_prefix(':') {
        Some("") => true,
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.parse::<u16>().is_ok(),
        None => port.is_empty(),
    };
    is_host && is_port
}

/// `reg-name` of RFC 3986 (3.2.2), not empty; addresses of IPv4 are names too.
fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let is_good = match byte {
            b'%' => {
                let mut digit = || bytes.next().is_some_and(|byte| byte.is_ascii_hexdigit());
                digit() && digit()
            }
            _ => byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte),
        };
        if !is_good {
            return false;
        }
    }
    !text.is_empty()
}

/// An authority as all who write it differently mean it: lower case, without the usual port.
fn usual(authority: &str, scheme: Option<&str>) -> String {
    let port = if scheme == Some("https") { ":443" } else { ":80" };
    let text = authority.strip_suffix(port).or_else(|| authority.strip_suffix(':')).unwrap_or(authority);
    text.to_ascii_lowercase()
}

/// The scheme: what the target says, else that of the connection.
pub(super) fn scheme(uri: &Uri) -> Scheme {
    match uri.scheme_str() {
        None => Scheme::Http,
        Some(scheme) if scheme.eq_ignore_ascii_case("http") => Scheme::Http,
        Some(scheme) if scheme.eq_ignore_ascii_case("https") => Scheme::Https,
        Some(scheme) => Scheme::Other(scheme.to_owned()),
    }
}

/// The authority: the target's, else `host`.
pub(super) fn authority(head: &Parts) -> Option<String> {
    let host = || head.headers.get(HOST).and_then(|host| host.to_str().ok()).map(str::to_owned);
    head.uri.authority().map(|authority| authority.as_str().to_owned()).or_else(host)
}

/// The path with its query; `/` before a query that stands alone.
pub(super) fn path(uri: &Uri) -> Option<String> {
    uri.path_and_query().map(|path| match path.as_str() {
        query if query.starts_with('?') => format!("/{query}"),
        path => path.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_is_a_name_or_an_address_and_a_port() {
        for good in ["a", "a.b-c", "127.0.0.1:80", "[::1]", "[::1]:8080", "a:", "x%20y", "A_b~c", "a:65535"] {
            assert!(is_authority(good), "{good}");
        }
        for wrong in [
            "", ":80", "a b", "a/b", "user@a", "a:b", "a:65536", "a:+1", "[::1", "[::1]80", "[a]", "::1",
            "a%2", "a%zz", "a,b c", "a?b", "a#b", "a\\b",
        ] {
            assert!(!is_authority(wrong), "{wrong}");
        }
    }

    #[test]
    fn case_and_the_usual_port_make_no_difference() {
        assert_eq!(usual("A.example:80", Some("http")), usual("a.example", Some("http")));
        assert_eq!(usual("a.example:443", Some("https")), usual("a.example:", Some("https")));
        assert_ne!(usual("a.example:81", Some("http")), usual("a.example", Some("http")));
        assert_ne!(usual("a.example:80", Some("https")), usual("a.example", Some("https")));
    }
}
