//! From a list of types to a plan.
//!
//! The walk is as deep as the types (`MAX_TYPE_DEPTH`) and ends when the plan has [`MAX_STEPS`]: a type that names one part very
//! often has a small description and a large unfolding.

use super::{At, Check, Elements, Needs, Plan, Scalar, Side, Step};
use crate::flatten::goes_flat;
use crate::layout::{PtrType, align_to};
use crate::types::{Cases, ValType, record_layout};
use crate::val::flags_mask;
use alloc::vec::Vec;

/// A plan has no more steps and targets than this.
pub const MAX_STEPS: usize = 1 << 14;

/// Making a plan takes no more looks at types than this.
const MAX_VISITS: u32 = 1 << 18;

/// The plan would have more than `MAX_STEPS` steps, or its types unfold into too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge;

impl Plan {
    /// The plan for values of `types`, of which at most `max_flat` core values go flat. `canonicalize_nans`: every NaN becomes the
    /// canonical one; else NaNs keep their bits (the specification allows both).
    ///
    /// # Errors
    /// [`TooLarge`].
    pub fn new(
        types: &[ValType],
        max_flat: usize,
        from: Side,
        to: Side,
        canonicalize_nans: bool,
    ) -> Result<Plan, TooLarge> {
        let plan = Plan { from, to, ..Plan::default() };
        let mut compiler = Compiler { plan, canonicalize_nans, depth: 0, fence: 0, visits: 0 };
        if goes_flat(types, max_flat) {
            let mut slot = 0;
            for t in types {
                compiler.value(t, At::Slot(slot))?;
                slot += t.layout().flat_count() as u8;
            }
        } else {
            let layout = record_layout(types.iter());
            let elements = Elements::new(from.ptr_type, to.ptr_type, |ptr| {
                (layout.elem_size(ptr), layout.alignment(ptr))
            });
            compiler.step(Step::Spilled { elements })?;
            compiler.plan.needs = Needs { memory: true, realloc: true, ..Needs::default() };
            compiler.depth = 1;
            compiler.plan.depth = 1;
            compiler.fields(types.iter(), At::Memory { from: 0, to: 0 })?;
        }
        Ok(compiler.plan)
    }
}

impl Elements {
    fn new(from: PtrType, to: PtrType, layout: impl Fn(PtrType) -> (usize, usize)) -> Elements {
        let ((from_size, from_alignment), (to_size, to_alignment)) = (layout(from), layout(to));
        Elements {
            from_size: from_size as u32,
            to_size: to_size as u32,
            from_alignment: from_alignment as u8,
            to_alignment: to_alignment as u8,
        }
    }
}

struct Compiler {
    plan: Plan,
    canonicalize_nans: bool,
    depth: u32,
    /// Steps before this one are jumped over or to: what comes later is not merged with them.
    fence: usize,
    visits: u32,
}

impl Compiler {
    fn here(&mut self) -> u32 {
        self.fence = self.plan.steps.len();
        self.fence as u32
    }

    fn step(&mut self, step: Step) -> Result<usize, TooLarge> {
        let at = self.plan.steps.len();
        if at + self.plan.targets.len() >= MAX_STEPS {
            return Err(TooLarge);
        }
        self.plan.steps.push(step);
        Ok(at)
    }

    /// Size and alignment of `t` on both sides.
    fn elements(&self, t: &ValType) -> Elements {
        Elements::new(self.plan.from.ptr_type, self.plan.to.ptr_type, |ptr| {
            (t.elem_size(ptr), t.alignment(ptr))
        })
    }

    /// Counts a look at a type.
    fn visit(&mut self) -> Result<(), TooLarge> {
        self.visits += 1;
        if self.visits > MAX_VISITS { Err(TooLarge) } else { Ok(()) }
    }

    fn value(&mut self, t: &ValType, at: At) -> Result<(), TooLarge> {
        self.visit()?;
        if let Some(kind) = self.scalar(t) {
            return self.scalar_step(kind, at);
        }
        match t {
            ValType::String => {
                self.plan.needs = Needs { memory: true, realloc: true, ..self.plan.needs };
                self.step(Step::String { at })?;
            }
            ValType::List(t) => match t.length() {
                None => self.list(t.element(), at)?,
                Some(length) => self.fixed_length_list(t.element(), length, at)?,
            },
            ValType::Map(t) => self.list(&ValType::Tuple(t.element().clone()), at)?,
            ValType::Record(t) => self.fields(t.fields().iter().map(|field| &field.t), at)?,
            ValType::Tuple(t) => self.fields(t.types().iter(), at)?,
            ValType::Variant(variant) => self.variant(Cases::of_variant(variant), at)?,
            ValType::Enum(cases) => self.variant(Cases::of_enum(cases), at)?,
            ValType::Option(option) => self.variant(Cases::of_option(option), at)?,
            ValType::Result(result) => self.variant(Cases::of_result(result), at)?,
            ValType::Own(rt) | ValType::Borrow(rt) => {
                let known = self.plan.resources.iter().position(|known| known == rt);
                let resource = known.unwrap_or(self.plan.resources.len()) as u32;
                if known.is_none() {
                    self.plan.resources.push(*rt);
                }
                if let ValType::Own(_) = t {
                    self.plan.needs.own = true;
                    self.step(Step::Own { at, resource })?;
                } else {
                    self.plan.needs.borrow = true;
                    self.step(Step::Borrow { at, resource })?;
                }
            }
            // The scalars, above.
            _ => {}
        }
        Ok(())
    }

    /// What happens to a value of type `t`, if it has no parts.
    fn scalar(&self, t: &ValType) -> Option<Scalar> {
        Some(match t {
            ValType::Bool => Scalar::Bool,
            ValType::U8 => Scalar::U8,
            ValType::S8 => Scalar::S8,
            ValType::U16 => Scalar::U16,
            ValType::S16 => Scalar::S16,
            ValType::F32 if self.canonicalize_nans => Scalar::F32,
            ValType::F64 if self.canonicalize_nans => Scalar::F64,
            ValType::U32 | ValType::S32 | ValType::F32 => Scalar::Word32,
            ValType::U64 | ValType::S64 | ValType::F64 => Scalar::Word64,
            ValType::Char => Scalar::Char,
            ValType::Flags(flags) => Scalar::Flags {
                size: t.elem_size(PtrType::I32) as u8,
                mask: flags_mask(flags.labels().len()),
            },
            ValType::Enum(cases) => {
                Scalar::Enum { size: t.elem_size(PtrType::I32) as u8, cases: Cases::of_enum(cases).len() }
            }
            _ => return None,
        })
    }

    fn scalar_step(&mut self, kind: Scalar, at: At) -> Result<(), TooLarge> {
        let At::Memory { from, to } = at else {
            self.step(Step::Scalar { kind, at })?;
            return Ok(());
        };
        if !kind.is_plain() {
            self.step(Step::Scalar { kind, at })?;
            return Ok(());
        }
        self.bytes(from, to, kind.size())
    }

    /// Bytes that need no look; together with the step before, if that leads up to here on both sides.
    fn bytes(&mut self, from: u32, to: u32, len: u32) -> Result<(), TooLarge> {
        let fence = self.fence;
        if let Some((i, Step::Bytes { from: before, to: before_to, len: length })) =
            self.plan.steps.iter_mut().enumerate().next_back()
            && i >= fence
            && *before + *length == from
            && *before_to + *length == to
        {
            *length += len;
            return Ok(());
        }
        self.step(Step::Bytes { from, to, len })?;
        Ok(())
    }

    fn fields<'t>(&mut self, types: impl Iterator<Item = &'t ValType>, mut at: At) -> Result<(), TooLarge> {
        for t in types {
            let elements = self.elements(t);
            if let At::Memory { from, to } = &mut at {
                *from = align(*from, elements.from_alignment);
                *to = align(*to, elements.to_alignment);
            }
            self.value(t, at)?;
            match &mut at {
                At::Slot(slot) => *slot += t.layout().flat_count() as u8,
                At::Memory { from, to } => {
                    *from += elements.from_size;
                    *to += elements.to_size;
                }
            }
        }
        Ok(())
    }

    fn variant(&mut self, cases: Cases<'_>, at: At) -> Result<(), TooLarge> {
        let first = self.plan.targets.len();
        let count = cases.len() as usize;
        if self.plan.steps.len() + first + count >= MAX_STEPS {
            return Err(TooLarge);
        }
        self.plan.targets.resize(first + count, 0);
        let size = cases.layout.discriminant_size;
        self.step(Step::Case { at, size, cases: cases.len(), first: first as u32 })?;
        let payload_at = match at {
            At::Slot(slot) => At::Slot(slot + 1),
            At::Memory { from, to } => At::Memory {
                from: from + cases.layout.payload_offset(self.plan.from.ptr_type) as u32,
                to: to + cases.layout.payload_offset(self.plan.to.ptr_type) as u32,
            },
        };
        let mut ends = Vec::new();
        for i in 0..count {
            self.plan.targets[first + i] = self.here();
            let payload = cases.payload(i as u32).flatten();
            if let Some(t) = payload {
                self.value(t, payload_at)?;
            }
            if let At::Slot(slot) = at {
                let used = 1 + payload.map_or(0, |t| t.layout().flat_count());
                let all = cases.layout.layout.flat_count();
                if used < all {
                    self.step(Step::Zero { first: slot + used as u8, end: slot + all as u8 })?;
                }
            }
            if i + 1 < count {
                ends.push(self.step(Step::Jump(0))?);
            }
        }
        let end = self.here();
        for jump in ends {
            self.plan.steps[jump] = Step::Jump(end);
        }
        Ok(())
    }

    fn list(&mut self, element: &ValType, at: At) -> Result<(), TooLarge> {
        self.plan.needs = Needs { memory: true, realloc: true, ..self.plan.needs };
        let elements = self.elements(element);
        if let Some(check) = self.whole(element)? {
            let (size, alignment) = (elements.from_size, elements.from_alignment);
            self.step(Step::Whole { at, size, alignment, check })?;
            return Ok(());
        }
        let begin = self.step(Step::List { at, elements, end: 0 })?;
        let end = self.each(element, begin)?;
        self.plan.steps[begin] = Step::List { at, elements, end };
        Ok(())
    }

    fn fixed_length_list(&mut self, element: &ValType, length: u32, at: At) -> Result<(), TooLarge> {
        let (from, to) = match at {
            At::Memory { from, to } => (from, to),
            At::Slot(mut slot) => {
                // Flat: at most `MAX_FLAT_PARAMS` core values.
                for _ in 0..length {
                    self.value(element, At::Slot(slot))?;
                    slot += element.layout().flat_count() as u8;
                }
                return Ok(());
            }
        };
        let elements = self.elements(element);
        if self.is_plain(element)? {
            return self.bytes(from, to, elements.from_size * length);
        }
        let repeat = |end| Step::Repeat { from, to, count: length, elements, end };
        let begin = self.step(repeat(0))?;
        let end = self.each(element, begin)?;
        self.plan.steps[begin] = repeat(end);
        Ok(())
    }

    /// The steps for one element of the list at `begin`; where the program goes on after the last.
    fn each(&mut self, element: &ValType, begin: usize) -> Result<u32, TooLarge> {
        self.depth += 1;
        self.plan.depth = self.plan.depth.max(self.depth);
        self.here();
        self.value(element, At::Memory { from: 0, to: 0 })?;
        self.step(Step::Next { begin: begin as u32 })?;
        self.depth -= 1;
        Ok(self.here())
    }

    /// Whether a list of `t` moves as a whole, and what its elements are checked for.
    fn whole(&mut self, t: &ValType) -> Result<Option<Check>, TooLarge> {
        if self.is_plain(t)? {
            return Ok(Some(Check::None));
        }
        Ok(self.scalar(t).map(Check::Scalar))
    }

    /// Whether all bytes of a `t` belong to numbers, so that any of them are a value, without padding or pointers.
    fn is_plain(&mut self, t: &ValType) -> Result<bool, TooLarge> {
        self.visit()?;
        let size = t.elem_size(PtrType::I32);
        match t {
            ValType::Record(record) => self.are_plain(record.fields().iter().map(|field| &field.t), size),
            ValType::Tuple(tuple) => self.are_plain(tuple.types().iter(), size),
            ValType::List(list) => Ok(list.length().is_some() && self.is_plain(list.element())?),
            _ => Ok(self.scalar(t).is_some_and(Scalar::is_plain)),
        }
    }

    fn are_plain<'t>(
        &mut self,
        types: impl Iterator<Item = &'t ValType>,
        size: usize,
    ) -> Result<bool, TooLarge> {
        let mut sum = 0;
        for t in types {
            if !self.is_plain(t)? {
                return Ok(false);
            }
            sum += t.elem_size(PtrType::I32);
        }
        Ok(sum == size)
    }
}

impl Scalar {
    /// Bytes in memory.
    pub fn size(self) -> u32 {
        match self {
            Scalar::Bool | Scalar::U8 | Scalar::S8 => 1,
            Scalar::U16 | Scalar::S16 => 2,
            Scalar::Word32 | Scalar::F32 | Scalar::Char => 4,
            Scalar::Word64 | Scalar::F64 => 8,
            Scalar::Flags { size, .. } | Scalar::Enum { size, .. } => u32::from(size),
        }
    }

    /// In memory: is every pattern of its bytes a value?
    fn is_plain(self) -> bool {
        match self {
            Scalar::U8 | Scalar::S8 | Scalar::U16 | Scalar::S16 | Scalar::Word32 | Scalar::Word64 => true,
            Scalar::Flags { size, mask } => mask.count_ones() == 8 * u32::from(size),
            Scalar::Bool | Scalar::F32 | Scalar::F64 | Scalar::Char | Scalar::Enum { .. } => false,
        }
    }
}

/// Offsets within a value, which is smaller than 2^28 bytes.
fn align(offset: u32, alignment: u8) -> u32 {
    align_to(offset as usize, usize::from(alignment)) as u32
}
