//! What code is made for: architecture, CPU features, Cranelift's settings, and how many results fit in registers.
//!
//! Must not know: modules, the operators.

use super::vectorless;
use crate::cpu::{Arch, CpuFeatures};
use crate::key::CodeKey;
use cranelift_codegen::ir::{AbiParam, Signature, Type, types};
use cranelift_codegen::isa::{self, CallConv, OwnedTargetIsa};
use cranelift_codegen::settings::{self, Configurable};
use mini_wasm_runtime::types::{FuncType, ValType};
use mini_wasm_runtime::{Error, ErrorKind, Result};

/// A target with its instruction set.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) arch: Arch,
    pub(crate) isa: OwnedTargetIsa,
    /// The same, for a function that has been optimised already.
    pub(crate) optimized: OwnedTargetIsa,
    /// Multiplies and adds floats in one instruction.
    pub(crate) has_fma: bool,
}

impl Target {
    /// A target for an architecture and what its processors are sure to have.
    pub(crate) fn new(arch: Arch, cpu: CpuFeatures, key: &CodeKey, verifier: bool) -> Result<Target> {
        let refuse = |what: &dyn std::fmt::Display| {
            Error::new(ErrorKind::Usage, format!("no native code for {}: {what}", arch.triple()))
        };
        if let Some(missing) = cpu.missing_required(arch) {
            return Err(refuse(&format_args!("the processor lacks {missing}")));
        }
        let mut shared = settings::builder();
        let mut set = |name: &str, value: &str| shared.set(name, value).map_err(|e| refuse(&e));
        set("opt_level", "speed")?;
        // Everything is colocated and linked here: no GOT, no load-time relocation (study/native.md 7.5).
        set("is_pic", "false")?;
        set("unwind_info", "false")?;
        // Frames are walked by frame pointer, also through leaf functions that trap.
        set("preserve_frame_pointers", "true")?;
        set("enable_probestack", "false")?;
        set("enable_verifier", if verifier { "true" } else { "false" })?;
        set("enable_nan_canonicalization", if key.canonicalize_nans { "true" } else { "false" })?;
        let mut optimized = shared.clone();
        // Neither setting matters to any later pass.
        for (name, value) in [("opt_level", "none"), ("enable_nan_canonicalization", "false")] {
            optimized.set(name, value).map_err(|e| refuse(&e))?;
        }
        let mut builder = isa::lookup_by_name(arch.triple()).map_err(|e| refuse(&e))?;
        for name in cpu.clif_names(arch) {
            builder.enable(name).map_err(|e| refuse(&e))?;
        }
        let isa = builder.finish(settings::Flags::new(shared)).map_err(|e| refuse(&e))?;
        let optimized = builder.finish(settings::Flags::new(optimized)).map_err(|e| refuse(&e))?;
        let has_fma = match arch {
            Arch::X86_64 => cpu.clif_names(arch).any(|name| name == "has_fma"),
            Arch::Aarch64 | Arch::Riscv64 => true,
        };
        Ok(Target { arch, isa, optimized, has_fma })
    }

    /// Can native code have parameters and results of this type?
    pub(crate) fn carries(&self, ty: &FuncType) -> bool {
        !vectorless::is_vectorless(self.arch) || !vectorless::in_type(ty)
    }

    /// Bytes of functions in a module's text, so that a direct call reaches from anywhere to anywhere: 128 MiB on AArch64, 2 GiB
    /// elsewhere. An eighth of it is left for stubs and alignment.
    pub(crate) fn most_text(&self) -> usize {
        let reach: usize = match self.arch {
            Arch::Aarch64 => 128 << 20,
            Arch::X86_64 | Arch::Riscv64 => 2 << 30,
        };
        reach - reach / 8
    }

    /// Do these results fit in the registers of the `tail` convention? Else they go through a hidden result area, whose pointer
    /// is the parameter after the context.
    pub(crate) fn results_in_registers(&self, results: &[ValType]) -> bool {
        let (most_ints, most_floats) = match self.arch {
            Arch::X86_64 => (8, 8),
            // The first two integer registers are reserved.
            Arch::Aarch64 => (6, 8),
            Arch::Riscv64 => (2, 2),
        };
        let floats =
            results.iter().filter(|t| matches!(t, ValType::F32 | ValType::F64 | ValType::V128)).count();
        floats <= most_floats && results.len() - floats <= most_ints
    }

    /// The native signature of a wasm type: context, result area if there is one, parameters.
    pub(crate) fn signature(&self, ty: &FuncType) -> Signature {
        let mut sig = Signature::new(CallConv::Tail);
        sig.params.push(AbiParam::new(types::I64));
        let in_registers = self.results_in_registers(ty.results());
        if !in_registers {
            sig.params.push(AbiParam::new(types::I64));
        }
        sig.params.extend(ty.params().iter().map(|&t| AbiParam::new(clif_type(t))));
        if in_registers {
            sig.returns.extend(ty.results().iter().map(|&t| AbiParam::new(clif_type(t))));
        }
        sig
    }

    /// A `u32` as the C convention passes it.
    pub(crate) fn c_u32(&self) -> AbiParam {
        let param = AbiParam::new(types::I32);
        // The RISC-V convention wants every 32-bit integer sign-extended, unsigned ones too.
        if self.arch == Arch::Riscv64 { param.sext() } else { param }
    }

    /// The signature of an [`mini_wasm_runtime::vm::ArrayCall`].
    pub(crate) fn array_signature(&self) -> Signature {
        let mut sig = Signature::new(CallConv::SystemV);
        sig.params.extend([AbiParam::new(types::I64), AbiParam::new(types::I64)]);
        sig.returns.push(self.c_u32());
        sig
    }
}

/// The Cranelift type that carries a wasm type.
pub(crate) fn clif_type(ty: ValType) -> Type {
    match ty {
        ValType::I32 => types::I32,
        ValType::I64 | ValType::Ref(_) => types::I64,
        ValType::F32 => types::F32,
        ValType::F64 => types::F64,
        ValType::V128 => super::simd::WAITING,
    }
}
