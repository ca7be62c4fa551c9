//! Component functions as the embedder calls them.

use super::abi::typed::{LiftOptional, LowerList, LowerListAs, func_type};
use super::abi::{
    FuncType, MAX_FLAT_PARAMS, MAX_FLAT_RESULTS, ResourceType, Val, ValType, lift_flat_values,
    lower_flat_values,
};
use super::canon::{CalledBy, Lifted, canon_lift};
use super::guest::ResourceNames;
use super::instance::{ComponentStore, FuncItem};
use crate::error::{Error, Result};
use crate::handle::StoreId;
use crate::store::{AsStore, AsStoreMut, StoreInner};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::marker::PhantomData;

/// A component function of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Func {
    pub(super) store: StoreId,
    pub(super) index: u32,
}

impl Func {
    fn item(self, store: &StoreInner) -> Result<FuncItem> {
        store.check(self.store)?;
        let func = store.extension_ref::<ComponentStore>().and_then(|all| all.funcs.get(self.index as usize));
        func.cloned().ok_or_else(|| Error::usage("no such component function in this store"))
    }

    /// Its type. Resources in it are those of this store.
    ///
    /// # Errors
    /// `Usage` for a function of another store.
    pub fn ty(self, store: &(impl AsStore + ?Sized)) -> Result<FuncType> {
        Ok(match self.item(store.as_store())? {
            FuncItem::Lifted(lifted) => lifted.ty.clone(),
            FuncItem::Host(host) => host.ty.clone(),
        })
    }

    /// Calls it; `post-return` has run when this returns. An `own` in the result is the caller's to end
    /// ([`super::resource_drop`]).
    ///
    /// # Errors
    /// `Usage` for arguments of the wrong number or type (nothing has run then); otherwise what the function ended with, after
    /// which its instance cannot be entered again.
    pub fn call(self, mut store: impl AsStoreMut, args: &[Val]) -> Result<Option<Val>> {
        store.as_store_mut().without_waiting(|store| self.call_here(store, args))
    }

    /// The same on whatever stack this is.
    pub(super) fn call_here(self, store: &mut StoreInner, args: &[Val]) -> Result<Option<Val>> {
        let lifted = match self.item(store)? {
            FuncItem::Lifted(lifted) => lifted,
            FuncItem::Host(host) => return host.call_from_host(store, args),
        };
        let (params, results) = (lifted.ty.param_types(), lifted.ty.result_types());
        if args.len() != params.len() {
            return Err(Error::usage(format!(
                "{} arguments are wanted, {} are given",
                params.len(),
                args.len()
            )));
        }
        for (i, (arg, ty)) in args.iter().zip(params).enumerate() {
            arg.check(ty).map_err(|mismatch| Error::usage(format!("argument {}: {mismatch}", i + 1)))?;
        }
        canon_lift(
            store,
            &lifted,
            CalledBy::Host(&[]),
            |_| Ok(()),
            |cx, (), out| lower_flat_values(cx, MAX_FLAT_PARAMS, args, params, None, out),
            |cx, flat_results| lift_flat_values(cx, MAX_FLAT_RESULTS, flat_results, results),
            |_, (), mut result| Ok(result.pop()),
        )
    }

    /// A view of it with Rust types: parameters as a tuple, the result as a type or `()`.
    ///
    /// # Errors
    /// `Usage` when the types differ.
    pub fn typed<P: LowerList, R: LiftOptional>(
        self,
        store: &(impl AsStore + ?Sized),
    ) -> Result<TypedFunc<P, R>> {
        let FuncItem::Lifted(lifted) = self.item(store.as_store())? else {
            return Err(Error::usage("this export is a function of the host"));
        };
        let want = func_type::<P, R>()?;
        let have = &lifted.ty;
        let mut names = Vec::new();
        let types = |func: &FuncType| -> Vec<ValType> {
            func.param_types().iter().chain(func.result_types()).cloned().collect()
        };
        let fits = want.param_types().len() == have.param_types().len()
            && want.result_types().len() == have.result_types().len()
            && types(&want)
                .iter()
                .zip(&types(have))
                .all(|(want, have)| want.matches(have, &mut |name, rt| named(&mut names, name, rt)));
        if !fits {
            return Err(Error::usage(format!(
                "the function is {}, not {}",
                Signature(have),
                Signature(&want)
            )));
        }
        Ok(TypedFunc { store: self.store, lifted, names: names.into(), types: PhantomData })
    }
}

/// Whether the Rust type `name` can stand for the resource `rt`: a resource of the host is itself, one of a guest is named by
/// whatever type it meets first, and each by one only.
fn named(names: &mut Vec<(ResourceType, ResourceType)>, name: ResourceType, rt: ResourceType) -> bool {
    if name == rt {
        return true;
    }
    if matches!(rt, ResourceType::Host(_)) {
        return false;
    }
    match names.iter().find(|(known, named)| *known == name || *named == rt) {
        Some(pair) => *pair == (name, rt),
        None => {
            names.push((name, rt));
            true
        }
    }
}

/// A function type in words.
pub(super) struct Signature<'a>(pub(super) &'a FuncType);

impl core::fmt::Display for Signature<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("func(")?;
        for (i, ty) in self.0.param_types().iter().enumerate() {
            write!(f, "{}{ty:?}", if i > 0 { ", " } else { "" })?;
        }
        f.write_str(")")?;
        match self.0.result() {
            Some(ty) => write!(f, " -> {ty:?}"),
            None => Ok(()),
        }
    }
}

/// A component function whose type is known to Rust.
pub struct TypedFunc<P, R> {
    store: StoreId,
    lifted: Arc<Lifted>,
    /// What the types of guests' resources stand for in this store.
    names: Arc<ResourceNames>,
    types: PhantomData<fn(P) -> R>,
}

impl<P, R> Clone for TypedFunc<P, R> {
    fn clone(&self) -> TypedFunc<P, R> {
        TypedFunc {
            store: self.store,
            lifted: self.lifted.clone(),
            names: self.names.clone(),
            types: PhantomData,
        }
    }
}

impl<P: LowerList, R: LiftOptional> TypedFunc<P, R> {
    /// Calls it.
    ///
    /// # Errors
    /// As for [`Func::call`].
    pub fn call(&self, mut store: impl AsStoreMut, params: P) -> Result<R> {
        store.as_store_mut().without_waiting(|store| self.call_raw(store, &params))
    }

    /// Calls it with parameters that lower as `P` does without being it: `("text", &[1, 2][..])` for `(String, Vec<u32>)`.
    ///
    /// # Errors
    /// As for [`Func::call`].
    pub fn call_lent<Q: LowerListAs<P>>(&self, mut store: impl AsStoreMut, params: Q) -> Result<R> {
        store.as_store_mut().without_waiting(|store| self.call_raw(store, &params))
    }

    /// The same on whatever stack this is.
    pub(super) fn call_raw(&self, store: &mut StoreInner, params: &impl LowerList) -> Result<R> {
        store.check(self.store)?;
        canon_lift(
            store,
            &self.lifted,
            CalledBy::Host(&self.names),
            |_| Ok(()),
            |cx, (), out| params.lower_flat_values(cx, MAX_FLAT_PARAMS, None, out),
            |cx, flat_results| R::lift_flat_result(cx, flat_results),
            |_, (), result| Ok(result),
        )
    }

    /// The function itself.
    pub fn func(&self) -> Func {
        Func { store: self.store, index: self.lifted.index }
    }
}

impl<P, R> core::fmt::Debug for TypedFunc<P, R> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("TypedFunc").field("index", &self.lifted.index).finish_non_exhaustive()
    }
}
