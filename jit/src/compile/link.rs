//! Puts compiled functions one behind the other and makes them point at each other: a `cranelift_module::Module` whose output is
//! one blob of text and a set of named data.
//!
//! Cranelift's declarations give every function and table its id, name and signature; definitions are checked against
//! them. All references are relative to the program counter, so the text runs wherever it is mapped (at the start of a page,
//! which AArch64's `adrp` pairs need) and nothing is relocated when it is loaded.
//!
//! Must not know: wasm, tables' contents, files.

#![allow(clippy::result_large_err, reason = "the trait's own error type")]

use cranelift_codegen::binemit::Reloc;
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::ir::Signature;
use cranelift_codegen::isa::TargetIsa;
use cranelift_codegen::{CodegenError, Context};
use cranelift_module::{
    DataDescription, DataId, FuncId, Init, Linkage, Module, ModuleDeclarations, ModuleError, ModuleReloc,
    ModuleRelocTarget, ModuleResult,
};
use std::collections::HashMap;

/// Text, and data by name.
pub(crate) type Linked = (Vec<u8>, HashMap<String, Box<[u8]>>);

/// The text and data of one module.
pub(crate) struct TextModule<'a> {
    isa: &'a dyn TargetIsa,
    declarations: ModuleDeclarations,
    text: Vec<u8>,
    starts: HashMap<FuncId, u32>,
    relocs: Vec<(u32, ModuleReloc)>,
    data: HashMap<DataId, Box<[u8]>>,
}

impl<'a> TextModule<'a> {
    pub(crate) fn new(isa: &'a dyn TargetIsa) -> TextModule<'a> {
        TextModule {
            isa,
            declarations: ModuleDeclarations::default(),
            text: Vec::new(),
            starts: HashMap::new(),
            relocs: Vec::new(),
            data: HashMap::new(),
        }
    }

    /// Bytes of text so far.
    pub(crate) fn len(&self) -> u32 {
        self.text.len() as u32
    }

    /// Where a defined function starts.
    pub(crate) fn start(&self, func: FuncId) -> Option<u32> {
        self.starts.get(&func).copied()
    }

    /// Resolves all references. Text, and the data by name.
    pub(crate) fn finish(mut self) -> ModuleResult<Linked> {
        let relocs = std::mem::take(&mut self.relocs);
        // RISC-V's lower halves name the instruction with the upper half; the distance is that one's.
        let mut upper = HashMap::new();
        for (start, reloc) in relocs.iter().filter(|(_, reloc)| reloc.kind == Reloc::RiscvPCRelHi20) {
            let at = start + reloc.offset;
            upper.insert(at, i64::from(self.address(&reloc.name)?) + reloc.addend - i64::from(at));
        }
        for (start, reloc) in relocs {
            let target = self.address(&reloc.name)?;
            apply(&mut self.text, start + reloc.offset, &reloc, target, &upper)
                .ok_or_else(|| unsupported(&format!("{:?} to {}", reloc.kind, reloc.name)))?;
        }
        let named = |(id, bytes): (DataId, Box<[u8]>)| {
            (self.declarations.get_data_decl(id).linkage_name(id).into_owned(), bytes)
        };
        Ok((self.text, self.data.into_iter().map(named).collect()))
    }

    fn address(&self, name: &ModuleRelocTarget) -> ModuleResult<u32> {
        let start = |func: FuncId| {
            let name = || self.declarations.get_function_decl(func).linkage_name(func).into_owned();
            self.start(func).ok_or_else(|| ModuleError::Undeclared(name()))
        };
        match name {
            ModuleRelocTarget::User { namespace: 0, .. } => start(FuncId::from_name(name)),
            ModuleRelocTarget::FunctionOffset(func, offset) => Ok(start(*func)? + offset),
            other => Err(unsupported(&format!("a reference to {other}"))),
        }
    }
}

fn unsupported(what: &str) -> ModuleError {
    ModuleError::Compilation(CodegenError::Unsupported(what.into()))
}

/// Writes one reference into the text. `None` when its kind is unknown or the target too far.
fn apply(
    text: &mut [u8],
    at: u32,
    reloc: &ModuleReloc,
    target: u32,
    upper: &HashMap<u32, i64>,
) -> Option<()> {
    let distance = i64::from(target) + reloc.addend - i64::from(at);
    let mut patch = |at: usize, keep: u32, bits: u32| {
        let place = text.get_mut(at..at + 4)?;
        let word = u32::from_le_bytes((&*place).try_into().ok()?) & keep | bits;
        place.copy_from_slice(&word.to_le_bytes());
        Some(())
    };
    let at = at as usize;
    // RISC-V: the upper 20 bits, rounded so that the signed lower 12 complete them.
    let hi20 = |distance: i64| (distance + 0x800) as u32 & 0xffff_f000;
    match reloc.kind {
        Reloc::X86CallPCRel4 | Reloc::X86PCRel4 => patch(at, 0, i32::try_from(distance).ok()? as u32),
        Reloc::Arm64Call => {
            let near = distance.checked_div(4)?;
            (-(1 << 25)..1 << 25).contains(&near).then_some(())?;
            patch(at, 0xfc00_0000, near as u32 & 0x03ff_ffff)
        }
        Reloc::Aarch64AdrPrelPgHi21 => {
            let pages = ((i64::from(target) + reloc.addend) >> 12) - (at as i64 >> 12);
            (-(1 << 20)..1 << 20).contains(&pages).then_some(())?;
            patch(at, 0x9f00_001f, (pages as u32 & 3) << 29 | (pages as u32 >> 2 & 0x7_ffff) << 5)
        }
        Reloc::Aarch64AddAbsLo12Nc => {
            let low = (i64::from(target) + reloc.addend) as u32 & 0xfff;
            patch(at, 0xffc0_03ff, low << 10)
        }
        Reloc::RiscvCallPlt => {
            let distance = i64::from(i32::try_from(distance).ok()?);
            patch(at, 0xfff, hi20(distance))?;
            patch(at + 4, 0x000f_ffff, (distance as u32 & 0xfff) << 20)
        }
        Reloc::RiscvPCRelHi20 => patch(at, 0xfff, hi20(i64::from(i32::try_from(distance).ok()?))),
        Reloc::RiscvPCRelLo12I => patch(at, 0x000f_ffff, (*upper.get(&target)? as u32 & 0xfff) << 20),
        _ => None,
    }
}

impl Module for TextModule<'_> {
    fn isa(&self) -> &dyn TargetIsa {
        self.isa
    }

    fn declarations(&self) -> &ModuleDeclarations {
        &self.declarations
    }

    fn declare_function(
        &mut self,
        name: &str,
        linkage: Linkage,
        signature: &Signature,
    ) -> ModuleResult<FuncId> {
        Ok(self.declarations.declare_function(name, linkage, signature)?.0)
    }

    fn declare_anonymous_function(&mut self, signature: &Signature) -> ModuleResult<FuncId> {
        self.declarations.declare_anonymous_function(signature)
    }

    fn declare_data(
        &mut self,
        name: &str,
        linkage: Linkage,
        writable: bool,
        tls: bool,
    ) -> ModuleResult<DataId> {
        Ok(self.declarations.declare_data(name, linkage, writable, tls)?.0)
    }

    fn declare_anonymous_data(&mut self, writable: bool, tls: bool) -> ModuleResult<DataId> {
        self.declarations.declare_anonymous_data(writable, tls)
    }

    fn define_function_with_control_plane(
        &mut self,
        func: FuncId,
        ctx: &mut Context,
        ctrl_plane: &mut ControlPlane,
    ) -> ModuleResult<()> {
        ctx.compile(self.isa, ctrl_plane).map_err(|e| ModuleError::Compilation(e.inner))?;
        let code = ctx.compiled_code().ok_or_else(|| unsupported("nothing compiled"))?;
        let (bytes, alignment) = (code.buffer.data().to_vec(), u64::from(code.buffer.alignment));
        let relocs: Vec<_> =
            code.buffer.relocs().iter().map(|r| ModuleReloc::from_mach_reloc(r, &ctx.func, func)).collect();
        self.define_function_bytes(func, alignment, &bytes, &relocs)
    }

    fn define_function_bytes(
        &mut self,
        func: FuncId,
        alignment: u64,
        bytes: &[u8],
        relocs: &[ModuleReloc],
    ) -> ModuleResult<()> {
        let declaration = self.declarations.get_function_decl(func);
        let name = || declaration.linkage_name(func).into_owned();
        if !declaration.linkage.is_definable() {
            return Err(ModuleError::InvalidImportDefinition(name()));
        }
        let alignment = alignment.max(u64::from(self.isa.function_alignment().preferred)) as usize;
        let start = self.text.len().next_multiple_of(alignment);
        let end = start.checked_add(bytes.len()).filter(|&end| i32::try_from(end).is_ok());
        if end.is_none() {
            return Err(unsupported("more than 2 GiB of code"));
        }
        if self.starts.insert(func, start as u32).is_some() {
            return Err(ModuleError::DuplicateDefinition(name()));
        }
        self.text.resize(start, 0);
        self.text.extend_from_slice(bytes);
        self.relocs.extend(relocs.iter().map(|r| (start as u32, r.clone())));
        Ok(())
    }

    fn define_data(&mut self, id: DataId, data: &DataDescription) -> ModuleResult<()> {
        let bytes = match &data.init {
            Init::Bytes { contents } => contents.clone(),
            Init::Zeros { size } => vec![0; *size].into(),
            Init::Uninitialized => Box::default(),
        };
        if !data.function_relocs.is_empty() || !data.data_relocs.is_empty() {
            return Err(unsupported("addresses in data"));
        }
        match self.data.insert(id, bytes) {
            None => Ok(()),
            Some(_) => {
                let name = self.declarations.get_data_decl(id).linkage_name(id).into_owned();
                Err(ModuleError::DuplicateDefinition(name))
            }
        }
    }
}
