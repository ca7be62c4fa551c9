//! The code between functions and callers of another kind, once per signature (house.md "Native -> interpreted ... stubs that
//! an artifact carries with it").
//!
//! * array entry: an `ArrayCall` that loads parameters from slots, calls `VmFunc::native`, stores the results. It is also where
//!   guest frames are left to: its call has an exception handler that returns the status (load/raise.rs finds it).
//! * stub: `tail` convention in, `VmFunc::array_call` out, for callees without native code.
//! * fallback: stands for an own function that is left to the interpreter; goes through the builtin `call_own`.
//!
//! Must not know: which operators there are, how code is linked.

use super::call::{builtin_signature, load_slots, never, slot_area, store_slots};
use super::target::{Target, clif_type};
use cranelift_codegen::Context;
use cranelift_codegen::ir::{
    BlockArg, ExceptionTableData, ExceptionTableItem, InstBuilder, MemFlagsData, Signature, SourceLoc,
    StackSlot, Value, types,
};
use cranelift_codegen::isa::CallConv;
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use mini_wasm_runtime::types::FuncType;
use mini_wasm_runtime::vm::{VmContext, VmFunc, VmStore};
use std::mem::offset_of;

fn fixed() -> MemFlagsData {
    MemFlagsData::trusted().with_readonly().with_can_move()
}

fn word(b: &mut FunctionBuilder<'_>, base: Value, offset: usize) -> Value {
    b.ins().load(types::I64, fixed(), base, offset as i32)
}

/// Begins a function: its builder and parameters.
pub(super) fn begin<'a>(
    ctx: &'a mut Context,
    frontend: &'a mut FunctionBuilderContext,
) -> (FunctionBuilder<'a>, Vec<Value>) {
    let mut b = FunctionBuilder::new(&mut ctx.func, frontend);
    let entry = b.create_block();
    b.append_block_params_for_function_params(entry);
    b.switch_to_block(entry);
    let params = b.block_params(entry).to_vec();
    (b, params)
}

/// The array entry of a signature. Answers with the stack slot whose word holds the entered `VmContext`.
pub(super) fn array_entry(
    target: &Target,
    ty: &FuncType,
    ctx: &mut Context,
    frontend: &mut FunctionBuilderContext,
) -> StackSlot {
    ctx.clear();
    ctx.func.signature = target.array_signature();
    let (mut b, params) = begin(ctx, frontend);
    let (func, slots) = (params[0], params[1]);
    let vmctx = word(&mut b, func, offset_of!(VmFunc, context));
    let native = word(&mut b, func, offset_of!(VmFunc, native));
    let kept = slot_area(&mut b, 1);
    let kept_at = b.ins().stack_addr(types::I64, kept, 0);
    b.ins().store(MemFlagsData::trusted(), vmctx, kept_at, 0);

    let mut args = vec![vmctx];
    // Parameters are loaded before the call, results written after or during it: the slots can be the result area as well.
    let in_registers = target.results_in_registers(ty.results());
    if !in_registers {
        args.push(slots);
    }
    args.extend(load_slots(&mut b, slots, ty.params()));

    let sig = b.import_signature(target.signature(ty));
    let (returned, left) = (b.create_block(), b.create_block());
    let mut rets = Vec::new();
    if in_registers {
        for (i, &t) in ty.results().iter().enumerate() {
            b.append_block_param(returned, clif_type(t));
            rets.push(BlockArg::TryCallRet(i as u32));
        }
    }
    b.append_block_param(left, types::I64);
    b.set_cold_block(left);
    let normal = b.func.dfg.block_call(returned, &rets);
    let handler = b.func.dfg.block_call(left, &[BlockArg::TryCallExn(0)]);
    let table = ExceptionTableData::new(sig, normal, [ExceptionTableItem::Default(handler)]);
    let table = b.func.dfg.exception_tables.push(table);
    b.ins().try_call_indirect(native, &args, table);

    b.switch_to_block(returned);
    let results = b.block_params(returned).to_vec();
    if in_registers {
        store_slots(&mut b, slots, ty.results(), &results);
    }
    let ok = b.ins().iconst(types::I32, 0);
    b.ins().return_(&[ok]);

    b.switch_to_block(left);
    let payload = b.block_params(left)[0];
    let status = b.ins().ireduce(types::I32, payload);
    b.ins().return_(&[status]);
    b.seal_all_blocks();
    b.finalize(target.isa.frontend_config());
    kept
}

/// Begins a stub's code with what goes on to the function behind a guard, where there is one and it lets pass.
fn past_guard(target: &Target, ty: &FuncType, b: &mut FunctionBuilder<'_>, params: &[Value]) {
    let (guarded, open, closed) = (b.create_block(), b.create_block(), b.create_block());
    // What follows a branch stays behind it: these loads may not move.
    let flags = MemFlagsData::trusted().with_readonly();
    let guard = b.ins().load(types::I64, flags, params[0], offset_of!(VmFunc, guard) as i32);
    b.ins().brif(guard, guarded, &[], closed, &[]);
    b.switch_to_block(guarded);
    let word = b.ins().load(types::I32, MemFlagsData::trusted(), guard, 0);
    b.ins().brif(word, open, &[], closed, &[]);
    b.switch_to_block(open);
    let behind = b.ins().load(types::I64, flags, params[0], offset_of!(VmFunc, behind) as i32);
    let native = b.ins().load(types::I64, flags, behind, offset_of!(VmFunc, native) as i32);
    let mut args = params.to_vec();
    args[0] = b.ins().load(types::I64, flags, behind, offset_of!(VmFunc, context) as i32);
    let sig = b.import_signature(target.signature(ty));
    b.ins().return_call_indirect(sig, native, &args);
    b.switch_to_block(closed);
}

/// Spills the arguments, makes the call that `call` emits (slots in, status out), and returns its results; `raise_from` gives
/// the builtins and the context to raise with when the status is not 0.
fn through_slots(
    target: &Target,
    ty: &FuncType,
    ctx: &mut Context,
    frontend: &mut FunctionBuilderContext,
    first: impl FnOnce(&mut FunctionBuilder<'_>, &[Value]),
    call: impl FnOnce(&mut FunctionBuilder<'_>, Value, Value) -> Value,
    raise_from: impl FnOnce(&mut FunctionBuilder<'_>, Value) -> (Value, Value),
) {
    ctx.clear();
    ctx.func.signature = target.signature(ty);
    let (mut b, params) = begin(ctx, frontend);
    first(&mut b, &params);
    let in_registers = target.results_in_registers(ty.results());
    let hidden = usize::from(!in_registers);
    let area = slot_area(&mut b, ty.call_slots());
    let slots = b.ins().stack_addr(types::I64, area, 0);
    store_slots(&mut b, slots, ty.params(), &params[1 + hidden..]);
    let status = call(&mut b, params[0], slots);
    let (failed, returned) = (b.create_block(), b.create_block());
    b.set_cold_block(failed);
    b.ins().brif(status, failed, &[], returned, &[]);

    b.switch_to_block(failed);
    let (builtins, raiser) = raise_from(&mut b, params[0]);
    let (offset, sig) = builtin_signature(target, "raise");
    let sig = b.import_signature(sig);
    let raise = word(&mut b, builtins, offset as usize);
    b.ins().call_indirect(sig, raise, &[raiser, status]);
    never(&mut b);

    b.switch_to_block(returned);
    let results = load_slots(&mut b, slots, ty.results());
    match in_registers {
        true => b.ins().return_(&results),
        false => {
            store_slots(&mut b, params[1], ty.results(), &results);
            b.ins().return_(&[])
        }
    };
    b.seal_all_blocks();
    b.finalize(target.isa.frontend_config());
}

/// The stub by which this module calls a function of a signature that has no native code. Its context is the `VmFunc`.
pub(super) fn stub(target: &Target, ty: &FuncType, ctx: &mut Context, frontend: &mut FunctionBuilderContext) {
    by_array_call(target, ty, ctx, frontend, |b, params| past_guard(target, ty, b, params));
}

/// The same for an adapter, which is the way past the function's plan itself.
pub(super) fn plan(target: &Target, ty: &FuncType, ctx: &mut Context, frontend: &mut FunctionBuilderContext) {
    by_array_call(target, ty, ctx, frontend, |_, _| {});
}

fn by_array_call(
    target: &Target,
    ty: &FuncType,
    ctx: &mut Context,
    frontend: &mut FunctionBuilderContext,
    first: impl FnOnce(&mut FunctionBuilder<'_>, &[Value]),
) {
    through_slots(
        target,
        ty,
        ctx,
        frontend,
        first,
        |b, func, slots| {
            let sig = b.import_signature(target.array_signature());
            let callee = word(b, func, offset_of!(VmFunc, array_call));
            let call = b.ins().call_indirect(sig, callee, &[func, slots]);
            b.inst_results(call)[0]
        },
        |b, func| {
            // There is no context here; `raise` finds the activation by itself.
            let store = word(b, func, offset_of!(VmFunc, store));
            let null = b.ins().iconst(types::I64, 0);
            (word(b, store, offset_of!(VmStore, builtins)), null)
        },
    );
}

/// What stands for an own function that the interpreter runs and native code cannot call, since it has no registers for its
/// parameters or results.
pub(super) fn nothing(target: &Target, ctx: &mut Context, frontend: &mut FunctionBuilderContext) {
    ctx.clear();
    ctx.func.signature = Signature::new(CallConv::Tail);
    let (mut b, _) = begin(ctx, frontend);
    never(&mut b);
    b.seal_all_blocks();
    b.finalize(target.isa.frontend_config());
}

/// What stands for own function `func` (index in the module) when the interpreter runs it.
pub(super) fn fallback(
    target: &Target,
    ty: &FuncType,
    func: u32,
    ctx: &mut Context,
    frontend: &mut FunctionBuilderContext,
) {
    through_slots(
        target,
        ty,
        ctx,
        frontend,
        |_, _| {},
        |b, vmctx, slots| {
            b.set_srcloc(SourceLoc::default());
            let (offset, sig) = builtin_signature(target, "call_own");
            let sig = b.import_signature(sig);
            let builtins = word(b, vmctx, offset_of!(VmContext, builtins));
            let callee = word(b, builtins, offset as usize);
            let func = b.ins().iconst(types::I32, i64::from(func));
            let call = b.ins().call_indirect(sig, callee, &[vmctx, func, slots]);
            b.inst_results(call)[0]
        },
        |b, vmctx| (word(b, vmctx, offset_of!(VmContext, builtins)), vmctx),
    );
}
