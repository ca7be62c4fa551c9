//! Calls: of own functions, of imports, through tables, of the engine's builtins; proper tail calls; and how values lie in
//! slots (core specification 4.4.10 "Function Calls").
//!
//! Convention: `tail`; first the callee's context, then the result area if the results do not fit in registers, then the
//! parameters. A `return_call` hands its own result area on: caller and callee have the same results.

use super::func::Translation;
use super::target::{Target, clif_type};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    AbiParam, ExtFuncData, ExternalName, FuncRef, Function, Inst, InstBuilder, MemFlagsData, SigRef,
    Signature, StackSlot, StackSlotData, StackSlotKind, TrapCode, Type, UserExternalName, Value, types,
};
use cranelift_codegen::isa::CallConv;
use cranelift_frontend::FunctionBuilder;
use cranelift_module::FuncId;
use mini_wasm_runtime::for_each_builtin;
use mini_wasm_runtime::module::{FuncIdx, TypeIdx};
use mini_wasm_runtime::trap::Trap;
use mini_wasm_runtime::types::{FuncType, ValType};
use mini_wasm_runtime::vm::{VmBuiltins, VmContext, VmFunc, VmImport};
use std::collections::HashMap;
use std::mem::offset_of;
use std::sync::atomic::Ordering;

/// What a function has already imported, so that nothing is declared twice.
#[derive(Default)]
pub(crate) struct Sigs {
    types: HashMap<u32, SigRef>,
    builtins: HashMap<&'static str, SigRef>,
    funcs: HashMap<FuncId, FuncRef>,
    /// Room for results of calls that do not fit in registers; one for all calls, as large as the largest.
    area: Option<StackSlot>,
}

/// What is called.
enum Callee {
    /// Code of this module.
    Own(FuncRef),
    /// An address.
    At(Value),
}

/// A builtin of the table: its field in [`VmBuiltins`] and its signature.
pub(crate) fn builtin_signature(target: &Target, name: &str) -> (i32, Signature) {
    let mut sig = Signature::new(CallConv::SystemV);
    sig.params.push(AbiParam::new(types::I64));
    macro_rules! param {
        (u32) => {
            target.c_u32()
        };
        ($wide:tt) => {
            AbiParam::new(types::I64)
        };
    }
    macro_rules! result {
        (status) => {
            sig.returns.push(target.c_u32())
        };
        (u64) => {
            sig.returns.push(AbiParam::new(types::I64))
        };
        (never) => {};
    }
    macro_rules! table {
        ($($builtin:ident($ctx:ident $(, $arg:ident: $ty:tt)*) -> $ret:tt $doc:literal;)*) => {
            match name {
                $(stringify!($builtin) => {
                    $(sig.params.push(param!($ty));)*
                    result!($ret);
                    offset_of!(VmBuiltins, $builtin) as i32
                })*
                unknown => unreachable!("crash: no builtin {unknown}"),
            }
        };
    }
    let offset = for_each_builtin!(table);
    (offset, sig)
}

/// Declares code of this module in a function.
pub(crate) fn own_func(func: &mut Function, id: FuncId, signature: SigRef) -> FuncRef {
    let name = func.declare_imported_user_function(UserExternalName { namespace: 0, index: id.as_u32() });
    func.import_function(ExtFuncData {
        name: ExternalName::user(name),
        signature,
        colocated: true,
        patchable: false,
    })
}

// Slots

/// A value as its first slot holds it: 32-bit ones zero-extended. A v128 stays whole.
pub(crate) fn as_slot(b: &mut FunctionBuilder<'_>, value: Value) -> Value {
    match b.func.dfg.value_type(value) {
        types::I32 => b.ins().uextend(types::I64, value),
        types::F32 => {
            let bits = b.ins().bitcast(types::I32, MemFlagsData::new(), value);
            b.ins().uextend(types::I64, bits)
        }
        _ => value,
    }
}

/// Stores values to consecutive slots.
pub(crate) fn store_slots(b: &mut FunctionBuilder<'_>, area: Value, types: &[ValType], values: &[Value]) {
    let mut slot = 0;
    for (ty, &value) in types.iter().zip(values) {
        let value = as_slot(b, value);
        b.ins().store(slot_flags(), value, area, slot * 8);
        slot += ty.slots() as i32;
    }
}

/// Loads values from consecutive slots.
pub(crate) fn load_slots(b: &mut FunctionBuilder<'_>, area: Value, types: &[ValType]) -> Vec<Value> {
    let mut slot = 0;
    let mut values = Vec::with_capacity(types.len());
    for &ty in types {
        values.push(b.ins().load(clif_type(ty), slot_flags(), area, slot * 8));
        slot += ty.slots() as i32;
    }
    values
}

/// Slots are 8-byte aligned; a v128 may not be 16-byte aligned there.
fn slot_flags() -> MemFlagsData {
    MemFlagsData::new().with_notrap()
}

/// A stack slot of `slots` 8-byte slots.
pub(crate) fn slot_area(b: &mut FunctionBuilder<'_>, slots: usize) -> StackSlot {
    b.create_sized_stack_slot(StackSlotData::new(StackSlotKind::ExplicitSlot, slots.max(1) as u32 * 8, 3))
}

impl Translation<'_> {
    // Builtins

    fn builtins(&mut self) -> Value {
        let flags = self.regions.fixed();
        self.b.ins().load(types::I64, flags, self.vmctx, offset_of!(VmContext, builtins) as i32)
    }

    /// The address of the builtin at `offset` in the table.
    pub(super) fn builtin_address(&mut self, offset: i32) -> Value {
        let builtins = self.builtins();
        let flags = self.regions.fixed();
        self.b.ins().load(types::I64, flags, builtins, offset)
    }

    fn call_builtin(&mut self, name: &'static str, args: &[Value]) -> Inst {
        let (offset, signature) = builtin_signature(self.env.target, name);
        let sig = match self.sigs.builtins.get(name) {
            Some(&sig) => sig,
            None => {
                let sig = self.b.import_signature(signature);
                self.sigs.builtins.insert(name, sig);
                sig
            }
        };
        let address = self.builtin_address(offset);
        let mut all = vec![self.vmctx];
        all.extend_from_slice(args);
        self.b.ins().call_indirect(sig, address, &all)
    }

    /// Calls a builtin and gives its result.
    pub(super) fn builtin(&mut self, name: &'static str, args: &[Value]) -> Value {
        self.calls = true;
        let call = self.call_builtin(name, args);
        self.b.inst_results(call)[0]
    }

    /// Calls a builtin that answers with a status; leaves all frames if it is not 0.
    pub(super) fn builtin_status(&mut self, name: &'static str, args: &[Value]) {
        let status = self.builtin(name, args);
        self.raise_unless_ok(status);
    }

    /// Leaves all frames with a status that is not 0.
    pub(super) fn raise_unless_ok(&mut self, status: Value) {
        let (cold, go_on) = self.cold_block();
        self.b.ins().brif(status, cold, &[], go_on, &[]);
        self.b.seal_block(cold);
        self.b.seal_block(go_on);
        self.b.switch_to_block(cold);
        self.raise(status);
        self.b.switch_to_block(go_on);
    }

    /// Leaves all frames with a status. Fills the block.
    pub(super) fn raise(&mut self, status: Value) {
        self.call_builtin("raise", &[status]);
        never(&mut self.b);
    }

    // Calls

    pub(super) fn type_sig(&mut self, ty: u32) -> SigRef {
        if let Some(&sig) = self.sigs.types.get(&ty) {
            return sig;
        }
        let signature = self.env.target.signature(self.env.info.signature(TypeIdx(ty)));
        let sig = self.b.import_signature(signature);
        self.sigs.types.insert(ty, sig);
        sig
    }

    fn own_ref(&mut self, id: FuncId, ty: u32) -> FuncRef {
        if let Some(&func) = self.sigs.funcs.get(&id) {
            return func;
        }
        let sig = self.type_sig(ty);
        let func = own_func(self.b.func, id, sig);
        self.sigs.funcs.insert(id, func);
        func
    }

    /// The function a direct call reaches: callee, its context, its type.
    fn direct(&mut self, func: FuncIdx) -> (Callee, Value, u32) {
        let info = self.env.info;
        let ty = info.funcs[func.index()].ty.0;
        if let Some(own) = info.own_func(func) {
            return (Callee::Own(self.own_ref(self.env.symbols.own[own], ty)), self.vmctx, ty);
        }
        let (native, context, ty) = self.import(func);
        (Callee::At(native), context, ty)
    }

    /// Where an import's entry lies in the context.
    pub(super) fn import_offset(&self, func: FuncIdx) -> i32 {
        (self.env.info.layout.imports + func.0 * size_of::<VmImport>() as u32) as i32
    }

    /// An imported function: address, context, type.
    pub(super) fn import(&mut self, func: FuncIdx) -> (Value, Value, u32) {
        let import = self.import_offset(func);
        let flags = self.regions.fixed();
        let mut field =
            |offset: usize| self.b.ins().load(types::I64, flags, self.vmctx, import + offset as i32);
        let (native, context) = (field(offset_of!(VmImport, native)), field(offset_of!(VmImport, context)));
        (native, context, self.env.info.funcs[func.index()].ty.0)
    }

    /// The function an indirect call reaches, after the checks that the specification asks for, in its order.
    fn indirect(&mut self, ty: u32, table: u32) -> (Callee, Value, u32) {
        let index = self.pop();
        let at = self.element(table, index, Trap::UndefinedElement);
        let flags = self.regions.table();
        let func = self.b.ins().load(types::I64, flags, at, 0);
        self.trap_unless(func, Trap::UninitializedElement);
        // A VmFunc never changes, but `func` may be null above this point: not `can_move`.
        let field = self.regions.field().with_readonly();
        let have = self.b.ins().load(types::I64, field, func, offset_of!(VmFunc, ty) as i32);
        self.check_signature(have, ty);
        self.through(func, ty)
    }

    /// The function that a reference of a type leads to, which is not null.
    fn through(&mut self, func: Value, ty: u32) -> (Callee, Value, u32) {
        let field = self.regions.field().with_readonly();
        let native = self.b.ins().load(types::I64, field, func, offset_of!(VmFunc, native) as i32);
        let context = self.b.ins().load(types::I64, field, func, offset_of!(VmFunc, context) as i32);
        (Callee::At(self.entry_of(native, ty)), context, ty)
    }

    fn by_reference(&mut self, ty: u32) -> (Callee, Value, u32) {
        let func = self.pop();
        self.trap_unless(func, Trap::NullFunctionReference);
        self.through(func, ty)
    }

    pub(super) fn call_ref(&mut self, ty: u32) {
        let target = self.by_reference(ty);
        self.invoke(target);
    }

    pub(super) fn return_call_ref(&mut self, ty: u32) {
        let target = self.by_reference(ty);
        self.return_invoke(target);
    }

    /// Traps unless a function's type matches: equal as a rule, so the look into the display stands apart.
    fn check_signature(&mut self, have: Value, ty: u32) {
        let want = self.vm_type(ty);
        let is_final = self.env.info.types[ty as usize].is_final;
        if is_final {
            let differ = self.b.ins().icmp(IntCC::NotEqual, have, want);
            return self.trap_if(differ, Trap::IndirectCallTypeMismatch);
        }
        let equal = self.b.ins().icmp(IntCC::Equal, have, want);
        let (cold, go_on) = self.cold_block();
        self.b.ins().brif(equal, go_on, &[], cold, &[]);
        self.b.seal_block(cold);
        self.b.switch_to_block(cold);
        let matches = self.matches_above(have, want, ty);
        self.trap_unless(matches, Trap::IndirectCallTypeMismatch);
        self.b.ins().jump(go_on, &[]);
        self.b.seal_block(go_on);
        self.b.switch_to_block(go_on);
    }

    /// A native entry, or this module's stub for the signature, which takes the arguments to the callee's slots.
    fn entry_of(&mut self, native: Value, ty: u32) -> Value {
        self.env.stubs_wanted[ty as usize].store(true, Ordering::Relaxed);
        let stub = self.own_ref(self.env.symbols.stubs[ty as usize], ty);
        let (cold, go_on) = self.cold_block();
        let entry = self.b.append_block_param(go_on, types::I64);
        self.b.ins().brif(native, go_on, &[native.into()], cold, &[]);
        self.b.seal_block(cold);
        self.b.switch_to_block(cold);
        let address = self.b.ins().func_addr(types::I64, stub);
        self.b.ins().jump(go_on, &[address.into()]);
        self.b.seal_block(go_on);
        self.b.switch_to_block(go_on);
        entry
    }

    fn invoke(&mut self, (callee, context, ty): (Callee, Value, u32)) {
        self.calls = true;
        let func_type: FuncType = self.env.info.signature(TypeIdx(ty)).clone();
        let args = self.pop_many(func_type.params().len());
        self.widen_by(func_type.params().len() + func_type.results().len());
        let in_registers = self.env.target.results_in_registers(func_type.results());
        let area = (!in_registers).then(|| self.result_room(func_type.result_slots()));
        let all: Vec<Value> = [context].into_iter().chain(area).chain(args).collect();
        let sig = self.type_sig(ty);
        let returns: Vec<Type> =
            self.b.func.dfg.signatures[sig].returns.iter().map(|r| r.value_type).collect();
        let returned = match self.exception_table(sig, &returns) {
            Some((table, returned)) => {
                match callee {
                    Callee::Own(func) => self.b.ins().try_call(func, &all, table),
                    Callee::At(address) => self.b.ins().try_call_indirect(address, &all, table),
                };
                self.behind_try_call(returned)
            }
            None => {
                let call = match callee {
                    Callee::Own(func) => self.b.ins().call(func, &all),
                    Callee::At(address) => self.b.ins().call_indirect(sig, address, &all),
                };
                self.b.inst_results(call).to_vec()
            }
        };
        let results = match area {
            None => returned,
            Some(area) => load_slots(&mut self.b, area, func_type.results()),
        };
        results.into_iter().for_each(|value| self.push(value));
    }

    /// The address of the area for results of calls.
    pub(super) fn result_room(&mut self, slots: usize) -> Value {
        let area = match self.sigs.area {
            Some(area) => area,
            None => slot_area(&mut self.b, slots),
        };
        self.sigs.area = Some(area);
        let room = &mut self.b.func.sized_stack_slots[area];
        room.size = room.size.max(slots as u32 * 8);
        self.b.ins().stack_addr(types::I64, area, 0)
    }

    /// A tail call takes over this frame, so it needs no check of the stack; the callee makes its own.
    fn return_invoke(&mut self, (callee, context, ty): (Callee, Value, u32)) {
        let params = self.env.info.signature(TypeIdx(ty)).params().len();
        let args = self.pop_many(params);
        let all: Vec<Value> = [context].into_iter().chain(self.result_area).chain(args).collect();
        match callee {
            Callee::Own(func) => self.b.ins().return_call(func, &all),
            Callee::At(address) => {
                let sig = self.type_sig(ty);
                self.b.ins().return_call_indirect(sig, address, &all)
            }
        };
    }

    pub(super) fn call(&mut self, func: FuncIdx) {
        let info = self.env.info;
        if let Some(call) = info.scalar_call(func)
            && !self.catches()
        {
            self.calls = true;
            let args = self.pop_many(info.func_type(func).params().len());
            let results = self.scalar_call(func, call, &args);
            return results.into_iter().for_each(|value| self.push(value));
        }
        let target = self.direct(func);
        self.invoke(target);
    }

    pub(super) fn return_call(&mut self, func: FuncIdx) {
        let target = self.direct(func);
        self.return_invoke(target);
    }

    pub(super) fn call_indirect(&mut self, ty: u32, table: u32) {
        let target = self.indirect(ty, table);
        self.invoke(target);
    }

    pub(super) fn return_call_indirect(&mut self, ty: u32, table: u32) {
        let target = self.indirect(ty, table);
        self.return_invoke(target);
    }
}

/// Ends a block behind a call that does not return.
pub(crate) fn never(b: &mut FunctionBuilder<'_>) {
    b.ins().trap(TrapCode::unwrap_user(Trap::Unreachable.code()));
}
