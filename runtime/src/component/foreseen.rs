//! What the arguments of an instantiation decide alone: found out once, when they are matched, and the same in every instance.
//!
//! Must not know: stores.

use super::info::{ComponentInfo, Def, ItemIdx, Sort};
use super::instance::{Item, Items};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// For each definition of a plan what it adds to its index space, where the arguments say so.
#[derive(Clone, Default)]
pub(super) struct Foreseen(Arc<[Option<Item>]>);

impl Foreseen {
    pub(super) fn new(info: &ComponentInfo, args: &Items) -> Foreseen {
        let mut instances: Vec<Option<Arc<Items>>> = Vec::new();
        let each = info.plan.iter().map(|def| {
            let (item, sort) = match def {
                Def::Import { import, sort } => {
                    let name = info.imports.get(*import as usize).map(|(name, _)| name);
                    (name.and_then(|name| args.get(name)).cloned(), Some(*sort))
                }
                Def::Alias { instance, name, sort } => {
                    let items = instances.get(*instance as usize).and_then(Option::as_ref);
                    (items.and_then(|items| items.get(name)).cloned(), Some(*sort))
                }
                Def::Bind { instance, path, .. } => {
                    let items = instances.get(*instance as usize).cloned().flatten();
                    (items.and_then(|items| follow(items, path)), None)
                }
                Def::Export { item: ItemIdx::Instance(instance), sort: sort @ Sort::Instance, .. } => {
                    let items = instances.get(*instance as usize).cloned().flatten();
                    (items.map(Item::Instance), Some(*sort))
                }
                Def::Instantiate { .. } | Def::Exports(_) => (None, Some(Sort::Instance)),
                _ => (None, None),
            };
            if sort == Some(Sort::Instance) {
                instances.push(match &item {
                    Some(Item::Instance(items)) => Some(items.clone()),
                    _ => None,
                });
            }
            item
        });
        Foreseen(each.collect())
    }

    /// What the definition at this place of the plan adds; `None` where it has to be carried out.
    pub(super) fn at(&self, place: usize) -> Option<&Item> {
        self.0.get(place)?.as_ref()
    }
}

/// The item that a path of names leads to.
fn follow(mut items: Arc<Items>, path: &[Arc<str>]) -> Option<Item> {
    let (last, instances) = path.split_last()?;
    for name in instances {
        let Some(Item::Instance(inner)) = items.get(name).cloned() else { return None };
        items = inner;
    }
    items.get(last).cloned()
}
