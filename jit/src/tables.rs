//! The flat tables that accompany native code of one module: which text belongs to which function, where entries lead, and
//! what each program counter means. Read in place, never decoded; written by the compiler, read by loader and trap handler.
//!
//! All numbers are little-endian `u32` unless said otherwise; offsets count from the start of the module's text, wasm
//! offsets from the start of the file. [`NONE`] stands for "there is none".
//!
//! | part    | entries          | one entry |
//! |---------|------------------|-----------|
//! | head    | 1                | own functions, types, array entries, sites, bytes of text, end of array entries, handlers, 0 |
//! | funcs   | own functions    | start, length, array entry ([`NONE`]: runs in the interpreter; the text is its fallback stub) |
//! | stubs   | types            | start of the stub that calls a function without native code |
//! | entries | array entries    | return address, handler, stack pointer below the frame pointer, `VmContext` slot below the frame pointer |
//! | handlers | handlers        | return address, handler, stack pointer and `VmContext` slot as above, offset of the tag's pointer in the `VmContext` ([`NONE`]: any tag) |
//! | pcs     | sites            | program counter, ascending |
//! | offsets | sites            | wasm offset of the operator |
//! | codes   | sites            | one byte: 0 for the return address of a call, else the trap's code |
//!
//! Handlers are those of exceptions, by return address; those of one call stand in the order in which they are tried.
//! Array entries stand first in the text, so "is this an entry?" is one comparison; functions stand in index order.
//!
//! Must not know: Cranelift, files, signals.

/// No such thing.
pub(crate) const NONE: u32 = u32::MAX;

const HEAD: usize = 32;
const FUNC: usize = 12;
const STUB: usize = 4;
const ENTRY: usize = 16;
const HANDLER: usize = 20;

/// What the compiler fills in. Sites may come in any order.
#[cfg_attr(not(feature = "compile"), allow(dead_code, reason = "only the compiler writes tables"))]
#[derive(Default)]
pub(crate) struct TablesBuilder {
    pub(crate) funcs: Vec<FuncRow>,
    pub(crate) stubs: Vec<u32>,
    pub(crate) entries: Vec<EntryRow>,
    pub(crate) handlers: Vec<HandlerRow>,
    pub(crate) sites: Vec<Site>,
    pub(crate) text_len: u32,
    pub(crate) entries_end: u32,
}

/// Text of an own function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct FuncRow {
    pub(crate) start: u32,
    pub(crate) len: u32,
    /// Its array entry, [`NONE`] when the interpreter runs it.
    pub(crate) entry: u32,
}

/// The call inside an array entry: how to come back to it from further in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct EntryRow {
    /// Return address of the call.
    pub(crate) ret: u32,
    /// Where guest frames are left to.
    pub(crate) handler: u32,
    /// The entry's stack pointer is this far below its frame pointer.
    pub(crate) sp: u32,
    /// The word that holds the entered `VmContext` is this far below the frame pointer.
    pub(crate) vmctx: u32,
}

/// Where a call inside a function goes on when an exception comes out of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct HandlerRow {
    /// Return address of the call.
    pub(crate) ret: u32,
    /// Where it goes on.
    pub(crate) handler: u32,
    /// The function's stack pointer is this far below its frame pointer.
    pub(crate) sp: u32,
    /// The word that holds its `VmContext` is this far below the frame pointer.
    pub(crate) vmctx: u32,
    /// Where the `VmContext` has the pointer to the tag that is caught; [`NONE`] for any.
    pub(crate) tag: u32,
}

/// A program counter with a meaning.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Site {
    pub(crate) pc: u32,
    /// 0: return address of a call.
    pub(crate) code: u8,
    /// Offset of the operator in the wasm file.
    pub(crate) offset: u32,
}

#[cfg_attr(not(feature = "compile"), allow(dead_code, reason = "only the compiler writes tables"))]
impl TablesBuilder {
    /// The tables as bytes.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.sites.sort_unstable();
        self.entries.sort_unstable_by_key(|e| e.ret);
        // Stable: the order of one call's handlers counts.
        self.handlers.sort_by_key(|h| h.ret);
        let mut out = Vec::with_capacity(
            HEAD + self.funcs.len() * FUNC
                + self.stubs.len() * STUB
                + self.entries.len() * ENTRY
                + self.handlers.len() * HANDLER
                + self.sites.len() * 9
                + 8,
        );
        let mut put = |n: u32| out.extend_from_slice(&n.to_le_bytes());
        for n in [
            self.funcs.len() as u32,
            self.stubs.len() as u32,
            self.entries.len() as u32,
            self.sites.len() as u32,
            self.text_len,
            self.entries_end,
            self.handlers.len() as u32,
            0,
        ] {
            put(n);
        }
        for f in &self.funcs {
            [f.start, f.len, f.entry].into_iter().for_each(&mut put);
        }
        self.stubs.iter().copied().for_each(&mut put);
        for e in &self.entries {
            [e.ret, e.handler, e.sp, e.vmctx].into_iter().for_each(&mut put);
        }
        for h in &self.handlers {
            [h.ret, h.handler, h.sp, h.vmctx, h.tag].into_iter().for_each(&mut put);
        }
        self.sites.iter().for_each(|s| put(s.pc));
        self.sites.iter().for_each(|s| put(s.offset));
        out.extend(self.sites.iter().map(|s| s.code));
        out.resize(out.len().next_multiple_of(8), 0);
        out
    }
}

/// Where each table lies in the bytes; the bytes themselves are handed in at each reading.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tables {
    funcs: usize,
    stubs: usize,
    entries: usize,
    handlers: usize,
    sites: usize,
    pub(crate) text_len: u32,
    pub(crate) entries_end: u32,
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let raw = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(raw.try_into().ok()?))
}

impl Tables {
    /// Reads the head and checks that the tables fill `bytes` exactly.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Tables> {
        let head = |i: usize| word(bytes, i * 4);
        let tables = Tables {
            funcs: head(0)? as usize,
            stubs: head(1)? as usize,
            entries: head(2)? as usize,
            sites: head(3)? as usize,
            text_len: head(4)?,
            entries_end: head(5)?,
            handlers: head(6)? as usize,
        };
        (head(7)? == 0 && tables.size()? == bytes.len() && tables.entries_end <= tables.text_len)
            .then_some(tables)
    }

    fn stubs_at(&self) -> usize {
        HEAD + self.funcs * FUNC
    }

    fn entries_at(&self) -> usize {
        self.stubs_at() + self.stubs * STUB
    }

    fn handlers_at(&self) -> usize {
        self.entries_at() + self.entries * ENTRY
    }

    fn pcs_at(&self) -> usize {
        self.handlers_at() + self.handlers * HANDLER
    }

    fn size(&self) -> Option<usize> {
        // Each count is below 2^32 and rows are short: no sum overflows 64 bits.
        self.sites.checked_mul(9)?.checked_add(self.pcs_at())?.checked_next_multiple_of(8)
    }

    /// Text of own function `own`.
    pub(crate) fn func(&self, bytes: &[u8], own: usize) -> Option<FuncRow> {
        let at = (own < self.funcs).then_some(HEAD + own * FUNC)?;
        let row = FuncRow { start: word(bytes, at)?, len: word(bytes, at + 4)?, entry: word(bytes, at + 8)? };
        let inside = row.start.checked_add(row.len)? <= self.text_len;
        (inside && (row.entry == NONE || row.entry < self.entries_end)).then_some(row)
    }

    /// Start of the stub for a type.
    pub(crate) fn stub(&self, bytes: &[u8], ty: usize) -> Option<u32> {
        let start = (ty < self.stubs).then(|| word(bytes, self.stubs_at() + ty * STUB))??;
        (start < self.text_len).then_some(start)
    }

    /// The array entry whose call returns to `ret`.
    pub(crate) fn entry(&self, bytes: &[u8], ret: u32) -> Option<EntryRow> {
        let at = |i: usize| self.entries_at() + i * ENTRY;
        let i = partition(self.entries, |i| word(bytes, at(i)).is_some_and(|pc| pc < ret));
        (i < self.entries && word(bytes, at(i))? == ret).then_some(())?;
        let row = |k: usize| word(bytes, at(i) + 4 * k);
        let entry = EntryRow { ret, handler: row(1)?, sp: row(2)?, vmctx: row(3)? };
        (entry.handler < self.entries_end).then_some(entry)
    }

    /// The handlers of the call that returns to `ret`, in order. Those that lead out of the function that holds the call, or have no
    /// place in its frame, are left out: no table makes anybody jump elsewhere.
    pub(crate) fn handlers<'t>(&'t self, bytes: &'t [u8], ret: u32) -> impl Iterator<Item = HandlerRow> + 't {
        let at = |i: usize| self.handlers_at() + i * HANDLER;
        let first = partition(self.handlers, |i| word(bytes, at(i)).is_some_and(|pc| pc < ret));
        let row = move |i: usize| {
            let field = |k: usize| word(bytes, at(i) + 4 * k);
            let [ret, handler, sp, vmctx, tag] = [field(0)?, field(1)?, field(2)?, field(3)?, field(4)?];
            Some(HandlerRow { ret, handler, sp, vmctx, tag })
        };
        let rows = (first..self.handlers).map_while(row).take_while(move |row| row.ret == ret);
        let own = self.func_at(bytes, ret.wrapping_sub(1));
        rows.filter(move |row| {
            let aligned = row.sp % 8 == 0 && row.vmctx % 8 == 0 && (row.tag == NONE || row.tag % 8 == 0);
            aligned
                && (8..=row.sp).contains(&row.vmctx)
                && own.is_some()
                && self.func_at(bytes, row.handler) == own
        })
    }

    /// The own function whose text holds `pc`.
    pub(crate) fn func_at(&self, bytes: &[u8], pc: u32) -> Option<usize> {
        let start = |i: usize| word(bytes, HEAD + i * FUNC);
        let after = partition(self.funcs, |i| start(i).is_some_and(|s| s <= pc));
        let own = after.checked_sub(1)?;
        let row = self.func(bytes, own)?;
        (pc - row.start < row.len).then_some(own)
    }

    /// The site at `pc`: a call that returns there if `call`, else a trap.
    pub(crate) fn site(&self, bytes: &[u8], pc: u32, call: bool) -> Option<Site> {
        let pcs = self.pcs_at();
        let mut i = partition(self.sites, |i| word(bytes, pcs + i * 4).is_some_and(|p| p < pc));
        while i < self.sites && word(bytes, pcs + i * 4)? == pc {
            let code = *bytes.get(pcs + self.sites * 8 + i)?;
            if (code == 0) == call {
                return Some(Site { pc, code, offset: word(bytes, pcs + self.sites * 4 + i * 4)? });
            }
            i += 1;
        }
        None
    }
}

/// The first index of `0..len` for which `before` is false.
fn partition(len: usize, before: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, len);
    while low < high {
        let middle = low + (high - low) / 2;
        if before(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        TablesBuilder {
            funcs: vec![
                FuncRow { start: 64, len: 16, entry: 0 },
                FuncRow { start: 80, len: 20, entry: NONE },
            ],
            stubs: vec![NONE, 48],
            entries: vec![EntryRow { ret: 20, handler: 30, sp: 96, vmctx: 8 }],
            handlers: vec![
                HandlerRow { ret: 85, handler: 90, sp: 32, vmctx: 8, tag: 64 },
                HandlerRow { ret: 70, handler: 74, sp: 32, vmctx: 8, tag: 72 },
                HandlerRow { ret: 70, handler: 76, sp: 32, vmctx: 8, tag: NONE },
                // Out of the function, out of the text, out of the frame.
                HandlerRow { ret: 75, handler: 84, sp: 32, vmctx: 8, tag: NONE },
                HandlerRow { ret: 75, handler: 200, sp: 32, vmctx: 8, tag: NONE },
                HandlerRow { ret: 75, handler: 76, sp: 32, vmctx: 40, tag: NONE },
                HandlerRow { ret: 75, handler: 76, sp: 32, vmctx: 4, tag: NONE },
            ],
            sites: vec![
                Site { pc: 90, code: 3, offset: 7 },
                Site { pc: 70, code: 2, offset: 5 },
                Site { pc: 70, code: 0, offset: 4 },
            ],
            text_len: 100,
            entries_end: 48,
        }
        .finish()
    }

    #[test]
    fn what_is_written_is_found_again() {
        let bytes = sample();
        let t = Tables::parse(&bytes).unwrap();
        assert_eq!(t.func(&bytes, 1), Some(FuncRow { start: 80, len: 20, entry: NONE }));
        assert_eq!(t.func(&bytes, 2), None);
        assert_eq!((t.stub(&bytes, 0), t.stub(&bytes, 1), t.stub(&bytes, 2)), (None, Some(48), None));
        assert_eq!(t.entry(&bytes, 20).map(|e| e.handler), Some(30));
        assert_eq!(t.entry(&bytes, 21), None);
        assert_eq!(
            (t.func_at(&bytes, 63), t.func_at(&bytes, 79), t.func_at(&bytes, 90)),
            (None, Some(0), Some(1))
        );
        let handlers = |ret| t.handlers(&bytes, ret).map(|h| h.handler).collect::<Vec<u32>>();
        assert_eq!((handlers(70), handlers(85), handlers(71)), (vec![74, 76], vec![90], vec![]));
        assert_eq!(handlers(75), []);
        assert_eq!(t.site(&bytes, 70, true).map(|s| s.offset), Some(4));
        assert_eq!(t.site(&bytes, 70, false).map(|s| (s.code, s.offset)), Some((2, 5)));
        assert_eq!(t.site(&bytes, 71, false), None);
    }

    #[test]
    fn tables_of_the_wrong_length_are_refused() {
        let bytes = sample();
        for len in 0..bytes.len() {
            assert!(Tables::parse(&bytes[..len]).is_none(), "{len}");
        }
        let mut long = bytes;
        long.push(0);
        assert!(Tables::parse(&long).is_none());
    }
}
