//! The operators of core WebAssembly that mini-wasm runs: one table, from which everything else derives.
//!
//! A row names an operator once: the variant of [`wasmparser::Operator`], the mnemonic of the text format, the types, the
//! function in [`crate::num`] that is its *meaning*, and the function in the `jit` crate that *lowers* it. The last column is
//! an inert token here, so the table can live on a low floor while the compiler lives on a high one.
//!
//! Classes (a consumer matches a class, not single rows):
//!
//! | class        | stack effect            | meaning                                                     |
//! |--------------|-------------------------|-------------------------------------------------------------|
//! | `unary`      | `a -> r`                | `fn(a) -> r`                                                |
//! | `unary_trap` | `a -> r`                | `fn(a) -> Result<r, Trap>`                                  |
//! | `binary`     | `a a -> r`              | `fn(a, a) -> r`                                             |
//! | `binary_trap`| `a a -> r`              | `fn(a, a) -> Result<r, Trap>`                               |
//! | `compare`    | `a a -> i32`            | `fn(a, a) -> bool`; the column after the meaning negates it |
//! | `test`       | `a -> i32`              | `fn(a) -> bool`                                             |
//! | `load`       | `addr -> r`             | memory type read, then a conversion to `r`                  |
//! | `store`      | `addr a ->`             | conversion from `a`, then memory type written               |
//! | `custom`     | by its immediates       | written out by each engine; the fuel class follows          |
//!
//! The rows of SIMD stand in [`simd`], those of atomics in [`atomic`], with classes of their own; [`Op`] has all.
//!
//! Fuel: every plain operator costs [`FUEL_PLAIN`], structural ones nothing, bulk ones [`FUEL_PLAIN`] plus one unit for each
//! [`BULK_BYTES_PER_FUEL`] bytes or [`BULK_ELEMS_PER_FUEL`] table elements, charged before the work is done (module/fuel.rs).

#[macro_use]
pub mod atomic;
#[macro_use]
pub mod simd;

/// Fuel units of an operator that does one thing.
pub const FUEL_PLAIN: u32 = 1;
/// Bytes that `memory.copy`, `memory.fill` and `memory.init` move for one unit of fuel beyond the first.
pub const BULK_BYTES_PER_FUEL: u64 = 64;
/// Table elements that `table.copy`, `table.fill`, `table.init` and `table.grow` write for one unit of fuel beyond the first.
pub const BULK_ELEMS_PER_FUEL: u64 = 8;

/// Hands the whole table to the macro `$m`. See the module's documentation for the classes.
#[macro_export]
macro_rules! for_each_op {
    ($m:ident) => {
        $m! {
            unary {
                I32Clz "i32.clz" i32 -> i32 i32_clz clz;
                I32Ctz "i32.ctz" i32 -> i32 i32_ctz ctz;
                I32Popcnt "i32.popcnt" i32 -> i32 i32_popcnt popcnt;
                I32Extend8S "i32.extend8_s" i32 -> i32 i32_extend8_s extend8_s;
                I32Extend16S "i32.extend16_s" i32 -> i32 i32_extend16_s extend16_s;
                I64Clz "i64.clz" i64 -> i64 i64_clz clz;
                I64Ctz "i64.ctz" i64 -> i64 i64_ctz ctz;
                I64Popcnt "i64.popcnt" i64 -> i64 i64_popcnt popcnt;
                I64Extend8S "i64.extend8_s" i64 -> i64 i64_extend8_s extend8_s;
                I64Extend16S "i64.extend16_s" i64 -> i64 i64_extend16_s extend16_s;
                I64Extend32S "i64.extend32_s" i64 -> i64 i64_extend32_s extend32_s;
                F32Abs "f32.abs" f32 -> f32 f32_abs fabs;
                F32Neg "f32.neg" f32 -> f32 f32_neg fneg;
                F32Ceil "f32.ceil" f32 -> f32 f32_ceil ceil;
                F32Floor "f32.floor" f32 -> f32 f32_floor floor;
                F32Trunc "f32.trunc" f32 -> f32 f32_trunc trunc;
                F32Nearest "f32.nearest" f32 -> f32 f32_nearest nearest;
                F32Sqrt "f32.sqrt" f32 -> f32 f32_sqrt sqrt;
                F64Abs "f64.abs" f64 -> f64 f64_abs fabs;
                F64Neg "f64.neg" f64 -> f64 f64_neg fneg;
                F64Ceil "f64.ceil" f64 -> f64 f64_ceil ceil;
                F64Floor "f64.floor" f64 -> f64 f64_floor floor;
                F64Trunc "f64.trunc" f64 -> f64 f64_trunc trunc;
                F64Nearest "f64.nearest" f64 -> f64 f64_nearest nearest;
                F64Sqrt "f64.sqrt" f64 -> f64 f64_sqrt sqrt;
                I32WrapI64 "i32.wrap_i64" i64 -> i32 i32_wrap_i64 wrap;
                I64ExtendI32S "i64.extend_i32_s" i32 -> i64 i64_extend_i32_s sextend;
                I64ExtendI32U "i64.extend_i32_u" i32 -> i64 i64_extend_i32_u uextend;
                F32ConvertI32S "f32.convert_i32_s" i32 -> f32 f32_convert_i32_s convert_s_f32;
                F32ConvertI32U "f32.convert_i32_u" i32 -> f32 f32_convert_i32_u convert_u_f32;
                F32ConvertI64S "f32.convert_i64_s" i64 -> f32 f32_convert_i64_s convert_s_f32;
                F32ConvertI64U "f32.convert_i64_u" i64 -> f32 f32_convert_i64_u convert_u_f32;
                F32DemoteF64 "f32.demote_f64" f64 -> f32 f32_demote_f64 demote;
                F64ConvertI32S "f64.convert_i32_s" i32 -> f64 f64_convert_i32_s convert_s_f64;
                F64ConvertI32U "f64.convert_i32_u" i32 -> f64 f64_convert_i32_u convert_u_f64;
                F64ConvertI64S "f64.convert_i64_s" i64 -> f64 f64_convert_i64_s convert_s_f64;
                F64ConvertI64U "f64.convert_i64_u" i64 -> f64 f64_convert_i64_u convert_u_f64;
                F64PromoteF32 "f64.promote_f32" f32 -> f64 f64_promote_f32 promote;
                I32ReinterpretF32 "i32.reinterpret_f32" f32 -> i32 i32_reinterpret_f32 reinterpret_i32;
                I64ReinterpretF64 "i64.reinterpret_f64" f64 -> i64 i64_reinterpret_f64 reinterpret_i64;
                F32ReinterpretI32 "f32.reinterpret_i32" i32 -> f32 f32_reinterpret_i32 reinterpret_f32;
                F64ReinterpretI64 "f64.reinterpret_i64" i64 -> f64 f64_reinterpret_i64 reinterpret_f64;
                I32TruncSatF32S "i32.trunc_sat_f32_s" f32 -> i32 i32_trunc_sat_f32_s trunc_sat_s_i32;
                I32TruncSatF32U "i32.trunc_sat_f32_u" f32 -> i32 i32_trunc_sat_f32_u trunc_sat_u_i32;
                I32TruncSatF64S "i32.trunc_sat_f64_s" f64 -> i32 i32_trunc_sat_f64_s trunc_sat_s_i32;
                I32TruncSatF64U "i32.trunc_sat_f64_u" f64 -> i32 i32_trunc_sat_f64_u trunc_sat_u_i32;
                I64TruncSatF32S "i64.trunc_sat_f32_s" f32 -> i64 i64_trunc_sat_f32_s trunc_sat_s_i64;
                I64TruncSatF32U "i64.trunc_sat_f32_u" f32 -> i64 i64_trunc_sat_f32_u trunc_sat_u_i64;
                I64TruncSatF64S "i64.trunc_sat_f64_s" f64 -> i64 i64_trunc_sat_f64_s trunc_sat_s_i64;
                I64TruncSatF64U "i64.trunc_sat_f64_u" f64 -> i64 i64_trunc_sat_f64_u trunc_sat_u_i64;
            }
            unary_trap {
                I32TruncF32S "i32.trunc_f32_s" f32 -> i32 i32_trunc_f32_s trunc_s_i32;
                I32TruncF32U "i32.trunc_f32_u" f32 -> i32 i32_trunc_f32_u trunc_u_i32;
                I32TruncF64S "i32.trunc_f64_s" f64 -> i32 i32_trunc_f64_s trunc_s_i32;
                I32TruncF64U "i32.trunc_f64_u" f64 -> i32 i32_trunc_f64_u trunc_u_i32;
                I64TruncF32S "i64.trunc_f32_s" f32 -> i64 i64_trunc_f32_s trunc_s_i64;
                I64TruncF32U "i64.trunc_f32_u" f32 -> i64 i64_trunc_f32_u trunc_u_i64;
                I64TruncF64S "i64.trunc_f64_s" f64 -> i64 i64_trunc_f64_s trunc_s_i64;
                I64TruncF64U "i64.trunc_f64_u" f64 -> i64 i64_trunc_f64_u trunc_u_i64;
            }
            binary {
                I32Add "i32.add" i32 -> i32 i32_add iadd;
                I32Sub "i32.sub" i32 -> i32 i32_sub isub;
                I32Mul "i32.mul" i32 -> i32 i32_mul imul;
                I32And "i32.and" i32 -> i32 i32_and band;
                I32Or "i32.or" i32 -> i32 i32_or bor;
                I32Xor "i32.xor" i32 -> i32 i32_xor bxor;
                I32Shl "i32.shl" i32 -> i32 i32_shl ishl;
                I32ShrS "i32.shr_s" i32 -> i32 i32_shr_s sshr;
                I32ShrU "i32.shr_u" i32 -> i32 i32_shr_u ushr;
                I32Rotl "i32.rotl" i32 -> i32 i32_rotl rotl;
                I32Rotr "i32.rotr" i32 -> i32 i32_rotr rotr;
                I64Add "i64.add" i64 -> i64 i64_add iadd;
                I64Sub "i64.sub" i64 -> i64 i64_sub isub;
                I64Mul "i64.mul" i64 -> i64 i64_mul imul;
                I64And "i64.and" i64 -> i64 i64_and band;
                I64Or "i64.or" i64 -> i64 i64_or bor;
                I64Xor "i64.xor" i64 -> i64 i64_xor bxor;
                I64Shl "i64.shl" i64 -> i64 i64_shl ishl;
                I64ShrS "i64.shr_s" i64 -> i64 i64_shr_s sshr;
                I64ShrU "i64.shr_u" i64 -> i64 i64_shr_u ushr;
                I64Rotl "i64.rotl" i64 -> i64 i64_rotl rotl;
                I64Rotr "i64.rotr" i64 -> i64 i64_rotr rotr;
                F32Add "f32.add" f32 -> f32 f32_add fadd;
                F32Sub "f32.sub" f32 -> f32 f32_sub fsub;
                F32Mul "f32.mul" f32 -> f32 f32_mul fmul;
                F32Div "f32.div" f32 -> f32 f32_div fdiv;
                F32Min "f32.min" f32 -> f32 f32_min fmin;
                F32Max "f32.max" f32 -> f32 f32_max fmax;
                F32Copysign "f32.copysign" f32 -> f32 f32_copysign fcopysign;
                F64Add "f64.add" f64 -> f64 f64_add fadd;
                F64Sub "f64.sub" f64 -> f64 f64_sub fsub;
                F64Mul "f64.mul" f64 -> f64 f64_mul fmul;
                F64Div "f64.div" f64 -> f64 f64_div fdiv;
                F64Min "f64.min" f64 -> f64 f64_min fmin;
                F64Max "f64.max" f64 -> f64 f64_max fmax;
                F64Copysign "f64.copysign" f64 -> f64 f64_copysign fcopysign;
            }
            binary_trap {
                I32DivS "i32.div_s" i32 -> i32 i32_div_s sdiv;
                I32DivU "i32.div_u" i32 -> i32 i32_div_u udiv;
                I32RemS "i32.rem_s" i32 -> i32 i32_rem_s srem;
                I32RemU "i32.rem_u" i32 -> i32 i32_rem_u urem;
                I64DivS "i64.div_s" i64 -> i64 i64_div_s sdiv;
                I64DivU "i64.div_u" i64 -> i64 i64_div_u udiv;
                I64RemS "i64.rem_s" i64 -> i64 i64_rem_s srem;
                I64RemU "i64.rem_u" i64 -> i64 i64_rem_u urem;
            }
            compare {
                I32Eq "i32.eq" i32 i32_eq I32Ne eq;
                I32Ne "i32.ne" i32 i32_ne I32Eq ne;
                I32LtS "i32.lt_s" i32 i32_lt_s I32GeS lt_s;
                I32LtU "i32.lt_u" i32 i32_lt_u I32GeU lt_u;
                I32GtS "i32.gt_s" i32 i32_gt_s I32LeS gt_s;
                I32GtU "i32.gt_u" i32 i32_gt_u I32LeU gt_u;
                I32LeS "i32.le_s" i32 i32_le_s I32GtS le_s;
                I32LeU "i32.le_u" i32 i32_le_u I32GtU le_u;
                I32GeS "i32.ge_s" i32 i32_ge_s I32LtS ge_s;
                I32GeU "i32.ge_u" i32 i32_ge_u I32LtU ge_u;
                I64Eq "i64.eq" i64 i64_eq I64Ne eq;
                I64Ne "i64.ne" i64 i64_ne I64Eq ne;
                I64LtS "i64.lt_s" i64 i64_lt_s I64GeS lt_s;
                I64LtU "i64.lt_u" i64 i64_lt_u I64GeU lt_u;
                I64GtS "i64.gt_s" i64 i64_gt_s I64LeS gt_s;
                I64GtU "i64.gt_u" i64 i64_gt_u I64LeU gt_u;
                I64LeS "i64.le_s" i64 i64_le_s I64GtS le_s;
                I64LeU "i64.le_u" i64 i64_le_u I64GtU le_u;
                I64GeS "i64.ge_s" i64 i64_ge_s I64LtS ge_s;
                I64GeU "i64.ge_u" i64 i64_ge_u I64LtU ge_u;
            }
            compare_float {
                F32Eq "f32.eq" f32 f32_eq feq;
                F32Ne "f32.ne" f32 f32_ne fne;
                F32Lt "f32.lt" f32 f32_lt flt;
                F32Gt "f32.gt" f32 f32_gt fgt;
                F32Le "f32.le" f32 f32_le fle;
                F32Ge "f32.ge" f32 f32_ge fge;
                F64Eq "f64.eq" f64 f64_eq feq;
                F64Ne "f64.ne" f64 f64_ne fne;
                F64Lt "f64.lt" f64 f64_lt flt;
                F64Gt "f64.gt" f64 f64_gt fgt;
                F64Le "f64.le" f64 f64_le fle;
                F64Ge "f64.ge" f64 f64_ge fge;
            }
            test {
                I32Eqz "i32.eqz" i32 i32_eqz eqz;
                I64Eqz "i64.eqz" i64 i64_eqz eqz;
            }
            load {
                I32Load "i32.load" u32 => i32;
                I64Load "i64.load" u64 => i64;
                F32Load "f32.load" u32 => f32;
                F64Load "f64.load" u64 => f64;
                I32Load8S "i32.load8_s" i8 => i32;
                I32Load8U "i32.load8_u" u8 => i32;
                I32Load16S "i32.load16_s" i16 => i32;
                I32Load16U "i32.load16_u" u16 => i32;
                I64Load8S "i64.load8_s" i8 => i64;
                I64Load8U "i64.load8_u" u8 => i64;
                I64Load16S "i64.load16_s" i16 => i64;
                I64Load16U "i64.load16_u" u16 => i64;
                I64Load32S "i64.load32_s" i32 => i64;
                I64Load32U "i64.load32_u" u32 => i64;
            }
            store {
                I32Store "i32.store" i32 => u32;
                I64Store "i64.store" i64 => u64;
                F32Store "f32.store" f32 => u32;
                F64Store "f64.store" f64 => u64;
                I32Store8 "i32.store8" i32 => u8;
                I32Store16 "i32.store16" i32 => u16;
                I64Store8 "i64.store8" i64 => u8;
                I64Store16 "i64.store16" i64 => u16;
                I64Store32 "i64.store32" i64 => u32;
            }
            custom {
                Unreachable "unreachable" plain;
                Nop "nop" structural;
                Block "block" structural;
                Loop "loop" structural;
                If "if" plain;
                Else "else" structural;
                End "end" structural;
                Br "br" plain;
                BrIf "br_if" plain;
                BrTable "br_table" plain;
                Return "return" plain;
                Call "call" plain;
                CallIndirect "call_indirect" plain;
                ReturnCall "return_call" plain;
                ReturnCallIndirect "return_call_indirect" plain;
                TryTable "try_table" structural;
                Throw "throw" plain;
                ThrowRef "throw_ref" plain;
                Try "try" structural;
                Catch "catch" structural;
                CatchAll "catch_all" structural;
                Rethrow "rethrow" plain;
                Delegate "delegate" structural;
                Drop "drop" structural;
                Select "select" plain;
                TypedSelect "select" plain;
                LocalGet "local.get" plain;
                LocalSet "local.set" plain;
                LocalTee "local.tee" plain;
                GlobalGet "global.get" plain;
                GlobalSet "global.set" plain;
                I32Const "i32.const" plain;
                I64Const "i64.const" plain;
                F32Const "f32.const" plain;
                F64Const "f64.const" plain;
                RefNull "ref.null" plain;
                RefIsNull "ref.is_null" plain;
                RefFunc "ref.func" plain;
                RefEq "ref.eq" plain;
                RefAsNonNull "ref.as_non_null" plain;
                BrOnNull "br_on_null" plain;
                BrOnNonNull "br_on_non_null" plain;
                CallRef "call_ref" plain;
                ReturnCallRef "return_call_ref" plain;
                StructNew "struct.new" plain;
                StructNewDefault "struct.new_default" plain;
                StructGet "struct.get" plain;
                StructGetS "struct.get_s" plain;
                StructGetU "struct.get_u" plain;
                StructSet "struct.set" plain;
                ArrayNew "array.new" bulk;
                ArrayNewDefault "array.new_default" bulk;
                ArrayNewFixed "array.new_fixed" bulk;
                ArrayNewData "array.new_data" bulk;
                ArrayNewElem "array.new_elem" bulk;
                ArrayGet "array.get" plain;
                ArrayGetS "array.get_s" plain;
                ArrayGetU "array.get_u" plain;
                ArraySet "array.set" plain;
                ArrayLen "array.len" plain;
                ArrayFill "array.fill" bulk;
                ArrayCopy "array.copy" bulk;
                ArrayInitData "array.init_data" bulk;
                ArrayInitElem "array.init_elem" bulk;
                RefTestNonNull "ref.test" plain;
                RefTestNullable "ref.test" plain;
                RefCastNonNull "ref.cast" plain;
                RefCastNullable "ref.cast" plain;
                BrOnCast "br_on_cast" plain;
                BrOnCastFail "br_on_cast_fail" plain;
                StructNewDesc "struct.new_desc" plain;
                StructNewDefaultDesc "struct.new_default_desc" plain;
                RefGetDesc "ref.get_desc" plain;
                RefCastDescEqNonNull "ref.cast_desc_eq" plain;
                RefCastDescEqNullable "ref.cast_desc_eq" plain;
                BrOnCastDescEq "br_on_cast_desc_eq" plain;
                BrOnCastDescEqFail "br_on_cast_desc_eq_fail" plain;
                AnyConvertExtern "any.convert_extern" structural;
                ExternConvertAny "extern.convert_any" structural;
                RefI31 "ref.i31" plain;
                I31GetS "i31.get_s" plain;
                I31GetU "i31.get_u" plain;
                TableGet "table.get" plain;
                TableSet "table.set" plain;
                TableSize "table.size" plain;
                TableGrow "table.grow" bulk;
                TableFill "table.fill" bulk;
                TableCopy "table.copy" bulk;
                TableInit "table.init" bulk;
                ElemDrop "elem.drop" plain;
                MemorySize "memory.size" plain;
                MemoryGrow "memory.grow" plain;
                MemoryFill "memory.fill" bulk;
                MemoryCopy "memory.copy" bulk;
                MemoryInit "memory.init" bulk;
                DataDrop "data.drop" plain;
                ContNew "cont.new" plain;
                ContBind "cont.bind" plain;
                Suspend "suspend" plain;
                Resume "resume" plain;
                ResumeThrow "resume_throw" plain;
                ResumeThrowRef "resume_throw_ref" plain;
                Switch "switch" plain;
                I64Add128 "i64.add128" plain;
                I64Sub128 "i64.sub128" plain;
                I64MulWideS "i64.mul_wide_s" plain;
                I64MulWideU "i64.mul_wide_u" plain;
            }
        }
    };
}

macro_rules! op_enum {
    (
        unary { $($u:ident $ut:literal $ua:ident -> $ur:ident $um:ident $ul:ident;)* }
        unary_trap { $($v:ident $vt:literal $va:ident -> $vr:ident $vm:ident $vl:ident;)* }
        binary { $($b:ident $bt:literal $ba:ident -> $br:ident $bm:ident $bl:ident;)* }
        binary_trap { $($c:ident $ct:literal $ca:ident -> $cr:ident $cm:ident $cl:ident;)* }
        compare { $($d:ident $dt:literal $da:ident $dm:ident $dn:ident $dl:ident;)* }
        compare_float { $($e:ident $et:literal $ea:ident $em:ident $el:ident;)* }
        test { $($t:ident $tt:literal $ta:ident $tm:ident $tl:ident;)* }
        load { $($l:ident $lt:literal $lm:ident => $lr:ident;)* }
        store { $($s:ident $st:literal $sa:ident => $sm:ident;)* }
        custom { $($x:ident $xt:literal $xf:ident;)* }
    ) => {
        for_each_simd_op! { op_enum_of_both {
            $($u $ut plain;)* $($v $vt plain;)* $($b $bt plain;)* $($c $ct plain;)* $($d $dt plain;)* $($e $et plain;)*
            $($t $tt plain;)* $($l $lt plain;)* $($s $st plain;)* $($x $xt $xf;)*
        } }
    };
}

/// What is known of an operator by its name alone: from the rows of [`for_each_op`], brought into one list, and of
/// [`for_each_simd_op`].
macro_rules! op_enum_of_both {
    (
        { $($op:ident $text:literal $fuel:ident;)* }
        unary { $($u:ident $ut:literal $ua:ident -> $ur:ident $um:ident $ul:ident;)* }
        unary_float { $($v:ident $vt:literal $va:ident -> $vr:ident $vm:ident $vl:ident;)* }
        binary { $($b:ident $bt:literal $ba:ident -> $br:ident $bm:ident $bl:ident;)* }
        binary_float { $($c:ident $ct:literal $ca:ident -> $cr:ident $cm:ident $cl:ident;)* }
        ternary { $($d:ident $dt:literal $da:ident -> $dr:ident $dm:ident $dl:ident;)* }
        ternary_float { $($e:ident $et:literal $ea:ident -> $er:ident $em:ident $el:ident;)* }
        shift { $($h:ident $ht:literal $ha:ident $hm:ident $hl:ident;)* }
        splat { $($p:ident $pt:literal $pa:ident -> $pr:ident $pm:ident $pl:ident;)* }
        extract { $($x:ident $xt:literal $xa:ident -> $xr:ident $xm:ident $xl:ident;)* }
        replace { $($y:ident $yt:literal $ya:ident $yb:ident $ym:ident $yl:ident;)* }
        reduce { $($r:ident $rt:literal $ra:ident $rm:ident $rl:ident;)* }
        load { $($l:ident $lt:literal $lm:ident $lf:ident $ll:ident;)* }
        store { $($s:ident $st:literal $sm:ident;)* }
        load_lane { $($i:ident $it:literal $im:ident $ia:ident $if:ident;)* }
        store_lane { $($j:ident $jt:literal $jm:ident $ja:ident $jf:ident;)* }
        custom { $($z:ident $zt:literal;)* }
    ) => {
        for_each_atomic_op! { op_enum_of_all {
            $($op $text $fuel;)* $($u $ut plain;)* $($v $vt plain;)* $($b $bt plain;)* $($c $ct plain;)* $($d $dt plain;)*
            $($e $et plain;)* $($h $ht plain;)* $($p $pt plain;)* $($x $xt plain;)* $($y $yt plain;)* $($r $rt plain;)*
            $($l $lt plain;)* $($s $st plain;)* $($i $it plain;)* $($j $jt plain;)* $($z $zt plain;)*
        } }
    };
}

/// The same with the rows of [`for_each_atomic_op`].
macro_rules! op_enum_of_all {
    (
        { $($op:ident $text:literal $fuel:ident;)* }
        load { $($l:ident $lt:literal $lm:ident => $lr:ident;)* }
        store { $($s:ident $st:literal $sa:ident => $sm:ident;)* }
        rmw { $($r:ident $rt:literal $ra:ident => $rm:ident $ro:ident;)* }
        cmpxchg { $($c:ident $ct:literal $ca:ident => $cm:ident;)* }
        custom { $($x:ident $xt:literal;)* }
    ) => {
        op_enum_of_names! {
            $($op $text $fuel;)* $($l $lt plain;)* $($s $st plain;)* $($r $rt plain;)* $($c $ct plain;)* $($x $xt plain;)*
        }
    };
}

macro_rules! op_enum_of_names {
    ($($op:ident $text:literal $fuel:ident;)*) => {
        /// An operator without its immediates.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
        #[repr(u16)]
        #[allow(missing_docs, reason = "the variants are the rows of the table, named as in the specification")]
        pub enum Op {
            $($op,)*
        }

        impl Op {
            /// Every operator, in table order.
            pub const ALL: &'static [Op] = &[$(Op::$op,)*];

            /// The mnemonic of the text format.
            pub const fn mnemonic(self) -> &'static str {
                match self {
                    $(Op::$op => $text,)*
                }
            }

            /// The row of a parsed operator; `None` if mini-wasm does not run it.
            pub fn of(op: &wasmparser::Operator<'_>) -> Option<Op> {
                use wasmparser::Operator as O;
                Some(match op {
                    $(O::$op { .. } => Op::$op,)*
                    _ => return None,
                })
            }

            /// What the operator costs at block entry, in units of fuel. Bulk operators cost their length besides.
            pub const fn fuel(self) -> u32 {
                match self {
                    $(Op::$op => op_enum_of_names!(@fuel $fuel),)*
                }
            }
        }
    };
    (@fuel plain) => { FUEL_PLAIN };
    (@fuel bulk) => { FUEL_PLAIN };
    (@fuel structural) => { 0 };
}
for_each_op!(op_enum);
