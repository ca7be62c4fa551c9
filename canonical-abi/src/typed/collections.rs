//! Maps and arrays as component values: `map<k, v>` is a `BTreeMap`, `list<t, n>` an array.
//!
//! A map is a list of pairs on its way. A guest may send a key twice: the later pair counts. `Val::Map` keeps both.

use crate::context::{Guest, LiftLowerContext};
use crate::error::Result;
use crate::layout::Layout;
use crate::lift::CoreValueIter;
use crate::lower::CoreValueSink;
use crate::typed::{ComponentType, Lift, Lower};
use crate::types::{TypeError, ValType};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

impl<K: ComponentType, V: ComponentType> ComponentType for BTreeMap<K, V> {
    const LAYOUT: Layout = Layout::pointer_and_length();

    fn val_type() -> Result<ValType, TypeError> {
        ValType::map(K::val_type()?, V::val_type()?)
    }
}

/// The pairs in a map, paid for: a node of the tree has room for more than it holds.
fn collect<K: Ord, V, G: Guest + ?Sized>(
    cx: &mut LiftLowerContext<'_, G>,
    pairs: Vec<(K, V)>,
) -> Result<BTreeMap<K, V>> {
    cx.charge(pairs.len().saturating_mul(2 * size_of::<(K, V)>()))?;
    Ok(pairs.into_iter().collect())
}

impl<K: Lift + Ord, V: Lift> Lift for BTreeMap<K, V> {
    fn load<G: Guest + ?Sized>(cx: &mut LiftLowerContext<'_, G>, ptr: usize) -> Result<BTreeMap<K, V>> {
        let pairs = Vec::load(cx, ptr)?;
        collect(cx, pairs)
    }

    fn lift_flat<G: Guest + ?Sized>(
        cx: &mut LiftLowerContext<'_, G>,
        vi: &mut CoreValueIter<'_>,
    ) -> Result<BTreeMap<K, V>> {
        let pairs = Vec::lift_flat(cx, vi)?;
        collect(cx, pairs)
    }
}

impl<K: Lower, V: Lower> Lower for BTreeMap<K, V> {
    fn store<G: Guest + ?Sized>(&self, cx: &mut LiftLowerContext<'_, G>, ptr: usize) -> Result<()> {
        self.iter().collect::<Vec<(&K, &V)>>().store(cx, ptr)
    }

    fn lower_flat<G: Guest + ?Sized>(
        &self,
        cx: &mut LiftLowerContext<'_, G>,
        out: &mut CoreValueSink<'_>,
    ) -> Result<()> {
        self.iter().collect::<Vec<(&K, &V)>>().lower_flat(cx, out)
    }
}

impl<T: ComponentType, const N: usize> ComponentType for [T; N] {
    const LAYOUT: Layout = {
        assert!(N <= u32::MAX as usize, "a list has fewer elements");
        T::LAYOUT.repeat(N as u32)
    };

    fn val_type() -> Result<ValType, TypeError> {
        ValType::fixed_length_list(T::val_type()?, N as u32)
    }
}

/// All `N` of them: whoever made the vector counted to `N`.
fn array<T, const N: usize>(values: Vec<T>) -> [T; N] {
    <[T; N]>::try_from(values).unwrap_or_else(|values| panic!("crash: {} elements of {N}", values.len()))
}

impl<T: Lift, const N: usize> Lift for [T; N] {
    fn load<G: Guest + ?Sized>(cx: &mut LiftLowerContext<'_, G>, ptr: usize) -> Result<[T; N]> {
        T::load_list(cx, ptr, N).map(array)
    }

    fn lift_flat<G: Guest + ?Sized>(
        cx: &mut LiftLowerContext<'_, G>,
        vi: &mut CoreValueIter<'_>,
    ) -> Result<[T; N]> {
        let mut values = cx.vec(N)?;
        for _ in 0..N {
            values.push(T::lift_flat(cx, vi)?);
        }
        Ok(array(values))
    }
}

impl<T: Lower, const N: usize> Lower for [T; N] {
    fn store<G: Guest + ?Sized>(&self, cx: &mut LiftLowerContext<'_, G>, ptr: usize) -> Result<()> {
        T::store_list(self, cx, ptr)
    }

    fn lower_flat<G: Guest + ?Sized>(
        &self,
        cx: &mut LiftLowerContext<'_, G>,
        out: &mut CoreValueSink<'_>,
    ) -> Result<()> {
        self.iter().try_for_each(|value| value.lower_flat(cx, out))
    }
}
