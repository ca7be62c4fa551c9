//! The rows of SIMD and relaxed SIMD: the second half of the operator table (core specification 4.4.3 "Vector Instructions").
//!
//! A row is as in [`super`]: variant, mnemonic, types, meaning (a function of [`crate::simd`]), lowering (in the `jit` crate).
//! Operands and results are `v128` where nothing else is said; a column then tells how the operator sees its lanes (bits without
//! lanes count as `i8x16`).
//!
//! | class           | stack effect        | columns and meaning                                                              |
//! |-----------------|---------------------|----------------------------------------------------------------------------------|
//! | `unary`         | `v -> v`            | lanes of operand and result; `fn(V128) -> V128`                                  |
//! | `binary`        | `v v -> v`          | lanes of operands and result; comparisons make masks; `fn(V128, V128) -> V128`   |
//! | `ternary`       | `v v v -> v`        | lanes of operands and result; `fn(V128, V128, V128) -> V128`                     |
//! | `*_float`       | as without          | the result's lanes may be new NaNs, which `canonicalize_nans` replaces           |
//! | `shift`         | `v i32 -> v`        | lanes; `fn(V128, u32) -> V128`                                                   |
//! | `splat`         | `s -> v`            | scalar and lanes; `fn(s) -> V128`                                                |
//! | `extract`       | `v -> s`            | lanes and scalar, immediate lane; `fn(V128, u8) -> s`                            |
//! | `replace`       | `v s -> v`          | lanes and scalar, immediate lane; `fn(V128, s, u8) -> V128`                      |
//! | `reduce`        | `v -> i32`          | lanes; `fn(V128) -> u32`                                                         |
//! | `load`          | `addr -> v`         | what is read from memory; `fn(m) -> V128`                                        |
//! | `store`         | `addr v ->`         | what is written                                                                  |
//! | `load_lane`     | `addr v -> v`       | what is read and the lanes it is one of, immediate lane; `fn(V128, m, u8) -> V128` |
//! | `store_lane`    | `addr v ->`         | what is written and the lanes it is one of, immediate lane; `fn(V128, u8) -> m`  |
//! | `custom`        | by its immediates   | written out by each engine                                                       |
//!
//! The relaxed operators mean what the specification's deterministic profile says, which is what some strict operator means
//! wherever there is one. Their lowerings differ when [`crate::config::Config::relaxed_simd_deterministic`] is off.

/// Hands the rows to the macro `$m`, behind what else stands in the parentheses. See the module's documentation for the classes.
#[macro_export]
macro_rules! for_each_simd_op {
    ($m:ident $($before:tt)*) => {
        $m! {
            $($before)*
            unary {
                V128Not "v128.not" i8x16 -> i8x16 v128_not bnot;
                I8x16Abs "i8x16.abs" i8x16 -> i8x16 i8x16_abs iabs;
                I8x16Neg "i8x16.neg" i8x16 -> i8x16 i8x16_neg ineg;
                I8x16Popcnt "i8x16.popcnt" i8x16 -> i8x16 i8x16_popcnt popcnt;
                I16x8ExtAddPairwiseI8x16S "i16x8.extadd_pairwise_i8x16_s" i8x16 -> i16x8 i16x8_extadd_pairwise_i8x16_s extadd_pairwise_s;
                I16x8ExtAddPairwiseI8x16U "i16x8.extadd_pairwise_i8x16_u" i8x16 -> i16x8 i16x8_extadd_pairwise_i8x16_u extadd_pairwise_u;
                I16x8Abs "i16x8.abs" i16x8 -> i16x8 i16x8_abs iabs;
                I16x8Neg "i16x8.neg" i16x8 -> i16x8 i16x8_neg ineg;
                I16x8ExtendLowI8x16S "i16x8.extend_low_i8x16_s" i8x16 -> i16x8 i16x8_extend_low_i8x16_s swiden_low;
                I16x8ExtendHighI8x16S "i16x8.extend_high_i8x16_s" i8x16 -> i16x8 i16x8_extend_high_i8x16_s swiden_high;
                I16x8ExtendLowI8x16U "i16x8.extend_low_i8x16_u" i8x16 -> i16x8 i16x8_extend_low_i8x16_u uwiden_low;
                I16x8ExtendHighI8x16U "i16x8.extend_high_i8x16_u" i8x16 -> i16x8 i16x8_extend_high_i8x16_u uwiden_high;
                I32x4ExtAddPairwiseI16x8S "i32x4.extadd_pairwise_i16x8_s" i16x8 -> i32x4 i32x4_extadd_pairwise_i16x8_s extadd_pairwise_s;
                I32x4ExtAddPairwiseI16x8U "i32x4.extadd_pairwise_i16x8_u" i16x8 -> i32x4 i32x4_extadd_pairwise_i16x8_u extadd_pairwise_u;
                I32x4Abs "i32x4.abs" i32x4 -> i32x4 i32x4_abs iabs;
                I32x4Neg "i32x4.neg" i32x4 -> i32x4 i32x4_neg ineg;
                I32x4ExtendLowI16x8S "i32x4.extend_low_i16x8_s" i16x8 -> i32x4 i32x4_extend_low_i16x8_s swiden_low;
                I32x4ExtendHighI16x8S "i32x4.extend_high_i16x8_s" i16x8 -> i32x4 i32x4_extend_high_i16x8_s swiden_high;
                I32x4ExtendLowI16x8U "i32x4.extend_low_i16x8_u" i16x8 -> i32x4 i32x4_extend_low_i16x8_u uwiden_low;
                I32x4ExtendHighI16x8U "i32x4.extend_high_i16x8_u" i16x8 -> i32x4 i32x4_extend_high_i16x8_u uwiden_high;
                I64x2Abs "i64x2.abs" i64x2 -> i64x2 i64x2_abs iabs;
                I64x2Neg "i64x2.neg" i64x2 -> i64x2 i64x2_neg ineg;
                I64x2ExtendLowI32x4S "i64x2.extend_low_i32x4_s" i32x4 -> i64x2 i64x2_extend_low_i32x4_s swiden_low;
                I64x2ExtendHighI32x4S "i64x2.extend_high_i32x4_s" i32x4 -> i64x2 i64x2_extend_high_i32x4_s swiden_high;
                I64x2ExtendLowI32x4U "i64x2.extend_low_i32x4_u" i32x4 -> i64x2 i64x2_extend_low_i32x4_u uwiden_low;
                I64x2ExtendHighI32x4U "i64x2.extend_high_i32x4_u" i32x4 -> i64x2 i64x2_extend_high_i32x4_u uwiden_high;
                F32x4Abs "f32x4.abs" f32x4 -> f32x4 f32x4_abs fabs;
                F32x4Neg "f32x4.neg" f32x4 -> f32x4 f32x4_neg fneg;
                F64x2Abs "f64x2.abs" f64x2 -> f64x2 f64x2_abs fabs;
                F64x2Neg "f64x2.neg" f64x2 -> f64x2 f64x2_neg fneg;
                I32x4TruncSatF32x4S "i32x4.trunc_sat_f32x4_s" f32x4 -> i32x4 i32x4_trunc_sat_f32x4_s trunc_sat_s;
                I32x4TruncSatF32x4U "i32x4.trunc_sat_f32x4_u" f32x4 -> i32x4 i32x4_trunc_sat_f32x4_u trunc_sat_u;
                F32x4ConvertI32x4S "f32x4.convert_i32x4_s" i32x4 -> f32x4 f32x4_convert_i32x4_s convert_s;
                F32x4ConvertI32x4U "f32x4.convert_i32x4_u" i32x4 -> f32x4 f32x4_convert_i32x4_u convert_u;
                I32x4TruncSatF64x2SZero "i32x4.trunc_sat_f64x2_s_zero" f64x2 -> i32x4 i32x4_trunc_sat_f64x2_s_zero trunc_sat_s_zero;
                I32x4TruncSatF64x2UZero "i32x4.trunc_sat_f64x2_u_zero" f64x2 -> i32x4 i32x4_trunc_sat_f64x2_u_zero trunc_sat_u_zero;
                F64x2ConvertLowI32x4S "f64x2.convert_low_i32x4_s" i32x4 -> f64x2 f64x2_convert_low_i32x4_s convert_low_s;
                F64x2ConvertLowI32x4U "f64x2.convert_low_i32x4_u" i32x4 -> f64x2 f64x2_convert_low_i32x4_u convert_low_u;
                I32x4RelaxedTruncF32x4S "i32x4.relaxed_trunc_f32x4_s" f32x4 -> i32x4 i32x4_trunc_sat_f32x4_s relaxed_trunc_s;
                I32x4RelaxedTruncF32x4U "i32x4.relaxed_trunc_f32x4_u" f32x4 -> i32x4 i32x4_trunc_sat_f32x4_u relaxed_trunc_u;
                I32x4RelaxedTruncF64x2SZero "i32x4.relaxed_trunc_f64x2_s_zero" f64x2 -> i32x4 i32x4_trunc_sat_f64x2_s_zero relaxed_trunc_s_zero;
                I32x4RelaxedTruncF64x2UZero "i32x4.relaxed_trunc_f64x2_u_zero" f64x2 -> i32x4 i32x4_trunc_sat_f64x2_u_zero relaxed_trunc_u_zero;
            }
            unary_float {
                F32x4Ceil "f32x4.ceil" f32x4 -> f32x4 f32x4_ceil ceil;
                F32x4Floor "f32x4.floor" f32x4 -> f32x4 f32x4_floor floor;
                F32x4Trunc "f32x4.trunc" f32x4 -> f32x4 f32x4_trunc trunc;
                F32x4Nearest "f32x4.nearest" f32x4 -> f32x4 f32x4_nearest nearest;
                F32x4Sqrt "f32x4.sqrt" f32x4 -> f32x4 f32x4_sqrt sqrt;
                F64x2Ceil "f64x2.ceil" f64x2 -> f64x2 f64x2_ceil ceil;
                F64x2Floor "f64x2.floor" f64x2 -> f64x2 f64x2_floor floor;
                F64x2Trunc "f64x2.trunc" f64x2 -> f64x2 f64x2_trunc trunc;
                F64x2Nearest "f64x2.nearest" f64x2 -> f64x2 f64x2_nearest nearest;
                F64x2Sqrt "f64x2.sqrt" f64x2 -> f64x2 f64x2_sqrt sqrt;
                F32x4DemoteF64x2Zero "f32x4.demote_f64x2_zero" f64x2 -> f32x4 f32x4_demote_f64x2_zero demote_zero;
                F64x2PromoteLowF32x4 "f64x2.promote_low_f32x4" f32x4 -> f64x2 f64x2_promote_low_f32x4 promote_low;
            }
            binary {
                I8x16Swizzle "i8x16.swizzle" i8x16 -> i8x16 i8x16_swizzle swizzle;
                I8x16Eq "i8x16.eq" i8x16 -> i8x16 i8x16_eq eq;
                I8x16Ne "i8x16.ne" i8x16 -> i8x16 i8x16_ne ne;
                I8x16LtS "i8x16.lt_s" i8x16 -> i8x16 i8x16_lt_s lt_s;
                I8x16LtU "i8x16.lt_u" i8x16 -> i8x16 i8x16_lt_u lt_u;
                I8x16GtS "i8x16.gt_s" i8x16 -> i8x16 i8x16_gt_s gt_s;
                I8x16GtU "i8x16.gt_u" i8x16 -> i8x16 i8x16_gt_u gt_u;
                I8x16LeS "i8x16.le_s" i8x16 -> i8x16 i8x16_le_s le_s;
                I8x16LeU "i8x16.le_u" i8x16 -> i8x16 i8x16_le_u le_u;
                I8x16GeS "i8x16.ge_s" i8x16 -> i8x16 i8x16_ge_s ge_s;
                I8x16GeU "i8x16.ge_u" i8x16 -> i8x16 i8x16_ge_u ge_u;
                I16x8Eq "i16x8.eq" i16x8 -> i16x8 i16x8_eq eq;
                I16x8Ne "i16x8.ne" i16x8 -> i16x8 i16x8_ne ne;
                I16x8LtS "i16x8.lt_s" i16x8 -> i16x8 i16x8_lt_s lt_s;
                I16x8LtU "i16x8.lt_u" i16x8 -> i16x8 i16x8_lt_u lt_u;
                I16x8GtS "i16x8.gt_s" i16x8 -> i16x8 i16x8_gt_s gt_s;
                I16x8GtU "i16x8.gt_u" i16x8 -> i16x8 i16x8_gt_u gt_u;
                I16x8LeS "i16x8.le_s" i16x8 -> i16x8 i16x8_le_s le_s;
                I16x8LeU "i16x8.le_u" i16x8 -> i16x8 i16x8_le_u le_u;
                I16x8GeS "i16x8.ge_s" i16x8 -> i16x8 i16x8_ge_s ge_s;
                I16x8GeU "i16x8.ge_u" i16x8 -> i16x8 i16x8_ge_u ge_u;
                I32x4Eq "i32x4.eq" i32x4 -> i32x4 i32x4_eq eq;
                I32x4Ne "i32x4.ne" i32x4 -> i32x4 i32x4_ne ne;
                I32x4LtS "i32x4.lt_s" i32x4 -> i32x4 i32x4_lt_s lt_s;
                I32x4LtU "i32x4.lt_u" i32x4 -> i32x4 i32x4_lt_u lt_u;
                I32x4GtS "i32x4.gt_s" i32x4 -> i32x4 i32x4_gt_s gt_s;
                I32x4GtU "i32x4.gt_u" i32x4 -> i32x4 i32x4_gt_u gt_u;
                I32x4LeS "i32x4.le_s" i32x4 -> i32x4 i32x4_le_s le_s;
                I32x4LeU "i32x4.le_u" i32x4 -> i32x4 i32x4_le_u le_u;
                I32x4GeS "i32x4.ge_s" i32x4 -> i32x4 i32x4_ge_s ge_s;
                I32x4GeU "i32x4.ge_u" i32x4 -> i32x4 i32x4_ge_u ge_u;
                I64x2Eq "i64x2.eq" i64x2 -> i64x2 i64x2_eq eq;
                I64x2Ne "i64x2.ne" i64x2 -> i64x2 i64x2_ne ne;
                I64x2LtS "i64x2.lt_s" i64x2 -> i64x2 i64x2_lt_s lt_s;
                I64x2GtS "i64x2.gt_s" i64x2 -> i64x2 i64x2_gt_s gt_s;
                I64x2LeS "i64x2.le_s" i64x2 -> i64x2 i64x2_le_s le_s;
                I64x2GeS "i64x2.ge_s" i64x2 -> i64x2 i64x2_ge_s ge_s;
                F32x4Eq "f32x4.eq" f32x4 -> i32x4 f32x4_eq feq;
                F32x4Ne "f32x4.ne" f32x4 -> i32x4 f32x4_ne fne;
                F32x4Lt "f32x4.lt" f32x4 -> i32x4 f32x4_lt flt;
                F32x4Gt "f32x4.gt" f32x4 -> i32x4 f32x4_gt fgt;
                F32x4Le "f32x4.le" f32x4 -> i32x4 f32x4_le fle;
                F32x4Ge "f32x4.ge" f32x4 -> i32x4 f32x4_ge fge;
                F64x2Eq "f64x2.eq" f64x2 -> i64x2 f64x2_eq feq;
                F64x2Ne "f64x2.ne" f64x2 -> i64x2 f64x2_ne fne;
                F64x2Lt "f64x2.lt" f64x2 -> i64x2 f64x2_lt flt;
                F64x2Gt "f64x2.gt" f64x2 -> i64x2 f64x2_gt fgt;
                F64x2Le "f64x2.le" f64x2 -> i64x2 f64x2_le fle;
                F64x2Ge "f64x2.ge" f64x2 -> i64x2 f64x2_ge fge;
                V128And "v128.and" i8x16 -> i8x16 v128_and band;
                V128AndNot "v128.andnot" i8x16 -> i8x16 v128_andnot band_not;
                V128Or "v128.or" i8x16 -> i8x16 v128_or bor;
                V128Xor "v128.xor" i8x16 -> i8x16 v128_xor bxor;
                I8x16NarrowI16x8S "i8x16.narrow_i16x8_s" i16x8 -> i8x16 i8x16_narrow_i16x8_s snarrow;
                I8x16NarrowI16x8U "i8x16.narrow_i16x8_u" i16x8 -> i8x16 i8x16_narrow_i16x8_u unarrow;
                I8x16Add "i8x16.add" i8x16 -> i8x16 i8x16_add iadd;
                I8x16AddSatS "i8x16.add_sat_s" i8x16 -> i8x16 i8x16_add_sat_s sadd_sat;
                I8x16AddSatU "i8x16.add_sat_u" i8x16 -> i8x16 i8x16_add_sat_u uadd_sat;
                I8x16Sub "i8x16.sub" i8x16 -> i8x16 i8x16_sub isub;
                I8x16SubSatS "i8x16.sub_sat_s" i8x16 -> i8x16 i8x16_sub_sat_s ssub_sat;
                I8x16SubSatU "i8x16.sub_sat_u" i8x16 -> i8x16 i8x16_sub_sat_u usub_sat;
                I8x16MinS "i8x16.min_s" i8x16 -> i8x16 i8x16_min_s smin;
                I8x16MinU "i8x16.min_u" i8x16 -> i8x16 i8x16_min_u umin;
                I8x16MaxS "i8x16.max_s" i8x16 -> i8x16 i8x16_max_s smax;
                I8x16MaxU "i8x16.max_u" i8x16 -> i8x16 i8x16_max_u umax;
                I8x16AvgrU "i8x16.avgr_u" i8x16 -> i8x16 i8x16_avgr_u avg_round;
                I16x8Q15MulrSatS "i16x8.q15mulr_sat_s" i16x8 -> i16x8 i16x8_q15mulr_sat_s sqmul_round_sat;
                I16x8NarrowI32x4S "i16x8.narrow_i32x4_s" i32x4 -> i16x8 i16x8_narrow_i32x4_s snarrow;
                I16x8NarrowI32x4U "i16x8.narrow_i32x4_u" i32x4 -> i16x8 i16x8_narrow_i32x4_u unarrow;
                I16x8Add "i16x8.add" i16x8 -> i16x8 i16x8_add iadd;
                I16x8AddSatS "i16x8.add_sat_s" i16x8 -> i16x8 i16x8_add_sat_s sadd_sat;
                I16x8AddSatU "i16x8.add_sat_u" i16x8 -> i16x8 i16x8_add_sat_u uadd_sat;
                I16x8Sub "i16x8.sub" i16x8 -> i16x8 i16x8_sub isub;
                I16x8SubSatS "i16x8.sub_sat_s" i16x8 -> i16x8 i16x8_sub_sat_s ssub_sat;
                I16x8SubSatU "i16x8.sub_sat_u" i16x8 -> i16x8 i16x8_sub_sat_u usub_sat;
                I16x8Mul "i16x8.mul" i16x8 -> i16x8 i16x8_mul imul;
                I16x8MinS "i16x8.min_s" i16x8 -> i16x8 i16x8_min_s smin;
                I16x8MinU "i16x8.min_u" i16x8 -> i16x8 i16x8_min_u umin;
                I16x8MaxS "i16x8.max_s" i16x8 -> i16x8 i16x8_max_s smax;
                I16x8MaxU "i16x8.max_u" i16x8 -> i16x8 i16x8_max_u umax;
                I16x8AvgrU "i16x8.avgr_u" i16x8 -> i16x8 i16x8_avgr_u avg_round;
                I16x8ExtMulLowI8x16S "i16x8.extmul_low_i8x16_s" i8x16 -> i16x8 i16x8_extmul_low_i8x16_s extmul_low_s;
                I16x8ExtMulHighI8x16S "i16x8.extmul_high_i8x16_s" i8x16 -> i16x8 i16x8_extmul_high_i8x16_s extmul_high_s;
                I16x8ExtMulLowI8x16U "i16x8.extmul_low_i8x16_u" i8x16 -> i16x8 i16x8_extmul_low_i8x16_u extmul_low_u;
                I16x8ExtMulHighI8x16U "i16x8.extmul_high_i8x16_u" i8x16 -> i16x8 i16x8_extmul_high_i8x16_u extmul_high_u;
                I32x4Add "i32x4.add" i32x4 -> i32x4 i32x4_add iadd;
                I32x4Sub "i32x4.sub" i32x4 -> i32x4 i32x4_sub isub;
                I32x4Mul "i32x4.mul" i32x4 -> i32x4 i32x4_mul imul;
                I32x4MinS "i32x4.min_s" i32x4 -> i32x4 i32x4_min_s smin;
                I32x4MinU "i32x4.min_u" i32x4 -> i32x4 i32x4_min_u umin;
                I32x4MaxS "i32x4.max_s" i32x4 -> i32x4 i32x4_max_s smax;
                I32x4MaxU "i32x4.max_u" i32x4 -> i32x4 i32x4_max_u umax;
                I32x4DotI16x8S "i32x4.dot_i16x8_s" i16x8 -> i32x4 i32x4_dot_i16x8_s dot;
                I32x4ExtMulLowI16x8S "i32x4.extmul_low_i16x8_s" i16x8 -> i32x4 i32x4_extmul_low_i16x8_s extmul_low_s;
                I32x4ExtMulHighI16x8S "i32x4.extmul_high_i16x8_s" i16x8 -> i32x4 i32x4_extmul_high_i16x8_s extmul_high_s;
                I32x4ExtMulLowI16x8U "i32x4.extmul_low_i16x8_u" i16x8 -> i32x4 i32x4_extmul_low_i16x8_u extmul_low_u;
                I32x4ExtMulHighI16x8U "i32x4.extmul_high_i16x8_u" i16x8 -> i32x4 i32x4_extmul_high_i16x8_u extmul_high_u;
                I64x2Add "i64x2.add" i64x2 -> i64x2 i64x2_add iadd;
                I64x2Sub "i64x2.sub" i64x2 -> i64x2 i64x2_sub isub;
                I64x2Mul "i64x2.mul" i64x2 -> i64x2 i64x2_mul imul;
                I64x2ExtMulLowI32x4S "i64x2.extmul_low_i32x4_s" i32x4 -> i64x2 i64x2_extmul_low_i32x4_s extmul_low_s;
                I64x2ExtMulHighI32x4S "i64x2.extmul_high_i32x4_s" i32x4 -> i64x2 i64x2_extmul_high_i32x4_s extmul_high_s;
                I64x2ExtMulLowI32x4U "i64x2.extmul_low_i32x4_u" i32x4 -> i64x2 i64x2_extmul_low_i32x4_u extmul_low_u;
                I64x2ExtMulHighI32x4U "i64x2.extmul_high_i32x4_u" i32x4 -> i64x2 i64x2_extmul_high_i32x4_u extmul_high_u;
                F32x4PMin "f32x4.pmin" f32x4 -> f32x4 f32x4_pmin pmin;
                F32x4PMax "f32x4.pmax" f32x4 -> f32x4 f32x4_pmax pmax;
                F64x2PMin "f64x2.pmin" f64x2 -> f64x2 f64x2_pmin pmin;
                F64x2PMax "f64x2.pmax" f64x2 -> f64x2 f64x2_pmax pmax;
                I8x16RelaxedSwizzle "i8x16.relaxed_swizzle" i8x16 -> i8x16 i8x16_swizzle relaxed_swizzle;
                I16x8RelaxedQ15mulrS "i16x8.relaxed_q15mulr_s" i16x8 -> i16x8 i16x8_q15mulr_sat_s relaxed_q15mulr;
                I16x8RelaxedDotI8x16I7x16S "i16x8.relaxed_dot_i8x16_i7x16_s" i8x16 -> i16x8 i16x8_relaxed_dot_i8x16_i7x16_s relaxed_dot;
            }
            binary_float {
                F32x4Add "f32x4.add" f32x4 -> f32x4 f32x4_add fadd;
                F32x4Sub "f32x4.sub" f32x4 -> f32x4 f32x4_sub fsub;
                F32x4Mul "f32x4.mul" f32x4 -> f32x4 f32x4_mul fmul;
                F32x4Div "f32x4.div" f32x4 -> f32x4 f32x4_div fdiv;
                F32x4Min "f32x4.min" f32x4 -> f32x4 f32x4_min fmin;
                F32x4Max "f32x4.max" f32x4 -> f32x4 f32x4_max fmax;
                F64x2Add "f64x2.add" f64x2 -> f64x2 f64x2_add fadd;
                F64x2Sub "f64x2.sub" f64x2 -> f64x2 f64x2_sub fsub;
                F64x2Mul "f64x2.mul" f64x2 -> f64x2 f64x2_mul fmul;
                F64x2Div "f64x2.div" f64x2 -> f64x2 f64x2_div fdiv;
                F64x2Min "f64x2.min" f64x2 -> f64x2 f64x2_min fmin;
                F64x2Max "f64x2.max" f64x2 -> f64x2 f64x2_max fmax;
                F32x4RelaxedMin "f32x4.relaxed_min" f32x4 -> f32x4 f32x4_min relaxed_min;
                F32x4RelaxedMax "f32x4.relaxed_max" f32x4 -> f32x4 f32x4_max relaxed_max;
                F64x2RelaxedMin "f64x2.relaxed_min" f64x2 -> f64x2 f64x2_min relaxed_min;
                F64x2RelaxedMax "f64x2.relaxed_max" f64x2 -> f64x2 f64x2_max relaxed_max;
            }
            ternary {
                V128Bitselect "v128.bitselect" i8x16 -> i8x16 v128_bitselect bitselect;
                I8x16RelaxedLaneselect "i8x16.relaxed_laneselect" i8x16 -> i8x16 v128_bitselect relaxed_laneselect;
                I16x8RelaxedLaneselect "i16x8.relaxed_laneselect" i16x8 -> i16x8 v128_bitselect relaxed_laneselect;
                I32x4RelaxedLaneselect "i32x4.relaxed_laneselect" i32x4 -> i32x4 v128_bitselect relaxed_laneselect;
                I64x2RelaxedLaneselect "i64x2.relaxed_laneselect" i64x2 -> i64x2 v128_bitselect relaxed_laneselect;
                I32x4RelaxedDotI8x16I7x16AddS "i32x4.relaxed_dot_i8x16_i7x16_add_s" i8x16 -> i32x4 i32x4_relaxed_dot_i8x16_i7x16_add_s relaxed_dot_add;
            }
            ternary_float {
                F32x4RelaxedMadd "f32x4.relaxed_madd" f32x4 -> f32x4 f32x4_relaxed_madd relaxed_madd;
                F32x4RelaxedNmadd "f32x4.relaxed_nmadd" f32x4 -> f32x4 f32x4_relaxed_nmadd relaxed_nmadd;
                F64x2RelaxedMadd "f64x2.relaxed_madd" f64x2 -> f64x2 f64x2_relaxed_madd relaxed_madd;
                F64x2RelaxedNmadd "f64x2.relaxed_nmadd" f64x2 -> f64x2 f64x2_relaxed_nmadd relaxed_nmadd;
            }
            shift {
                I8x16Shl "i8x16.shl" i8x16 i8x16_shl ishl;
                I8x16ShrS "i8x16.shr_s" i8x16 i8x16_shr_s sshr;
                I8x16ShrU "i8x16.shr_u" i8x16 i8x16_shr_u ushr;
                I16x8Shl "i16x8.shl" i16x8 i16x8_shl ishl;
                I16x8ShrS "i16x8.shr_s" i16x8 i16x8_shr_s sshr;
                I16x8ShrU "i16x8.shr_u" i16x8 i16x8_shr_u ushr;
                I32x4Shl "i32x4.shl" i32x4 i32x4_shl ishl;
                I32x4ShrS "i32x4.shr_s" i32x4 i32x4_shr_s sshr;
                I32x4ShrU "i32x4.shr_u" i32x4 i32x4_shr_u ushr;
                I64x2Shl "i64x2.shl" i64x2 i64x2_shl ishl;
                I64x2ShrS "i64x2.shr_s" i64x2 i64x2_shr_s sshr;
                I64x2ShrU "i64x2.shr_u" i64x2 i64x2_shr_u ushr;
            }
            splat {
                I8x16Splat "i8x16.splat" i32 -> i8x16 i8x16_splat splat_i8x16;
                I16x8Splat "i16x8.splat" i32 -> i16x8 i16x8_splat splat_i16x8;
                I32x4Splat "i32x4.splat" i32 -> i32x4 i32x4_splat splat_i32x4;
                I64x2Splat "i64x2.splat" i64 -> i64x2 i64x2_splat splat_i64x2;
                F32x4Splat "f32x4.splat" f32 -> f32x4 f32x4_splat splat_f32x4;
                F64x2Splat "f64x2.splat" f64 -> f64x2 f64x2_splat splat_f64x2;
            }
            extract {
                I8x16ExtractLaneS "i8x16.extract_lane_s" i8x16 -> i32 i8x16_extract_lane_s extract_s;
                I8x16ExtractLaneU "i8x16.extract_lane_u" i8x16 -> i32 i8x16_extract_lane_u extract_u;
                I16x8ExtractLaneS "i16x8.extract_lane_s" i16x8 -> i32 i16x8_extract_lane_s extract_s;
                I16x8ExtractLaneU "i16x8.extract_lane_u" i16x8 -> i32 i16x8_extract_lane_u extract_u;
                I32x4ExtractLane "i32x4.extract_lane" i32x4 -> i32 i32x4_extract_lane extract;
                I64x2ExtractLane "i64x2.extract_lane" i64x2 -> i64 i64x2_extract_lane extract;
                F32x4ExtractLane "f32x4.extract_lane" f32x4 -> f32 f32x4_extract_lane extract;
                F64x2ExtractLane "f64x2.extract_lane" f64x2 -> f64 f64x2_extract_lane extract;
            }
            replace {
                I8x16ReplaceLane "i8x16.replace_lane" i8x16 i32 i8x16_replace_lane replace;
                I16x8ReplaceLane "i16x8.replace_lane" i16x8 i32 i16x8_replace_lane replace;
                I32x4ReplaceLane "i32x4.replace_lane" i32x4 i32 i32x4_replace_lane replace;
                I64x2ReplaceLane "i64x2.replace_lane" i64x2 i64 i64x2_replace_lane replace;
                F32x4ReplaceLane "f32x4.replace_lane" f32x4 f32 f32x4_replace_lane replace;
                F64x2ReplaceLane "f64x2.replace_lane" f64x2 f64 f64x2_replace_lane replace;
            }
            reduce {
                V128AnyTrue "v128.any_true" i8x16 v128_any_true any_true;
                I8x16AllTrue "i8x16.all_true" i8x16 i8x16_all_true all_true;
                I8x16Bitmask "i8x16.bitmask" i8x16 i8x16_bitmask bitmask;
                I16x8AllTrue "i16x8.all_true" i16x8 i16x8_all_true all_true;
                I16x8Bitmask "i16x8.bitmask" i16x8 i16x8_bitmask bitmask;
                I32x4AllTrue "i32x4.all_true" i32x4 i32x4_all_true all_true;
                I32x4Bitmask "i32x4.bitmask" i32x4 i32x4_bitmask bitmask;
                I64x2AllTrue "i64x2.all_true" i64x2 i64x2_all_true all_true;
                I64x2Bitmask "i64x2.bitmask" i64x2 i64x2_bitmask bitmask;
            }
            load {
                V128Load "v128.load" u128 v128_load load;
                V128Load8x8S "v128.load8x8_s" u64 v128_load8x8_s sload8x8;
                V128Load8x8U "v128.load8x8_u" u64 v128_load8x8_u uload8x8;
                V128Load16x4S "v128.load16x4_s" u64 v128_load16x4_s sload16x4;
                V128Load16x4U "v128.load16x4_u" u64 v128_load16x4_u uload16x4;
                V128Load32x2S "v128.load32x2_s" u64 v128_load32x2_s sload32x2;
                V128Load32x2U "v128.load32x2_u" u64 v128_load32x2_u uload32x2;
                V128Load8Splat "v128.load8_splat" u8 v128_load8_splat splat8;
                V128Load16Splat "v128.load16_splat" u16 v128_load16_splat splat16;
                V128Load32Splat "v128.load32_splat" u32 v128_load32_splat splat32;
                V128Load64Splat "v128.load64_splat" u64 v128_load64_splat splat64;
                V128Load32Zero "v128.load32_zero" u32 v128_load32_zero zero32;
                V128Load64Zero "v128.load64_zero" u64 v128_load64_zero zero64;
            }
            store {
                V128Store "v128.store" u128;
            }
            load_lane {
                V128Load8Lane "v128.load8_lane" u8 i8x16 v128_load8_lane;
                V128Load16Lane "v128.load16_lane" u16 i16x8 v128_load16_lane;
                V128Load32Lane "v128.load32_lane" u32 i32x4 v128_load32_lane;
                V128Load64Lane "v128.load64_lane" u64 i64x2 v128_load64_lane;
            }
            store_lane {
                V128Store8Lane "v128.store8_lane" u8 i8x16 v128_store8_lane;
                V128Store16Lane "v128.store16_lane" u16 i16x8 v128_store16_lane;
                V128Store32Lane "v128.store32_lane" u32 i32x4 v128_store32_lane;
                V128Store64Lane "v128.store64_lane" u64 i64x2 v128_store64_lane;
            }
            custom {
                V128Const "v128.const";
                I8x16Shuffle "i8x16.shuffle";
            }
        }
    };
}
