//! Calls of other components that a function makes itself: the conversions stand where the call stands ([`ScalarCall`]).
//!
//! Whether the import is such a call is known when the code runs: its [`VmImport::adapter`] says so. If it is none, if the caller may not
//! leave, or if a parameter is no value, the import's own function is called, which does or says what is due.
//!
//! Must not know: how callers and callees are linked.

use super::adapter::convert;
use super::func::Translation;
use cranelift_codegen::ir::{BlockArg, InstBuilder, MemFlagsData, Value, types};
use mini_wasm_runtime::module::{FuncIdx, ScalarCall};
use mini_wasm_runtime::vm::{VmAdapter, VmImport};
use std::mem::offset_of;

impl Translation<'_> {
    /// Calls import `func`, with its arguments, in one of both ways: the results. Nothing here catches exceptions.
    pub(super) fn scalar_call(&mut self, func: FuncIdx, call: &ScalarCall, args: &[Value]) -> Vec<Value> {
        let (native, context, ty) = self.import(func);
        let sig = self.type_sig(ty);
        let fixed = self.regions.fixed();
        let import = self.import_offset(func);
        let adapter =
            self.b.ins().load(types::I64, fixed, self.vmctx, import + offset_of!(VmImport, adapter) as i32);
        let (own, other, done) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let returns: Vec<_> =
            self.b.func.dfg.signatures[sig].returns.iter().map(|value| value.value_type).collect();
        for &ty in &returns {
            self.b.append_block_param(done, ty);
        }
        self.b.ins().brif(adapter, own, &[], other, &[]);
        self.b.seal_block(own);
        self.b.switch_to_block(own);
        // Not to be moved: above, there may be no adapter.
        let field = self.regions.field().with_readonly();
        if call.asks_caller {
            let word =
                self.b.ins().load(types::I64, field, adapter, offset_of!(VmAdapter, caller_may_leave) as i32);
            let may_leave = self.b.ins().load(types::I32, MemFlagsData::trusted(), word, 0);
            let go_on = self.b.create_block();
            self.b.ins().brif(may_leave, go_on, &[], other, &[]);
            self.b.seal_block(go_on);
            self.b.switch_to_block(go_on);
        }
        let mut values = Vec::with_capacity(args.len() + 1);
        let callee = offset_of!(VmAdapter, callee) + offset_of!(VmImport, context);
        values.push(self.b.ins().load(types::I64, field, adapter, callee as i32));
        for (&kind, &arg) in call.params.iter().zip(args) {
            let (value, wrong) = convert(&mut self.b, kind, arg);
            values.push(value);
            if let Some(wrong) = wrong {
                let go_on = self.b.create_block();
                self.b.ins().brif(wrong, other, &[], go_on, &[]);
                self.b.seal_block(go_on);
                self.b.switch_to_block(go_on);
            }
        }
        let callee = offset_of!(VmAdapter, callee) + offset_of!(VmImport, native);
        let callee = self.b.ins().load(types::I64, field, adapter, callee as i32);
        let inst = self.b.ins().call_indirect(sig, callee, &values);
        let mut results = self.b.inst_results(inst).to_vec();
        if let (Some(kind), [result]) = (call.result, &mut results[..]) {
            *result = convert(&mut self.b, kind, *result).0;
        }
        let results: Vec<BlockArg> = results.into_iter().map(BlockArg::Value).collect();
        self.b.ins().jump(done, &results);

        self.b.seal_block(other);
        self.b.switch_to_block(other);
        let values: Vec<Value> = [context].into_iter().chain(args.iter().copied()).collect();
        let inst = self.b.ins().call_indirect(sig, native, &values);
        let results: Vec<BlockArg> =
            self.b.inst_results(inst).iter().map(|&value| BlockArg::Value(value)).collect();
        self.b.ins().jump(done, &results);
        self.b.seal_block(done);
        self.b.switch_to_block(done);
        self.b.block_params(done).to_vec()
    }
}
