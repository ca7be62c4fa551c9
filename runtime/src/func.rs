//! Functions as the embedder holds them: calling, defining, and typed views of both.

use crate::error::{Error, Result};
use crate::handle::Func;
use crate::host::{Caller, HostCall, with_caller};
use crate::simd::V128;
use crate::store::{AsStore, AsStoreMut, StoreInner};
use crate::types::{FuncType, TypeId, ValType};
use crate::val::{RawVal, Val};
use alloc::{boxed::Box, format, sync::Arc, vec, vec::Vec};
use core::marker::PhantomData;

impl Func {
    /// A host function over slots: parameters in, results out, in the same place. What every other constructor comes down to.
    pub fn new_raw(
        mut store: impl AsStoreMut,
        ty: FuncType,
        call: impl Fn(&mut StoreInner, &mut [RawVal]) -> Result<()> + Send + Sync + 'static,
    ) -> Func {
        let store = store.as_store_mut();
        let func = store.new_host_func(&ty, Arc::new(call), None);
        store.func_handle(func)
    }

    /// A host function over values. `T` must be the type of the store's data.
    pub fn new<T: 'static>(
        mut store: impl AsStoreMut,
        ty: FuncType,
        call: impl Fn(Caller<'_, T>, &[Val], &mut [Val]) -> Result<()> + Send + Sync + 'static,
    ) -> Func {
        let store = store.as_store_mut();
        let func = store.new_host_func(&ty, dynamic(ty.clone(), call), None);
        store.func_handle(func)
    }

    /// A host function from a Rust closure; its type follows from the closure's. The first parameter may be a [`Caller`].
    pub fn wrap<T: 'static, P, R>(mut store: impl AsStoreMut, func: impl IntoFunc<T, P, R>) -> Func {
        let store = store.as_store_mut();
        let (ty, call) = func.into_func();
        let func = store.new_host_func(&ty, call, None);
        store.func_handle(func)
    }

    /// Its type.
    pub fn ty(self, store: impl AsStore) -> Result<FuncType> {
        let store = store.as_store();
        // SAFETY: V1, V6.
        let id = unsafe { (*(*store.func_ptr(self)?).ty).id };
        store.engine().func_type(TypeId(id)).ok_or_else(|| Error::usage("function of another engine"))
    }

    /// Calls it.
    ///
    /// # Errors
    /// `Usage` for arguments of the wrong number or type; what the function itself ends with otherwise.
    pub fn call(self, mut store: impl AsStoreMut, args: &[Val]) -> Result<Vec<Val>> {
        store.as_store_mut().without_waiting(|store| self.call_here(store, args))
    }

    /// The same on whatever stack this is.
    pub(crate) fn call_here(self, store: &mut StoreInner, args: &[Val]) -> Result<Vec<Val>> {
        let ty = self.ty(&*store)?;
        if args.len() != ty.params().len()
            || args.iter().zip(ty.params()).any(|(v, &t)| !store.val_matches(v, t))
        {
            return Err(Error::usage(format!("arguments {args:?} do not fit a function of type {ty}")));
        }
        let mut slots = vec![0; ty.call_slots()];
        let mut at = 0;
        for (arg, ty) in args.iter().zip(ty.params()) {
            store.lower_val(arg, &mut slots[at..])?;
            at += ty.slots();
        }
        self.call_raw(store, &mut slots)?;
        let mut at = 0;
        Ok(ty
            .results()
            .iter()
            .map(|&ty| {
                let val = store.lift_val(ty, &slots[at..]);
                at += ty.slots();
                val
            })
            .collect())
    }

    /// Calls it over slots, which must be as many as its type's `call_slots()`. The caller vouches that references in them
    /// are this store's.
    pub(crate) fn call_raw(self, store: &mut StoreInner, slots: &mut [RawVal]) -> Result<()> {
        let func = store.func_ptr(self)?;
        // SAFETY: V1, V6.
        let id = TypeId(unsafe { (*(*func).ty).id });
        let needed = store.engine().func_type(id).map_or(usize::MAX, |ty| ty.call_slots());
        if slots.len() < needed {
            return Err(Error::usage(format!("{needed} slots are needed, {} are there", slots.len())));
        }
        // SAFETY: `func` is live (V1), the slots were counted (V4).
        unsafe { store.call(func, slots) }
    }

    /// A view of it with Rust types.
    ///
    /// # Errors
    /// `Usage` when the types differ.
    pub fn typed<P: WasmTypes, R: WasmTypes>(self, store: impl AsStore) -> Result<TypedFunc<P, R>> {
        let (have, want) = (self.ty(store)?, FuncType::new(P::types(), R::types()));
        if have != want {
            return Err(Error::usage(format!("the function is {have}, not {want}")));
        }
        Ok(TypedFunc { func: self, types: PhantomData })
    }
}

/// A function whose type is known to Rust.
#[derive(Debug)]
pub struct TypedFunc<P, R> {
    func: Func,
    types: PhantomData<fn(P) -> R>,
}

impl<P, R> Clone for TypedFunc<P, R> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<P, R> Copy for TypedFunc<P, R> {}

/// Slots that a typed call keeps on the native stack.
const MAX_TYPED: usize = 16;

impl<P: WasmTypes, R: WasmTypes> TypedFunc<P, R> {
    /// Calls it.
    pub fn call(self, mut store: impl AsStoreMut, params: P) -> Result<R> {
        store.as_store_mut().without_waiting(|store| self.call_here(store, params))
    }

    /// The same on whatever stack this is.
    #[inline]
    pub(crate) fn call_here(self, store: &mut StoreInner, params: P) -> Result<R> {
        const { assert!(P::SLOTS <= MAX_TYPED && R::SLOTS <= MAX_TYPED) };
        let mut slots = [0; MAX_TYPED];
        params.store(&mut slots);
        let func = store.func_ptr(self.func)?;
        // SAFETY: `typed` compared the types; the slots cover both counts (V4).
        unsafe { store.call(func, &mut slots)? };
        Ok(R::load(&slots))
    }

    /// The function without its types.
    pub fn func(self) -> Func {
        self.func
    }
}

/// A Rust type that is one core value.
pub trait WasmType: Sized + 'static {
    /// The value's type.
    const TYPE: ValType;
    /// Into its slots, the first ones.
    fn into_slots(self, slots: &mut [RawVal]);
    /// Out of its slots, the first ones.
    fn from_slots(slots: &[RawVal]) -> Self;
}

macro_rules! wasm_types {
    ($($rust:ty, $wasm:ident, |$v:ident| $into:expr, |$s:ident| $from:expr;)*) => { $(
        impl WasmType for $rust {
            const TYPE: ValType = ValType::$wasm;
            #[inline(always)]
            fn into_slots(self, slots: &mut [RawVal]) { let $v = self; slots[0] = $into; }
            #[inline(always)]
            fn from_slots(slots: &[RawVal]) -> Self { let $s = slots[0]; $from }
        }
    )* };
}
wasm_types! {
    i32, I32, |v| u64::from(v as u32), |s| s as i32;
    u32, I32, |v| u64::from(v), |s| s as u32;
    i64, I64, |v| v as u64, |s| s as i64;
    u64, I64, |v| v, |s| s;
    f32, F32, |v| u64::from(v.to_bits()), |s| f32::from_bits(s as u32);
    f64, F64, |v| v.to_bits(), |s| f64::from_bits(s);
}

impl WasmType for V128 {
    const TYPE: ValType = ValType::V128;
    #[inline(always)]
    fn into_slots(self, slots: &mut [RawVal]) {
        slots[..2].copy_from_slice(&self.u64x2());
    }
    #[inline(always)]
    fn from_slots(slots: &[RawVal]) -> Self {
        V128::from([slots[0], slots[1]])
    }
}

/// Parameters or results of a function, as Rust types: `()`, one type, or a tuple.
pub trait WasmTypes: Sized + 'static {
    /// How many slots they take.
    const SLOTS: usize;
    /// Their types.
    fn types() -> Vec<ValType>;
    /// Writes them into slots.
    fn store(self, slots: &mut [RawVal]);
    /// Reads them from slots.
    fn load(slots: &[RawVal]) -> Self;
}

impl<A: WasmType> WasmTypes for A {
    const SLOTS: usize = A::TYPE.slots();
    fn types() -> Vec<ValType> {
        vec![A::TYPE]
    }
    fn store(self, slots: &mut [RawVal]) {
        self.into_slots(slots);
    }
    fn load(slots: &[RawVal]) -> Self {
        A::from_slots(slots)
    }
}

/// What a host closure may return: values, or a result of values.
pub trait IntoResult<R> {
    /// As a result.
    fn into_result(self) -> Result<R>;
}
impl<R: WasmTypes> IntoResult<R> for R {
    fn into_result(self) -> Result<R> {
        Ok(self)
    }
}
impl<R: WasmTypes> IntoResult<R> for Result<R> {
    fn into_result(self) -> Result<R> {
        self
    }
}

/// A Rust closure that can be a host function.
pub trait IntoFunc<T, P, R> {
    /// Its type and its body.
    fn into_func(self) -> (FuncType, Arc<HostCall>);
}

macro_rules! tuples {
    ($(($($name:ident $index:tt),*))*) => { $(
        impl<$($name: WasmType),*> WasmTypes for ($($name,)*) {
            const SLOTS: usize = 0 $(+ $name::TYPE.slots())*;
            fn types() -> Vec<ValType> { vec![$($name::TYPE),*] }
            #[allow(unused_variables, unused_mut, unused_assignments, reason = "the empty tuple; the last offset")]
            fn store(self, slots: &mut [RawVal]) {
                let mut at = 0;
                $(
                    self.$index.into_slots(&mut slots[at..]);
                    at += $name::TYPE.slots();
                )*
            }
            #[allow(unused_variables, unused_mut, unused_assignments, clippy::unused_unit, reason = "likewise")]
            fn load(slots: &[RawVal]) -> Self {
                let mut at = 0;
                ($({
                    let value = $name::from_slots(&slots[at..]);
                    at += $name::TYPE.slots();
                    value
                },)*)
            }
        }

        impl<T, Fun, Ret, R, $($name: WasmType),*> IntoFunc<T, ($($name,)*), R> for Fun
        where
            Fun: Fn($($name),*) -> Ret + Send + Sync + 'static,
            Ret: IntoResult<R>,
            R: WasmTypes,
        {
            #[allow(unused_variables, non_snake_case, reason = "the empty tuple; values named as their types")]
            fn into_func(self) -> (FuncType, Arc<HostCall>) {
                let ty = FuncType::new([$($name::TYPE),*], R::types());
                (ty, Arc::new(move |_: &mut StoreInner, slots: &mut [RawVal]| {
                    let ($($name,)*) = <($($name,)*)>::load(slots);
                    self($($name),*).into_result()?.store(slots);
                    Ok(())
                }))
            }
        }

        impl<T: 'static, Fun, Ret, R, $($name: WasmType),*> IntoFunc<T, (Caller<'_, T>, $($name,)*), R> for Fun
        where
            Fun: Fn(Caller<'_, T>, $($name),*) -> Ret + Send + Sync + 'static,
            Ret: IntoResult<R>,
            R: WasmTypes,
        {
            #[allow(unused_variables, non_snake_case, reason = "the empty tuple; values named as their types")]
            fn into_func(self) -> (FuncType, Arc<HostCall>) {
                let ty = FuncType::new([$($name::TYPE),*], R::types());
                (ty, with_caller(move |caller: Caller<'_, T>, slots: &mut [RawVal]| {
                    let ($($name,)*) = <($($name,)*)>::load(slots);
                    self(caller, $($name),*).into_result()?.store(slots);
                    Ok(())
                }))
            }
        }
    )* };
}
tuples! {
    ()
    (A 0)
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
    (A 0, B 1, C 2, D 3, E 4)
    (A 0, B 1, C 2, D 3, E 4, F 5)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9)
}

/// A host function over values, as the engine keeps it.
pub(crate) fn dynamic<T: 'static>(
    ty: FuncType,
    call: impl Fn(Caller<'_, T>, &[Val], &mut [Val]) -> Result<()> + Send + Sync + 'static,
) -> Arc<HostCall> {
    Arc::new(move |store: &mut StoreInner, slots: &mut [RawVal]| {
        let mut at = 0;
        let mut lift = |&ty: &ValType| {
            let val = store.lift_val(ty, &slots[at..]);
            at += ty.slots();
            val
        };
        let args: Vec<Val> = ty.params().iter().map(&mut lift).collect();
        let zero = |&ty: &ValType| Val::default_for(ty).unwrap_or(Val::FuncRef(None));
        let mut results: Box<[Val]> = ty.results().iter().map(zero).collect();
        call(Caller::new(&mut *store)?, &args, &mut results)?;
        let mut at = 0;
        for (val, &ty) in results.iter().zip(ty.results()) {
            if !store.val_matches(val, ty) {
                return Err(Error::usage(format!("the host function returned {val:?} where {ty} is due")));
            }
            store.lower_val(val, &mut slots[at..])?;
            at += ty.slots();
        }
        Ok(())
    })
}
