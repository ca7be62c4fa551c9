//! Which functions mention v128: on an architecture without vectors they are chosen for the interpreter before anything of them is
//! compiled, since Cranelift panics on vector types there (RISC-V without its V extension).
//!
//! A mention is: an operator on vectors; a local, parameter, result, block, global or tag of the type; a call of a function that has it
//! in its type; an access to objects that have it in theirs. A function without mention never meets a vector, nor an entry or
//! stub that would carry one.

use crate::cpu::Arch;
use mini_wasm_runtime::module::{FuncIdx, ModuleInfo, TypeIdx};
use mini_wasm_runtime::types::{CompositeType, FuncType, StorageType, ValType};
use wasmparser::{BinaryReader, BlockType, FunctionBody, Operator};

/// Does an architecture lack vectors?
pub(super) fn is_vectorless(arch: Arch) -> bool {
    // The V extension is never asked for (cpu.rs).
    arch == Arch::Riscv64
}

/// Does a function type mention v128?
pub(super) fn in_type(ty: &FuncType) -> bool {
    ty.params().iter().chain(ty.results()).any(|ty| *ty == ValType::V128)
}

/// Does an own function mention v128? `None` when its body cannot be read.
pub(super) fn in_function(info: &ModuleInfo, own: usize) -> Option<bool> {
    if in_type(info.func_type(FuncIdx(info.imported_funcs + own as u32))) {
        return Some(true);
    }
    let range = info.bodies.get(own)?.range.clone();
    let bytes = info.wasm.file().get(range.clone())?;
    let body = FunctionBody::new(BinaryReader::new(bytes, range.start as u64));
    for local in body.get_locals_reader().ok()? {
        if local.ok()?.1 == wasmparser::ValType::V128 {
            return Some(true);
        }
    }
    for op in body.get_operators_reader().ok()? {
        match op.ok()? {
            // A reference is an address, whatever the function takes.
            Operator::RefFunc { .. } => {}
            op if in_operator(info, &op) => return Some(true),
            _ => {}
        }
    }
    Some(false)
}

/// What an immediate may name, by the validator's own name for it.
macro_rules! mention {
    ($( @$proposal:ident $op:ident $({ $($arg:ident: $ty:ty),* })? => $visit:ident ($($ann:tt)*) )*) => {
        #[allow(unused_variables, reason = "most immediates name nothing that has a type")]
        fn in_operator(info: &ModuleInfo, op: &Operator<'_>) -> bool {
            match op {
                $(Operator::$op $({ $($arg),* })? => {
                    mention!(@proposal $proposal) $($(|| mention!(@arg info $arg $arg))*)?
                })*
                // Operators that only a later validator knows.
                _ => true,
            }
        }
    };
    (@proposal simd) => { true };
    (@proposal relaxed_simd) => { true };
    (@proposal $other:ident) => { false };
    (@arg $info:ident function_index $n:ident) => { in_type($info.func_type(FuncIdx(*$n))) };
    (@arg $info:ident type_index $n:ident) => { in_defined($info, *$n) };
    (@arg $info:ident struct_type_index $n:ident) => { in_defined($info, *$n) };
    (@arg $info:ident array_type_index $n:ident) => { in_defined($info, *$n) };
    (@arg $info:ident array_type_index_src $n:ident) => { in_defined($info, *$n) };
    (@arg $info:ident array_type_index_dst $n:ident) => { in_defined($info, *$n) };
    (@arg $info:ident cont_type_index $n:ident) => { in_defined($info, *$n) };
    (@arg $info:ident argument_index $n:ident) => { in_defined($info, *$n) };
    (@arg $info:ident result_index $n:ident) => { in_defined($info, *$n) };
    (@arg $info:ident tag_index $n:ident) => { in_tag($info, *$n) };
    (@arg $info:ident global_index $n:ident) => { in_global($info, *$n) };
    (@arg $info:ident blockty $ty:ident) => { in_block($info, *$ty) };
    (@arg $info:ident try_table $table:ident) => { in_block($info, $table.ty) };
    (@arg $info:ident ty $ty:ident) => { is_vector(*$ty) };
    (@arg $info:ident tys $tys:ident) => { $tys.iter().any(|ty| is_vector(*ty)) };
    (@arg $info:ident $other:ident $n:ident) => { false };
}
wasmparser::for_each_operator!(mention);

fn is_vector(ty: wasmparser::ValType) -> bool {
    ty == wasmparser::ValType::V128
}

fn in_block(info: &ModuleInfo, ty: BlockType) -> bool {
    match ty {
        BlockType::Empty => false,
        BlockType::Type(ty) => is_vector(ty),
        BlockType::FuncType(index) => in_defined(info, index),
    }
}

/// What is out of range mentions: such a body was never validated.
fn in_defined(info: &ModuleInfo, index: u32) -> bool {
    let vector = |storage: StorageType| storage == StorageType::Val(ValType::V128);
    match info.types.get(TypeIdx(index).index()).map(|ty| &ty.composite) {
        Some(CompositeType::Func(ty)) => in_type(ty),
        Some(CompositeType::Struct(ty)) => ty.fields().iter().any(|field| vector(field.storage)),
        Some(CompositeType::Array(field)) => vector(field.storage),
        // Its function's type is the engine's; and the interpreter runs such operators in any case.
        Some(CompositeType::Cont(_)) | None => true,
    }
}

fn in_tag(info: &ModuleInfo, index: u32) -> bool {
    info.tags.get(index as usize).is_none_or(|ty| in_defined(info, ty.0))
}

fn in_global(info: &ModuleInfo, index: u32) -> bool {
    info.globals.get(index as usize).is_none_or(|ty| ty.content == ValType::V128)
}
