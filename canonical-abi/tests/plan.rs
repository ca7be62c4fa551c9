//! Plans against their oracle: what lifting every value out of the source and then lowering it into the destination gives, a
//! plan gives as well, to the byte and to the call of `realloc`, whatever the source, the types and `realloc` are up to.

mod plain_guest;
mod random;

use mini_wasm_canonical_abi::handle::BorrowScope;
use mini_wasm_canonical_abi::plan::{PIECE_BYTES, Plan, Side, Sides, TooLarge};
use mini_wasm_canonical_abi::string::SourceEncoding;
use mini_wasm_canonical_abi::*;
use plain_guest::{Hostile, PlainGuest};
use proptest::prelude::*;
use random::{typed_values_of, types_with_handles};

/// A memory for most that goes over.
const SMALL: usize = 1 << 16;

/// Two guests.
struct Pair {
    from: PlainGuest,
    to: PlainGuest,
    /// How often it may be asked whether there is time for more.
    patience: usize,
}

impl Sides for Pair {
    fn memories(&mut self) -> (&[u8], &mut [u8]) {
        (&self.from.memory, &mut self.to.memory)
    }

    fn realloc(
        &mut self,
        old_ptr: usize,
        old_size: usize,
        alignment: usize,
        new_size: usize,
    ) -> Result<usize> {
        self.to.realloc(old_ptr, old_size, alignment, new_size)
    }

    fn charge(&mut self, _bytes: usize) -> Result<()> {
        Ok(())
    }

    fn pause(&mut self) -> Result<()> {
        self.patience = self.patience.checked_sub(1).ok_or(Error::Guest("no more time".into()))?;
        Ok(())
    }

    fn transfer_own(&mut self, index: u32, rt: ResourceType) -> Result<u32> {
        let resource = self.from.lift_own(index, rt)?;
        self.to.lower_own(resource, rt)
    }

    fn transfer_borrow(&mut self, index: u32, rt: ResourceType) -> Result<u32> {
        let resource = self.from.lift_borrow(index, rt)?;
        self.to.lower_borrow(resource, rt)
    }
}

const SLOTS: usize = MAX_FLAT_PARAMS + 1;
/// Where results go that are not flat. Nothing else is there.
const OUT: usize = 8192;

/// One call's parameters or results.
#[derive(Clone, Debug)]
struct Crossing {
    types: Vec<ValType>,
    vals: Vec<Val>,
    from: Options,
    to: Options,
    /// Parameters; else results.
    params: bool,
    hostile: Option<(usize, Hostile)>,
    grow: usize,
    /// Bytes of the source and slots that are other than they should be.
    wrong: Vec<(usize, u8)>,
    /// The size of both memories.
    memory: usize,
}

impl Crossing {
    fn max_flat(&self) -> usize {
        if self.params { MAX_FLAT_PARAMS } else { MAX_FLAT_RESULTS }
    }

    /// The guests before the call, the source's slots, where results go.
    fn before(&self) -> (Pair, [u64; SLOTS], Option<usize>) {
        let [from, to] = [(); 2].map(|()| PlainGuest::new(self.memory));
        let mut pair = Pair { from, to, patience: usize::MAX };
        let mut slots = [0; SLOTS];
        let mut cx = LiftLowerContext::new(&mut pair.from, self.from);
        let mut sink = CoreValueSink::new(&mut slots);
        lower_flat_values(&mut cx, self.max_flat(), &self.vals, &self.types, None, &mut sink).unwrap();
        let used = pair.from.next;
        for (at, byte) in &self.wrong {
            match at % 4 {
                0 => slots[at / 4 % SLOTS] ^= u64::from(*byte) << (at % 29),
                _ => pair.from.memory[at % used] ^= byte,
            }
        }
        pair.to.next = 16384;
        pair.to.hostile = self.hostile;
        pair.to.grow = self.grow;
        let spills = flatten::flat_count(&self.types) > self.max_flat();
        (pair, slots, (spills && !self.params).then_some(OUT))
    }

    fn oracle(&self) -> (Result<[u64; SLOTS]>, Pair) {
        let (mut pair, slots, out_param) = self.before();
        let mut result = [0xdead; SLOTS];
        let mut run = || {
            let mut cx = LiftLowerContext::new(&mut pair.from, self.from);
            let vals =
                lift_flat_values(&mut cx, self.max_flat(), &mut CoreValueIter::new(&slots), &self.types)?;
            let mut cx = LiftLowerContext::new(&mut pair.to, self.to);
            let mut sink = CoreValueSink::new(&mut result);
            lower_flat_values(&mut cx, self.max_flat(), &vals, &self.types, out_param, &mut sink)
        };
        (run().map(|()| result), pair)
    }

    fn plan(&self, patience: usize) -> (Result<[u64; SLOTS]>, Pair) {
        let side = |opts: Options| Side { string_encoding: opts.string_encoding, ptr_type: opts.ptr_type };
        let plan = Plan::new(&self.types, self.max_flat(), side(self.from), side(self.to), true).unwrap();
        let (mut pair, slots, out_param) = self.before();
        pair.patience = patience;
        let mut result = [0xdead; SLOTS];
        let run = plan.run(&mut pair, &slots, &mut result, out_param);
        (run.map(|()| result), pair)
    }

    /// Compares both. `same_traps`: also the words of the trap, and what there was before it.
    fn check(&self, same_traps: bool) {
        let ((want, oracle), (have, plan)) = (self.oracle(), self.plan(usize::MAX));
        match (&want, &have) {
            (Ok(want), Ok(have)) => {
                assert_eq!(want, have);
                for (before, after) in [(&oracle.from, &plan.from), (&oracle.to, &plan.to)] {
                    assert!(before.memory == after.memory, "memories differ");
                    let handles = |guest: &PlainGuest| format!("{:?}", guest.handles);
                    assert_eq!(sorted(before), sorted(after));
                    if std::ptr::eq(before, &oracle.from) {
                        assert_eq!(handles(before), handles(after));
                    }
                    assert_eq!(before.subtask, after.subtask);
                    let borrows = |guest: &PlainGuest| guest.tasks.check_return(BorrowScope(0));
                    assert_eq!(borrows(before), borrows(after));
                }
                assert_eq!(oracle.to.calls, plan.to.calls);
            }
            (Err(want), Err(have)) => {
                if same_traps {
                    assert_eq!(want.to_string(), have.to_string());
                    assert_eq!(oracle.to.calls, plan.to.calls);
                }
            }
            _ => panic!("{want:?} {have:?}"),
        }
    }
}

/// All handles with their indices.
fn sorted(guest: &PlainGuest) -> Vec<(u32, handle::ResourceHandle)> {
    guest.handles.iter().collect()
}

fn encodings() -> impl Strategy<Value = StringEncoding> {
    use StringEncoding::*;
    prop::sample::select(vec![Utf8, Utf16, Latin1OrUtf16])
}

fn options() -> impl Strategy<Value = Options> {
    (encodings(), prop::sample::select(vec![PtrType::I32, PtrType::I32, PtrType::I64]))
        .prop_map(|(string_encoding, ptr_type)| Options { string_encoding, ptr_type, ..Options::default() })
}

fn hostile() -> impl Strategy<Value = Hostile> {
    use Hostile::*;
    prop::sample::select(vec![Beyond(1), Beyond(8), Far, Wrapping, Odd, Overlap, AtEnd, Trap])
}

fn crossings() -> impl Strategy<Value = Crossing> {
    let typed = (any::<bool>(), 1usize..6).prop_flat_map(|(params, n)| {
        let n = if params { n } else { 1 };
        (Just(params), typed_values_of(types_with_handles(), n))
    });
    (typed, options(), options(), prop::sample::select(vec![0usize, 0, 16, 4096])).prop_map(
        |((params, (types, vals)), from, to, grow)| {
            // No borrows in results.
            let params = params || types.iter().any(ValType::contains_borrow);
            Crossing { types, vals, from, to, params, hostile: None, grow, wrong: Vec::new(), memory: SMALL }
        },
    )
}

fn config() -> ProptestConfig {
    ProptestConfig {
        // `MINI_WASM_LONG`: a quarter of a million of each kind.
        cases: match std::env::var_os("MINI_WASM_LONG") {
            _ if cfg!(miri) => 4,
            Some(_) => 250_000,
            None => 1500,
        },
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_plan_moves_what_lifting_and_lowering_moves(crossing in crossings()) {
        crossing.check(true);
    }

    #[test]
    fn a_hostile_realloc_meets_the_same_calls_and_the_same_end(
        crossing in crossings(),
        call in 0usize..6,
        hostile in hostile(),
    ) {
        Crossing { hostile: Some((call, hostile)), ..crossing }.check(true);
    }

    #[test]
    fn a_source_that_lies_traps_where_lifting_does(
        crossing in crossings(),
        wrong in proptest::collection::vec((any::<usize>(), 1u8..=255), 1..4),
    ) {
        Crossing { wrong, ..crossing }.check(false);
    }

    #[test]
    fn strings_of_any_length_cross_between_all_encodings(
        prefix in prop_oneof!["[ -~]{0,70}", "[ -ÿ]{0,70}", "[ࠀ-퟿]{0,70}", ".{0,70}"],
        middle in prop_oneof![Just(String::new()), "[ -~]{1000,1100}", "[ -ÿ]{1000,1100}"],
        suffix in prop_oneof!["[ -~]{0,70}", "[ -ÿ]{0,70}", "[ࠀ-퟿]{0,70}", ".{0,70}"],
        tagged in any::<bool>(),
        (from, to) in (options(), options()),
        hostile in prop::option::of((0usize..4, hostile())),
        wrong in prop_oneof![3 => Just(Vec::new()), 1 => proptest::collection::vec((any::<usize>(), 1u8..=255), 1)],
    ) {
        let text = format!("{prefix}{middle}{suffix}");
        let encoding = match from.string_encoding {
            StringEncoding::Utf8 => SourceEncoding::Utf8,
            StringEncoding::Utf16 => SourceEncoding::Utf16,
            StringEncoding::Latin1OrUtf16 if tagged => SourceEncoding::TaggedUtf16,
            // What is not Latin-1 becomes tagged.
            StringEncoding::Latin1OrUtf16 => SourceEncoding::Utf8,
        };
        let same_traps = wrong.is_empty();
        let vals = vec![Val::String(Text::with_encoding(text, encoding))];
        let types = vec![ValType::String];
        Crossing { types, vals, from, to, params: true, hostile, grow: 0, wrong, memory: SMALL }.check(same_traps);
    }
}

#[test]
#[cfg_attr(miri, ignore = "megabytes")]
fn long_strings_cross_in_pieces_between_all_encodings_and_stop_when_time_is_over() {
    use SourceEncoding as S;
    use StringEncoding::*;
    let plain = "a".repeat(PIECE_BYTES - 1);
    // A character of each length across the first cut; one that is the first not to be Latin-1
    // behind two cuts.
    let mut texts = vec![
        plain.repeat(2) + "aaa",
        "é".repeat(PIECE_BYTES + 7),
        "☃".repeat(PIECE_BYTES),
        "🍰".repeat(PIECE_BYTES / 2),
    ];
    for c in ['é', '☃', '🍰'] {
        texts.push(format!("{plain}{c}{plain}aa"));
        texts.push(format!("é{plain}{c}{plain}{c}"));
    }
    let sources =
        [(Utf8, S::Utf8), (Utf16, S::Utf16), (Latin1OrUtf16, S::Utf8), (Latin1OrUtf16, S::TaggedUtf16)];
    for text in texts {
        for (from, encoding) in sources {
            for to in [Utf8, Utf16, Latin1OrUtf16] {
                let options = |string_encoding| Options { string_encoding, ..Options::default() };
                let crossing = Crossing {
                    types: vec![ValType::String],
                    vals: vec![Val::String(Text::with_encoding(text.clone(), encoding))],
                    from: options(from),
                    to: options(to),
                    params: true,
                    hostile: None,
                    grow: 0,
                    wrong: Vec::new(),
                    memory: 16 << 20,
                };
                crossing.check(true);
                let (interrupted, _) = crossing.plan(0);
                assert!(matches!(interrupted, Err(Error::Guest(_))), "{from:?} {encoding:?} {to:?}");
            }
        }
    }
}

#[test]
fn a_type_that_unfolds_without_end_has_no_plan() {
    let mut t = ValType::String;
    for _ in 0..40 {
        match ValType::tuple([t.clone(), t.clone()]) {
            Ok(larger) => t = larger,
            Err(_) => break,
        }
    }
    let side = Side::default();
    assert_eq!(Plan::new(&[t], MAX_FLAT_PARAMS, side, side, false).err(), Some(TooLarge));
}

#[test]
fn numbers_that_no_canonical_nan_is_asked_of_cross_as_they_are() {
    let side = Side::default();
    let floats = [ValType::F32, ValType::F64, ValType::U32, ValType::S64];
    let plan = |canonicalize| Plan::new(&floats, MAX_FLAT_PARAMS, side, side, canonicalize).unwrap();
    assert!(plan(false).is_identity());
    assert!(!plan(true).is_identity());
    assert!(!Plan::new(&[ValType::U8], MAX_FLAT_PARAMS, side, side, false).unwrap().is_identity());
}

#[test]
fn a_list_of_numbers_is_one_step_and_so_are_records_of_them_without_padding() {
    let side = Side::default();
    let steps = |t: ValType| {
        Plan::new(&[ValType::list(t).unwrap()], MAX_FLAT_PARAMS, side, side, false).unwrap().len()
    };
    let tuple = |types: &[ValType]| ValType::tuple(types.to_vec()).unwrap();
    assert_eq!(steps(ValType::U8), 1);
    assert_eq!(steps(ValType::Char), 1);
    assert_eq!(steps(tuple(&[ValType::F64, ValType::U32, ValType::S32])), 1);
    // Four bytes of padding: they stay behind.
    assert!(steps(tuple(&[ValType::F64, ValType::U32])) > 1);
}
