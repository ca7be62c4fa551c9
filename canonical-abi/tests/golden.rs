//! The vectors of golden/vectors.txt, which the specification's definitions.py made (golden/generate.py has the format):
//! layouts, flat types, bytes in memory, calls of `realloc`, core values, lifted values and traps are the specification's.

mod plain_guest;

use mini_wasm_canonical_abi::flatten::{CoreType, flatten_types};
use mini_wasm_canonical_abi::lift::lift_flat;
use mini_wasm_canonical_abi::load::load;
use mini_wasm_canonical_abi::store::store;
use mini_wasm_canonical_abi::string::SourceEncoding;
use mini_wasm_canonical_abi::*;
use plain_guest::PlainGuest;

const START: usize = 512;
const SIZE: usize = 4096;
const BASE: usize = 16;
const RT: ResourceType = ResourceType::Id(0);

struct Reader<'a> {
    tokens: std::str::SplitAsciiWhitespace<'a>,
    line: &'a str,
}

impl<'a> Reader<'a> {
    fn token(&mut self) -> &'a str {
        self.tokens.next().unwrap_or_else(|| panic!("a token is missing: {}", self.line))
    }

    fn number<T: std::str::FromStr<Err: std::fmt::Debug>>(&mut self) -> T {
        self.token().parse().unwrap_or_else(|error| panic!("{error:?}: {}", self.line))
    }

    fn hex(&mut self) -> u64 {
        u64::from_str_radix(self.token(), 16).unwrap()
    }

    fn expect(&mut self, token: &str) {
        assert_eq!(self.token(), token, "{}", self.line);
    }

    fn options(&mut self) -> Options {
        let string_encoding = match self.token() {
            "utf8" => StringEncoding::Utf8,
            "utf16" => StringEncoding::Utf16,
            _ => StringEncoding::Latin1OrUtf16,
        };
        let ptr_type = if self.token() == "i64" { PtrType::I64 } else { PtrType::I32 };
        Options { string_encoding, ptr_type, ..Options::default() }
    }

    fn ty(&mut self) -> ValType {
        let token = self.token();
        self.ty_from(token)
    }

    fn optional_ty(&mut self) -> Option<ValType> {
        match self.token() {
            "_" => None,
            token => Some(self.ty_from(token)),
        }
    }

    fn ty_from(&mut self, token: &str) -> ValType {
        let t = match token {
            "bool" => return ValType::Bool,
            "s8" => return ValType::S8,
            "u8" => return ValType::U8,
            "s16" => return ValType::S16,
            "u16" => return ValType::U16,
            "s32" => return ValType::S32,
            "u32" => return ValType::U32,
            "s64" => return ValType::S64,
            "u64" => return ValType::U64,
            "f32" => return ValType::F32,
            "f64" => return ValType::F64,
            "char" => return ValType::Char,
            "string" => return ValType::String,
            "own" => return ValType::Own(RT),
            "list" => ValType::list(self.ty()),
            "flist" => {
                let length = self.number();
                ValType::fixed_length_list(self.ty(), length)
            }
            "record" => {
                let n: usize = self.number();
                ValType::record((0..n).map(|i| (format!("f{i}"), self.ty())).collect::<Vec<_>>())
            }
            "tuple" => {
                let n: usize = self.number();
                ValType::tuple((0..n).map(|_| self.ty()).collect::<Vec<_>>())
            }
            "variant" => {
                let n: usize = self.number();
                ValType::variant((0..n).map(|i| (format!("c{i}"), self.optional_ty())).collect::<Vec<_>>())
            }
            "enum" => {
                let n: usize = self.number();
                ValType::enumeration((0..n).map(|i| format!("e{i}")))
            }
            "option" => ValType::option(self.ty()),
            "result" => {
                let ok = self.optional_ty();
                ValType::result(ok, self.optional_ty())
            }
            "flags" => {
                let n: usize = self.number();
                ValType::flags((0..n).map(|i| format!("b{i}")))
            }
            "map" => {
                let key = self.ty();
                ValType::map(key, self.ty())
            }
            other => panic!("type {other}: {}", self.line),
        };
        t.unwrap()
    }

    fn vals<'t>(&mut self, types: impl Iterator<Item = &'t ValType>) -> Vec<Val> {
        types.map(|t| self.val(t)).collect()
    }

    fn payload(&mut self, t: Option<&ValType>) -> Option<Box<Val>> {
        t.map(|t| Box::new(self.val(t)))
    }

    fn val(&mut self, t: &ValType) -> Val {
        match t {
            ValType::Bool => Val::Bool(self.number::<u8>() != 0),
            ValType::S8 => Val::S8(self.number()),
            ValType::U8 => Val::U8(self.number()),
            ValType::S16 => Val::S16(self.number()),
            ValType::U16 => Val::U16(self.number()),
            ValType::S32 => Val::S32(self.number()),
            ValType::U32 => Val::U32(self.number()),
            ValType::S64 => Val::S64(self.number()),
            ValType::U64 => Val::U64(self.number()),
            ValType::F32 => Val::F32(f32::from_bits(self.hex() as u32)),
            ValType::F64 => Val::F64(f64::from_bits(self.hex())),
            ValType::Char => Val::Char(char::from_u32(self.number()).unwrap()),
            ValType::String => Val::String(self.text()),
            ValType::List(t) => {
                let length = t.length().map_or_else(|| self.number(), |n| n as usize);
                Val::List((0..length).map(|_| self.val(t.element())).collect::<Vec<_>>().into())
            }
            ValType::Record(t) => Val::Record(self.vals(t.fields().iter().map(|field| &field.t))),
            ValType::Tuple(t) => Val::Tuple(self.vals(t.types().iter())),
            ValType::Variant(t) => {
                let case: u32 = self.number();
                Val::Variant { case, payload: self.payload(t.cases()[case as usize].t.as_ref()) }
            }
            ValType::Enum(_) => Val::Enum(self.number()),
            ValType::Option(t) => match self.number() {
                0 => Val::Option(None),
                _ => Val::Option(self.payload(Some(t.some()))),
            },
            ValType::Result(t) => match self.number() {
                0 => Val::Result(Ok(self.payload(t.ok()))),
                _ => Val::Result(Err(self.payload(t.error()))),
            },
            ValType::Map(t) => {
                let length: usize = self.number();
                Val::Map((0..length).map(|_| (self.val(t.key()), self.val(t.value()))).collect())
            }
            ValType::Flags(_) => Val::Flags(self.number()),
            ValType::Own(rt) => Val::Own(Resource { rt: *rt, rep: self.number() }),
            ValType::Borrow(_) => unreachable!("no vector has one"),
        }
    }

    fn text(&mut self) -> Text {
        let token = self.token();
        let text = String::from_utf8(bytes(&token[1..])).unwrap();
        let encoding = match &token[..1] {
            "u" => SourceEncoding::Utf8,
            "w" => SourceEncoding::Utf16,
            "l" => SourceEncoding::Latin1,
            _ => SourceEncoding::TaggedUtf16,
        };
        Text::with_encoding(text, encoding)
    }

    /// The memory, in two pieces, and whether it is what `guest` has (and nothing else).
    fn check_memory(&mut self, guest: &PlainGuest) {
        let expected = memory(self.token(), SIZE);
        assert!(guest.memory == expected, "memory differs: {}", self.line);
        let calls: Vec<String> =
            guest.calls.iter().map(|(old, size, align, new)| format!("{old}/{size}/{align}/{new}")).collect();
        let calls = if calls.is_empty() { "-".to_string() } else { calls.join(",") };
        assert_eq!(calls, self.token(), "{}", self.line);
    }

    fn flat(&mut self) -> Vec<u64> {
        match self.token() {
            "-" => Vec::new(),
            token => token.split(',').map(|bits| u64::from_str_radix(bits, 16).unwrap()).collect(),
        }
    }

    /// A value with the encodings of its strings, or a trap: what came out of lifting.
    fn check_lifted(&mut self, t: &ValType, lifted: Result<Val>) {
        let mut rest = self.tokens.clone();
        match lifted {
            Ok(val) => {
                assert_ne!(rest.next(), Some("trap"), "no trap but {val:?}: {}", self.line);
                let expected = self.val(t);
                assert_eq!(val, expected, "{}", self.line);
                assert_eq!(encodings(&val), encodings(&expected), "{}", self.line);
                val.check(t).unwrap();
            }
            Err(Error::Trap(trap)) => assert_eq!(rest.next(), Some("trap"), "{trap}: {}", self.line),
            Err(error) => panic!("{error}: {}", self.line),
        }
    }
}

/// The encodings that the strings of a value came in: `Val`'s equality does not look at them.
fn encodings(val: &Val) -> Vec<SourceEncoding> {
    let all = |vals: &[Val]| vals.iter().flat_map(encodings).collect();
    let maybe = |val: &Option<Box<Val>>| val.iter().flat_map(|val| encodings(val)).collect();
    match val {
        Val::String(text) => vec![text.encoding()],
        Val::List(List::Vals(vals)) | Val::Record(vals) | Val::Tuple(vals) => all(vals),
        Val::Variant { payload, .. } | Val::Option(payload) => maybe(payload),
        Val::Result(Ok(payload) | Err(payload)) => maybe(payload),
        Val::Map(entries) => {
            entries.iter().flat_map(|(k, v)| [encodings(k), encodings(v)].concat()).collect()
        }
        _ => Vec::new(),
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect()
}

fn memory(pieces: &str, size: usize) -> Vec<u8> {
    let (low, high) = pieces.split_once(':').unwrap();
    let (low, high) = (bytes(low), bytes(high));
    let mut memory = vec![0xa5; size.max(START + high.len())];
    memory[BASE..BASE + low.len()].copy_from_slice(&low);
    memory[START..START + high.len()].copy_from_slice(&high);
    memory
}

fn guest() -> PlainGuest {
    let mut guest = PlainGuest::new(SIZE);
    guest.next = START;
    (0..3).for_each(|i| assert_eq!(guest.handles.resource_new(RT, u64::from(100 + i)).unwrap(), i + 1));
    guest
}

fn flat_text(t: &ValType, ptr_type: PtrType) -> String {
    let letter = |t: &CoreType| match t {
        CoreType::I32 => 'i',
        CoreType::I64 => 'I',
        CoreType::F32 => 'f',
        CoreType::F64 => 'F',
    };
    match flatten_types(std::slice::from_ref(t), ptr_type, MAX_FLAT_PARAMS) {
        None => "*".to_string(),
        Some(flat) => flat.as_slice().iter().map(letter).collect(),
    }
}

fn vectors(kind: &str) -> Vec<Reader<'static>> {
    let lines: Vec<Reader<'static>> = include_str!("golden/vectors.txt")
        .lines()
        .filter(|line| line.split(' ').next() == Some(kind))
        .map(|line| {
            let mut tokens = line.split_ascii_whitespace();
            tokens.next();
            Reader { tokens, line }
        })
        .collect();
    assert!(lines.len() > 100, "{kind}: {}", lines.len());
    // Miri is a thousand times slower: every thirtieth will do.
    let step = if cfg!(miri) { 30 } else { 1 };
    lines.into_iter().step_by(step).collect()
}

#[test]
fn layouts_and_flat_types_are_the_specifications() {
    for mut r in vectors("type") {
        let t = r.ty();
        r.expect("=");
        for ptr_type in [PtrType::I32, PtrType::I64] {
            assert_eq!(t.alignment(ptr_type), r.number::<usize>(), "{}", r.line);
            assert_eq!(t.elem_size(ptr_type), r.number::<usize>(), "{}", r.line);
        }
        for ptr_type in [PtrType::I32, PtrType::I64] {
            assert_eq!(flat_text(&t, ptr_type), r.token(), "{}", r.line);
        }
    }
}

#[test]
fn stored_bytes_and_realloc_calls_are_the_specifications() {
    for mut r in vectors("store") {
        let opts = r.options();
        let t = r.ty();
        let val = r.val(&t);
        r.expect("=");
        val.check(&t).unwrap();
        let mut guest = guest();
        store(&mut LiftLowerContext::new(&mut guest, opts), &val, &t, BASE).unwrap();
        r.check_memory(&guest);
        // And back: the same value, now in the guest's encoding.
        if !r.line.contains("own") {
            let back = load(&mut LiftLowerContext::new(&mut guest, opts), BASE, &t).unwrap();
            assert_eq!(back, val, "{}", r.line);
        }
    }
}

#[test]
fn loaded_values_and_traps_are_the_specifications() {
    for mut r in vectors("load") {
        let opts = r.options();
        let t = r.ty();
        let mut guest = guest();
        // The memory ends where the vector's does: bounds are part of it.
        guest.memory = memory(r.token(), 0);
        r.expect("=");
        let lifted = load(&mut LiftLowerContext::new(&mut guest, opts), BASE, &t);
        r.check_lifted(&t, lifted);
    }
}

#[test]
fn lowered_core_values_are_the_specifications() {
    for mut r in vectors("lower") {
        let opts = r.options();
        let max_flat = r.number();
        let n: usize = r.number();
        let types: Vec<ValType> = (0..n).map(|_| r.ty()).collect();
        let vals = r.vals(types.iter());
        r.expect("=");
        let mut guest = guest();
        let mut slots = [u64::MAX; MAX_FLAT_PARAMS];
        let mut out = CoreValueSink::new(&mut slots);
        let mut cx = LiftLowerContext::new(&mut guest, opts);
        lower_flat_values(&mut cx, max_flat, &vals, &types, None, &mut out).unwrap();
        let filled = out.filled();
        assert_eq!(slots[..filled], r.flat(), "{}", r.line);
        r.check_memory(&guest);
        if !r.line.contains("own") {
            let mut cx = LiftLowerContext::new(&mut guest, opts);
            let mut vi = CoreValueIter::new(&slots[..filled]);
            assert_eq!(lift_flat_values(&mut cx, max_flat, &mut vi, &types).unwrap(), vals, "{}", r.line);
            assert_eq!(vi.taken(), filled);
        }
    }
}

#[test]
fn values_lifted_from_random_core_values_are_the_specifications() {
    for mut r in vectors("lift") {
        let opts = r.options();
        let t = r.ty();
        let mut guest = guest();
        guest.memory = bytes(r.token());
        let flat = r.flat();
        r.expect("=");
        let mut cx = LiftLowerContext::new(&mut guest, opts);
        let lifted = lift_flat(&mut cx, &mut CoreValueIter::new(&flat), &t);
        r.check_lifted(&t, lifted);
    }
}
