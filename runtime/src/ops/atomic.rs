//! The rows of atomic operators (proposal threads).
//!
//! A row is as in [`super`]: variant, mnemonic, types. What memory holds is unsigned and zero-extended; a narrow operand is
//! wrapped. All are sequentially consistent.
//!
//! | class     | stack effect     | columns                                                     |
//! |-----------|------------------|-------------------------------------------------------------|
//! | `load`    | `addr -> r`      | what memory holds, the result                               |
//! | `store`   | `addr a ->`      | the operand, what memory holds                              |
//! | `rmw`     | `addr a -> a`    | the operand, what memory holds, what is done to it          |
//! | `cmpxchg` | `addr a a -> a`  | expected value and replacement, what memory holds           |
//! | `custom`  | by itself        | written out by each engine                                  |

/// Hands the rows to the macro `$m`, behind what else stands in the parentheses. See the module's documentation for the classes.
#[macro_export]
macro_rules! for_each_atomic_op {
    ($m:ident $($before:tt)*) => {
        $m! {
            $($before)*
            load {
                I32AtomicLoad "i32.atomic.load" u32 => i32;
                I64AtomicLoad "i64.atomic.load" u64 => i64;
                I32AtomicLoad8U "i32.atomic.load8_u" u8 => i32;
                I32AtomicLoad16U "i32.atomic.load16_u" u16 => i32;
                I64AtomicLoad8U "i64.atomic.load8_u" u8 => i64;
                I64AtomicLoad16U "i64.atomic.load16_u" u16 => i64;
                I64AtomicLoad32U "i64.atomic.load32_u" u32 => i64;
            }
            store {
                I32AtomicStore "i32.atomic.store" i32 => u32;
                I64AtomicStore "i64.atomic.store" i64 => u64;
                I32AtomicStore8 "i32.atomic.store8" i32 => u8;
                I32AtomicStore16 "i32.atomic.store16" i32 => u16;
                I64AtomicStore8 "i64.atomic.store8" i64 => u8;
                I64AtomicStore16 "i64.atomic.store16" i64 => u16;
                I64AtomicStore32 "i64.atomic.store32" i64 => u32;
            }
            rmw {
                I32AtomicRmwAdd "i32.atomic.rmw.add" i32 => u32 add;
                I64AtomicRmwAdd "i64.atomic.rmw.add" i64 => u64 add;
                I32AtomicRmw8AddU "i32.atomic.rmw8.add_u" i32 => u8 add;
                I32AtomicRmw16AddU "i32.atomic.rmw16.add_u" i32 => u16 add;
                I64AtomicRmw8AddU "i64.atomic.rmw8.add_u" i64 => u8 add;
                I64AtomicRmw16AddU "i64.atomic.rmw16.add_u" i64 => u16 add;
                I64AtomicRmw32AddU "i64.atomic.rmw32.add_u" i64 => u32 add;
                I32AtomicRmwSub "i32.atomic.rmw.sub" i32 => u32 sub;
                I64AtomicRmwSub "i64.atomic.rmw.sub" i64 => u64 sub;
                I32AtomicRmw8SubU "i32.atomic.rmw8.sub_u" i32 => u8 sub;
                I32AtomicRmw16SubU "i32.atomic.rmw16.sub_u" i32 => u16 sub;
                I64AtomicRmw8SubU "i64.atomic.rmw8.sub_u" i64 => u8 sub;
                I64AtomicRmw16SubU "i64.atomic.rmw16.sub_u" i64 => u16 sub;
                I64AtomicRmw32SubU "i64.atomic.rmw32.sub_u" i64 => u32 sub;
                I32AtomicRmwAnd "i32.atomic.rmw.and" i32 => u32 and;
                I64AtomicRmwAnd "i64.atomic.rmw.and" i64 => u64 and;
                I32AtomicRmw8AndU "i32.atomic.rmw8.and_u" i32 => u8 and;
                I32AtomicRmw16AndU "i32.atomic.rmw16.and_u" i32 => u16 and;
                I64AtomicRmw8AndU "i64.atomic.rmw8.and_u" i64 => u8 and;
                I64AtomicRmw16AndU "i64.atomic.rmw16.and_u" i64 => u16 and;
                I64AtomicRmw32AndU "i64.atomic.rmw32.and_u" i64 => u32 and;
                I32AtomicRmwOr "i32.atomic.rmw.or" i32 => u32 or;
                I64AtomicRmwOr "i64.atomic.rmw.or" i64 => u64 or;
                I32AtomicRmw8OrU "i32.atomic.rmw8.or_u" i32 => u8 or;
                I32AtomicRmw16OrU "i32.atomic.rmw16.or_u" i32 => u16 or;
                I64AtomicRmw8OrU "i64.atomic.rmw8.or_u" i64 => u8 or;
                I64AtomicRmw16OrU "i64.atomic.rmw16.or_u" i64 => u16 or;
                I64AtomicRmw32OrU "i64.atomic.rmw32.or_u" i64 => u32 or;
                I32AtomicRmwXor "i32.atomic.rmw.xor" i32 => u32 xor;
                I64AtomicRmwXor "i64.atomic.rmw.xor" i64 => u64 xor;
                I32AtomicRmw8XorU "i32.atomic.rmw8.xor_u" i32 => u8 xor;
                I32AtomicRmw16XorU "i32.atomic.rmw16.xor_u" i32 => u16 xor;
                I64AtomicRmw8XorU "i64.atomic.rmw8.xor_u" i64 => u8 xor;
                I64AtomicRmw16XorU "i64.atomic.rmw16.xor_u" i64 => u16 xor;
                I64AtomicRmw32XorU "i64.atomic.rmw32.xor_u" i64 => u32 xor;
                I32AtomicRmwXchg "i32.atomic.rmw.xchg" i32 => u32 xchg;
                I64AtomicRmwXchg "i64.atomic.rmw.xchg" i64 => u64 xchg;
                I32AtomicRmw8XchgU "i32.atomic.rmw8.xchg_u" i32 => u8 xchg;
                I32AtomicRmw16XchgU "i32.atomic.rmw16.xchg_u" i32 => u16 xchg;
                I64AtomicRmw8XchgU "i64.atomic.rmw8.xchg_u" i64 => u8 xchg;
                I64AtomicRmw16XchgU "i64.atomic.rmw16.xchg_u" i64 => u16 xchg;
                I64AtomicRmw32XchgU "i64.atomic.rmw32.xchg_u" i64 => u32 xchg;
            }
            cmpxchg {
                I32AtomicRmwCmpxchg "i32.atomic.rmw.cmpxchg" i32 => u32;
                I64AtomicRmwCmpxchg "i64.atomic.rmw.cmpxchg" i64 => u64;
                I32AtomicRmw8CmpxchgU "i32.atomic.rmw8.cmpxchg_u" i32 => u8;
                I32AtomicRmw16CmpxchgU "i32.atomic.rmw16.cmpxchg_u" i32 => u16;
                I64AtomicRmw8CmpxchgU "i64.atomic.rmw8.cmpxchg_u" i64 => u8;
                I64AtomicRmw16CmpxchgU "i64.atomic.rmw16.cmpxchg_u" i64 => u16;
                I64AtomicRmw32CmpxchgU "i64.atomic.rmw32.cmpxchg_u" i64 => u32;
            }
            custom {
                MemoryAtomicNotify "memory.atomic.notify";
                MemoryAtomicWait32 "memory.atomic.wait32";
                MemoryAtomicWait64 "memory.atomic.wait64";
                AtomicFence "atomic.fence";
            }
        }
    };
}
