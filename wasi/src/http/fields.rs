//! The resource `fields` of `wasi:http/types`: header and trailer fields.
//!
//! Names are compared without regard to case. Names that speak of one connection are the host's own and forbidden to
//! guests. What guests put in is host memory: each set of fields, and all of one guest together, have limits.

use std::sync::Arc;

use hyper::header::{HeaderMap, HeaderName, HeaderValue, TRAILER};
use mini_wasm_canonical_abi::{Borrow, Own, variant};

use crate::allowance::{self, Charge};
use crate::http::types::ErrorCode;
use crate::{Stop, Wasi};

variant! {
    /// `header-error`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum HeaderError = "header-error" {
        /// Not a name, or not a value.
        InvalidSyntax,
        /// A name that is the host's own.
        Forbidden,
        /// These fields cannot be changed.
        Immutable,
    }
}

/// A name, in any case.
pub type FieldName = String;
/// A value: bytes, mostly text.
pub type FieldValue = Vec<u8>;

/// How many bytes one set of fields may take, names and values and 64 for each.
pub const MAX_FIELDS_BYTES: usize = 128 * 1024;
/// What a field counts beyond its bytes: about what it takes in the host.
const OVERHEAD: usize = 64;

/// Fields about the connection: the host writes them.
const FORBIDDEN: [&str; 9] = [
    "connection",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
];

#[derive(Debug)]
struct Entries {
    list: Vec<(FieldName, FieldValue)>,
    bytes: usize,
    charge: Charge,
}

impl Entries {
    fn new(wasi: &Wasi) -> Self {
        Self { list: Vec::new(), bytes: 0, charge: wasi.field_bytes.charge() }
    }

    fn append(&mut self, name: FieldName, value: FieldValue) -> Result<(), Stop> {
        let bytes =
            self.bytes.saturating_add(OVERHEAD).saturating_add(name.len()).saturating_add(value.len());
        if bytes > MAX_FIELDS_BYTES {
            return Err(Stop::Trap(format!("header fields take more than {MAX_FIELDS_BYTES} bytes")));
        }
        allowance::resize(&mut self.charge, bytes)?;
        self.bytes = bytes;
        self.list.push((name, value));
        Ok(())
    }

    fn delete(&mut self, name: &str) -> Result<(), Stop> {
        self.list.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.bytes = self.list.iter().map(|(name, value)| OVERHEAD + name.len() + value.len()).sum();
        allowance::resize(&mut self.charge, self.bytes)
    }
}

/// The resource `fields`.
#[derive(Debug)]
pub struct Fields {
    entries: Arc<Entries>,
    immutable: bool,
}

impl Fields {
    /// The same fields, for reading: what `headers` of a request gives.
    pub(crate) fn frozen(&self) -> Self {
        Self { entries: self.entries.clone(), immutable: true }
    }

    /// Fields that came in, for reading. Those about the connection are the host's own and not shown.
    pub(crate) fn of_header_map(wasi: &Wasi, map: &HeaderMap) -> Result<Self, Stop> {
        let mut entries = Entries::new(wasi);
        for (name, value) in map {
            if check_name(name.as_str()).is_ok() {
                entries.append(name.as_str().to_owned(), value.as_bytes().to_vec())?;
            }
        }
        Ok(Self { entries: Arc::new(entries), immutable: true })
    }

    /// Fields that go out. Whatever way one about the connection came in here, it does not leave.
    pub(crate) fn to_header_map(&self) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in self.list() {
            if check_name(name).is_ok()
                && let (Ok(name), Ok(value)) =
                    (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value))
            {
                // Never more than there are bytes for in [`MAX_FIELDS_BYTES`].
                let _ = map.try_append(name, value);
            }
        }
        map
    }

    /// What `content-length` says, if it is there: digits, and every time the same.
    pub(crate) fn content_length(&self) -> Result<Option<u64>, ErrorCode> {
        let mut length = None;
        let values = self.list().iter().filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        for (_, value) in values {
            let digits = core::str::from_utf8(value).ok();
            let digits =
                digits.filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()));
            let value: u64 = digits.and_then(|text| text.parse().ok()).ok_or(ErrorCode::HttpProtocolError)?;
            if length.replace(value).is_some_and(|before| before != value) {
                return Err(ErrorCode::HttpProtocolError);
            }
        }
        Ok(length)
    }

    fn list(&self) -> &[(FieldName, FieldValue)] {
        &self.entries.list
    }

    /// The entries to change; nobody else has them while these are not frozen.
    fn entries_mut(&mut self) -> Result<&mut Entries, HeaderError> {
        if self.immutable {
            return Err(HeaderError::Immutable);
        }
        Arc::get_mut(&mut self.entries).ok_or(HeaderError::Immutable)
    }
}

/// Names trailers ahead of their body: those that are not named do not go out over HTTP/1.1.
pub(crate) fn name_trailers(head: &mut HeaderMap, names: Vec<HeaderName>) {
    let named = |head: &HeaderMap, name: &HeaderName| {
        let lines = head.get_all(TRAILER).iter().filter_map(|line| line.to_str().ok());
        lines.flat_map(|line| line.split(',')).any(|known| known.trim().eq_ignore_ascii_case(name.as_str()))
    };
    for name in names {
        if !named(head, &name) {
            let _ = head.try_append(TRAILER, HeaderValue::from(name));
        }
    }
}

/// `Ok` if `name` can be a field's name: a token of RFC 9110.
fn check_syntax(name: &str) -> Result<(), HeaderError> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(token) {
        return Err(HeaderError::InvalidSyntax);
    }
    Ok(())
}

/// `Ok` if a guest may have a field of this name.
fn check_name(name: &str) -> Result<(), HeaderError> {
    check_syntax(name)?;
    match FORBIDDEN.iter().any(|forbidden| name.eq_ignore_ascii_case(forbidden)) {
        true => Err(HeaderError::Forbidden),
        false => Ok(()),
    }
}

/// `Ok` if `value` can be a field's value: no control characters but tab.
fn check_value(value: &[u8]) -> Result<(), HeaderError> {
    let allowed = |&byte: &u8| byte == b'\t' || (byte >= b' ' && byte != 0x7f);
    if value.iter().all(allowed) { Ok(()) } else { Err(HeaderError::InvalidSyntax) }
}

type Outcome<T> = Result<Result<T, HeaderError>, Stop>;

/// `constructor`.
pub fn new(wasi: &mut Wasi) -> Result<Own<Fields>, Stop> {
    let entries = Arc::new(Entries::new(wasi));
    wasi.table.push(Fields { entries, immutable: false })
}

/// `from-list`.
pub fn from_list(wasi: &mut Wasi, entries: Vec<(FieldName, FieldValue)>) -> Outcome<Own<Fields>> {
    let mut new = Entries::new(wasi);
    for (name, value) in entries {
        if let Err(error) = check_name(&name).and_then(|()| check_value(&value)) {
            return Ok(Err(error));
        }
        new.append(name, value)?;
    }
    wasi.table.push(Fields { entries: Arc::new(new), immutable: false }).map(Ok)
}

/// `get`: all values of a name, in order; none for what is no name.
pub fn get(wasi: &mut Wasi, this: Borrow<Fields>, name: FieldName) -> Result<Vec<FieldValue>, Stop> {
    let list = wasi.table.get(&this)?.list().iter();
    Ok(list.filter(|(known, _)| known.eq_ignore_ascii_case(&name)).map(|(_, value)| value.clone()).collect())
}

/// `has`.
pub fn has(wasi: &mut Wasi, this: Borrow<Fields>, name: FieldName) -> Result<bool, Stop> {
    Ok(wasi.table.get(&this)?.list().iter().any(|(known, _)| known.eq_ignore_ascii_case(&name)))
}

/// `set`: these values and no others.
pub fn set(wasi: &mut Wasi, this: Borrow<Fields>, name: FieldName, value: Vec<FieldValue>) -> Outcome<()> {
    let fields = wasi.table.get_mut(&this)?;
    let entries = match fields.entries_mut().and_then(|entries| {
        check_name(&name)?;
        value.iter().try_for_each(|value| check_value(value))?;
        Ok(entries)
    }) {
        Ok(entries) => entries,
        Err(error) => return Ok(Err(error)),
    };
    entries.delete(&name)?;
    for value in value {
        entries.append(name.clone(), value)?;
    }
    Ok(Ok(()))
}

/// `delete`: no values.
pub fn delete(wasi: &mut Wasi, this: Borrow<Fields>, name: FieldName) -> Outcome<()> {
    let fields = wasi.table.get_mut(&this)?;
    match fields.entries_mut().and_then(|entries| check_name(&name).map(|()| entries)) {
        Ok(entries) => entries.delete(&name).map(Ok),
        Err(error) => Ok(Err(error)),
    }
}

/// `append`: one more value.
pub fn append(wasi: &mut Wasi, this: Borrow<Fields>, name: FieldName, value: FieldValue) -> Outcome<()> {
    let fields = wasi.table.get_mut(&this)?;
    let checked = |entries| check_name(&name).and_then(|()| check_value(&value)).map(|()| entries);
    match fields.entries_mut().and_then(checked) {
        Ok(entries) => entries.append(name, value).map(Ok),
        Err(error) => Ok(Err(error)),
    }
}

/// `entries`: everything, in order.
pub fn entries(wasi: &mut Wasi, this: Borrow<Fields>) -> Result<Vec<(FieldName, FieldValue)>, Stop> {
    Ok(wasi.table.get(&this)?.list().to_vec())
}

/// `clone`: a copy that can be changed.
pub fn clone(wasi: &mut Wasi, this: Borrow<Fields>) -> Result<Own<Fields>, Stop> {
    wasi.table.room(1)?;
    let mut copy = Entries::new(wasi);
    for (name, value) in wasi.table.get(&this)?.list() {
        copy.append(name.clone(), value.clone())?;
    }
    wasi.table.push(Fields { entries: Arc::new(copy), immutable: false })
}
