//! Alignment and element size of a type in linear memory, and how many flat values it becomes.
//! CanonicalABI.md: "Alignment", "Element Size"; the count is the length of "Flattening"'s `flatten_type`.
//!
//! A `Layout` is computed once per type, from the layouts of its parts, so a type that names one part many times is never
//! walked again. The same `const` functions serve the dynamic types (types.rs) and Rust types (typed.rs).
//!
//! Must not know: types, values, memories.

use crate::flatten::MAX_FLAT_PARAMS;

/// The address type of a linear memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum PtrType {
    /// 32-bit addresses.
    #[default]
    I32,
    /// 64-bit addresses (memory64).
    I64,
}

impl PtrType {
    /// Bytes of a pointer (`ptr_size`).
    #[inline]
    pub const fn size(self) -> usize {
        match self {
            PtrType::I32 => 4,
            PtrType::I64 => 8,
        }
    }

    /// The address (or length) that a slot holds. What is no address of this machine is beyond any memory.
    #[inline]
    pub fn address(self, slot: u64) -> usize {
        match self {
            PtrType::I32 => slot as u32 as usize,
            PtrType::I64 => usize::try_from(slot).unwrap_or(usize::MAX),
        }
    }

    /// The slot that holds an address (or length) of such a memory.
    #[inline]
    pub const fn slot(self, address: usize) -> u64 {
        match self {
            PtrType::I32 => address as u32 as u64,
            PtrType::I64 => address as u64,
        }
    }
}

/// No type is as large as this, in bytes, with 64-bit pointers (`elem_size(t, 'i64') < 2**28`).
pub const MAX_ELEM_SIZE: u32 = 1 << 28;

/// What `Layout::flat_count` says of a type with more flat values than any call passes flat.
pub const FLAT_COUNT_MANY: u8 = MAX_FLAT_PARAMS as u8 + 1;

/// How a type lies in memory, for 32-bit and for 64-bit pointers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    alignment: [u8; 2],
    elem_size: [u32; 2],
    flat_count: u8,
}

impl Layout {
    /// A number of `size` bytes: 1, 2, 4 or 8. One flat value.
    pub const fn scalar(size: u8) -> Layout {
        Layout { alignment: [size; 2], elem_size: [size as u32; 2], flat_count: 1 }
    }

    /// A pointer and a length: string, list, map.
    pub const fn pointer_and_length() -> Layout {
        Layout { alignment: [4, 8], elem_size: [8, 16], flat_count: 2 }
    }

    /// Flags with `labels` labels (`alignment_flags`, `elem_size_flags`).
    pub const fn flags(labels: usize) -> Layout {
        Layout::scalar(match labels {
            0..=8 => 1,
            9..=16 => 2,
            _ => 4,
        })
    }

    /// `length` times `self`, one after the other: a list of fixed length.
    pub const fn repeat(self, length: u32) -> Layout {
        let flat = self.flat_count as u64 * length as u64;
        Layout {
            alignment: self.alignment,
            elem_size: [
                saturate(self.elem_size[0] as u64 * length as u64),
                saturate(self.elem_size[1] as u64 * length as u64),
            ],
            flat_count: if flat > MAX_FLAT_PARAMS as u64 { FLAT_COUNT_MANY } else { flat as u8 },
        }
    }

    /// In bytes: 1, 2, 4 or 8.
    #[inline]
    pub const fn alignment(&self, ptr: PtrType) -> usize {
        self.alignment[ptr as usize] as usize
    }

    /// In bytes, a multiple of the alignment.
    #[inline]
    pub const fn elem_size(&self, ptr: PtrType) -> usize {
        self.elem_size[ptr as usize] as usize
    }

    /// How many flat values, or `FLAT_COUNT_MANY` for more than `MAX_FLAT_PARAMS`.
    #[inline]
    pub const fn flat_count(&self) -> usize {
        self.flat_count as usize
    }

    /// Whether values of this layout go flat where `max_flat` core values may (never more than `MAX_FLAT_PARAMS`).
    #[inline]
    pub const fn goes_flat(&self, max_flat: usize) -> bool {
        self.flat_count as usize <= max_flat && self.flat_count < FLAT_COUNT_MANY
    }

    /// Whether the size is below `MAX_ELEM_SIZE`.
    pub const fn is_valid(&self) -> bool {
        self.elem_size[1] < MAX_ELEM_SIZE && self.elem_size[0] < MAX_ELEM_SIZE
    }
}

/// Sizes at and beyond the limit are all alike: too large.
const fn saturate(size: u64) -> u32 {
    if size >= MAX_ELEM_SIZE as u64 { MAX_ELEM_SIZE } else { size as u32 }
}

const fn add_flat(a: u8, b: u8) -> u8 {
    let sum = a as usize + b as usize;
    if sum > MAX_FLAT_PARAMS { FLAT_COUNT_MANY } else { sum as u8 }
}

const fn max_u8(a: u8, b: u8) -> u8 {
    if a > b { a } else { b }
}

/// The next multiple of `alignment` (a power of two) at or above `ptr`, or `usize::MAX` where there is none.
#[inline]
pub const fn align_to(ptr: usize, alignment: usize) -> usize {
    match ptr.checked_add(alignment - 1) {
        Some(sum) => sum & !(alignment - 1),
        None => usize::MAX,
    }
}

/// `align_to` for sizes that are saturated below 2^29.
const fn align_size(size: u32, alignment: u8) -> u64 {
    let a = alignment as u64;
    (size as u64 + a - 1) & !(a - 1)
}

/// Builds the layout of a record or tuple, field by field (`alignment_record`, `elem_size_record`, `flatten_record`).
#[derive(Clone, Copy, Debug)]
pub struct RecordLayout(Layout);

impl RecordLayout {
    /// No fields yet.
    #[expect(clippy::new_without_default, reason = "const")]
    pub const fn new() -> RecordLayout {
        RecordLayout(Layout { alignment: [1; 2], elem_size: [0; 2], flat_count: 0 })
    }

    /// One field more.
    pub const fn field(mut self, field: Layout) -> RecordLayout {
        let mut p = 0;
        while p < 2 {
            self.0.alignment[p] = max_u8(self.0.alignment[p], field.alignment[p]);
            self.0.elem_size[p] =
                saturate(align_size(self.0.elem_size[p], field.alignment[p]) + field.elem_size[p] as u64);
            p += 1;
        }
        self.0.flat_count = add_flat(self.0.flat_count, field.flat_count);
        self
    }

    /// The layout of all fields together.
    pub const fn finish(mut self) -> Layout {
        let mut p = 0;
        while p < 2 {
            self.0.elem_size[p] = saturate(align_size(self.0.elem_size[p], self.0.alignment[p]));
            p += 1;
        }
        self.0
    }
}

/// How a variant lies in memory: the whole, and where discriminant and payload are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VariantLayout {
    /// Alignment, size and flat count of the variant.
    pub layout: Layout,
    /// Bytes of the discriminant (`elem_size(discriminant_type(cases))`): 1, 2 or 4.
    pub discriminant_size: u8,
    payload_offset: [u8; 2],
}

impl VariantLayout {
    /// Where the payload begins.
    #[inline]
    pub const fn payload_offset(&self, ptr: PtrType) -> usize {
        self.payload_offset[ptr as usize] as usize
    }
}

/// Builds the layout of a variant, case by case (`alignment_variant`, `elem_size_variant`, `flatten_variant`).
#[derive(Clone, Copy, Debug)]
pub struct VariantLayoutBuilder {
    cases: u32,
    max_alignment: [u8; 2],
    max_size: [u32; 2],
    max_flat: u8,
}

impl VariantLayoutBuilder {
    /// No cases yet.
    #[expect(clippy::new_without_default, reason = "const")]
    pub const fn new() -> VariantLayoutBuilder {
        VariantLayoutBuilder { cases: 0, max_alignment: [1; 2], max_size: [0; 2], max_flat: 0 }
    }

    /// One case more, with or without a payload.
    pub const fn case(mut self, payload: Option<Layout>) -> VariantLayoutBuilder {
        self.cases = self.cases.saturating_add(1);
        if let Some(payload) = payload {
            let mut p = 0;
            while p < 2 {
                self.max_alignment[p] = max_u8(self.max_alignment[p], payload.alignment[p]);
                if payload.elem_size[p] > self.max_size[p] {
                    self.max_size[p] = payload.elem_size[p];
                }
                p += 1;
            }
            self.max_flat = max_u8(self.max_flat, payload.flat_count);
        }
        self
    }

    /// `n` cases more, none with a payload.
    pub const fn cases(mut self, n: u32) -> VariantLayoutBuilder {
        self.cases = self.cases.saturating_add(n);
        self
    }

    /// The layout of the variant.
    pub const fn finish(self) -> VariantLayout {
        let discriminant_size = discriminant_size(self.cases);
        let mut layout =
            Layout { alignment: [1; 2], elem_size: [0; 2], flat_count: add_flat(1, self.max_flat) };
        let mut payload_offset = [0; 2];
        let mut p = 0;
        while p < 2 {
            let offset = align_size(discriminant_size as u32, self.max_alignment[p]);
            payload_offset[p] = offset as u8;
            layout.alignment[p] = max_u8(discriminant_size, self.max_alignment[p]);
            let size = saturate(offset + self.max_size[p] as u64);
            layout.elem_size[p] = saturate(align_size(size, layout.alignment[p]));
            p += 1;
        }
        VariantLayout { layout, discriminant_size, payload_offset }
    }
}

/// Bytes of the smallest unsigned integer that can name each of `cases` cases (`discriminant_type`).
pub const fn discriminant_size(cases: u32) -> u8 {
    match cases {
        0..=0x100 => 1,
        0x101..=0x1_0000 => 2,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_pads_its_fields_and_its_end() {
        let layout = RecordLayout::new()
            .field(Layout::scalar(1))
            .field(Layout::scalar(4))
            .field(Layout::scalar(2))
            .finish();
        assert_eq!(layout.elem_size(PtrType::I32), 12);
        assert_eq!(layout.alignment(PtrType::I32), 4);
        assert_eq!(layout.flat_count(), 3);
    }

    #[test]
    fn the_discriminant_grows_with_the_number_of_cases() {
        for (cases, size) in [(1, 1), (2, 1), (256, 1), (257, 2), (65_536, 2), (65_537, 4), (u32::MAX, 4)] {
            assert_eq!(discriminant_size(cases), size, "{cases}");
        }
    }

    #[test]
    fn the_payload_of_every_case_begins_at_the_same_place() {
        let variant = VariantLayoutBuilder::new()
            .case(Some(Layout::scalar(1)))
            .case(None)
            .case(Some(Layout::scalar(8)))
            .finish();
        assert_eq!(variant.payload_offset(PtrType::I32), 8);
        assert_eq!(variant.layout.elem_size(PtrType::I32), 16);
        assert_eq!(variant.layout.flat_count(), 2);
    }

    #[test]
    fn pointers_are_eight_bytes_in_a_64_bit_memory() {
        let layout =
            RecordLayout::new().field(Layout::scalar(4)).field(Layout::pointer_and_length()).finish();
        assert_eq!((layout.elem_size(PtrType::I32), layout.alignment(PtrType::I32)), (12, 4));
        assert_eq!((layout.elem_size(PtrType::I64), layout.alignment(PtrType::I64)), (24, 8));
    }

    #[test]
    fn sizes_beyond_the_limit_saturate_and_are_not_valid() {
        let big = Layout::scalar(8).repeat(u32::MAX);
        assert!(!big.is_valid());
        assert_eq!(big.flat_count(), usize::from(FLAT_COUNT_MANY));
        let mut record = RecordLayout::new();
        for _ in 0..100 {
            record = record.field(big);
        }
        assert!(!record.finish().is_valid());
        assert!(Layout::scalar(1).repeat(MAX_ELEM_SIZE - 1).is_valid());
        assert!(!Layout::scalar(1).repeat(MAX_ELEM_SIZE).is_valid());
    }

    #[test]
    fn aligning_the_last_addresses_does_not_wrap() {
        assert_eq!(align_to(5, 4), 8);
        assert_eq!(align_to(8, 4), 8);
        assert_ne!(align_to(usize::MAX, 4), 0);
    }
}
