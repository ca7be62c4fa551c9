//! What the arguments of an instantiation decide alone: found out once, when they are matched, and the same in every instance. That
//! goes for components inside, too, as far as they are given the same.
//!
//! Must not know: stores.

use super::info::{Capture, ComponentInfo, Def, ItemIdx, Sort};
use super::instance::{Item, Items};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// For each definition of a plan what it adds to its index space, where the arguments say so.
#[derive(Clone, Default)]
pub(super) struct Foreseen(Arc<Inner>);

#[derive(Default)]
struct Inner {
    items: Vec<Option<Item>>,
    /// Of components inside, by the definition that instantiates them.
    nested: BTreeMap<usize, Foreseen>,
}

/// How many definitions are looked at, those of components inside as often as they are instantiated: a small binary can ask for
/// very many.
const MOST_DEFINITIONS: usize = 1 << 16;
/// How deep components are looked into.
const DEEPEST: u32 = 16;

impl Foreseen {
    pub(super) fn new(info: &ComponentInfo, args: &Items) -> Foreseen {
        let mut room = MOST_DEFINITIONS;
        Foreseen::within(info, args, DEEPEST, &mut room)
    }

    /// `args` are those that are known.
    fn within(info: &ComponentInfo, args: &Items, depth: u32, room: &mut usize) -> Foreseen {
        let Some(left) = room.checked_sub(info.plan.len()) else { return Foreseen::default() };
        *room = left;
        let mut inner = Inner { items: Vec::with_capacity(info.plan.len()), nested: BTreeMap::new() };
        let mut instances: Vec<Option<Arc<Items>>> = Vec::new();
        let mut components: Vec<Option<Arc<ComponentInfo>>> = Vec::new();
        for (place, def) in info.plan.iter().enumerate() {
            let known = |instance: u32| instances.get(instance as usize).cloned().flatten();
            let (item, sort) = match def {
                Def::Import { import, sort } => {
                    let name = info.imports.get(*import as usize).map(|(name, _)| name);
                    (name.and_then(|name| args.get(name)).cloned(), Some(*sort))
                }
                Def::Alias { instance, name, sort } => {
                    (known(*instance).and_then(|items| items.get(name).cloned()), Some(*sort))
                }
                Def::Bind { instance, path, .. } => {
                    (known(*instance).and_then(|items| follow(items, path)), None)
                }
                Def::Export { item: ItemIdx::Instance(instance), sort, .. } => {
                    (known(*instance).map(Item::Instance), Some(*sort))
                }
                Def::Export { sort, .. } => (None, Some(*sort)),
                Def::Exports(_) => (None, Some(Sort::Instance)),
                Def::Instantiate { component, args } => {
                    let component = components.get(*component as usize).cloned().flatten();
                    if let (Some(component), Some(depth)) = (component, depth.checked_sub(1)) {
                        let given = args.iter().filter_map(|(name, item)| match item {
                            ItemIdx::Instance(instance) => {
                                Some((name.clone(), Item::Instance(known(*instance)?)))
                            }
                            _ => None,
                        });
                        let nested = Foreseen::within(&component, &given.collect(), depth, room);
                        inner.nested.insert(place, nested);
                    }
                    (None, Some(Sort::Instance))
                }
                Def::Component(nested) => {
                    components.push(info.components.get(*nested as usize).map(|(info, _)| info.clone()));
                    (None, None)
                }
                // A component, or a module: from here on components cannot be told apart.
                Def::Outer(Capture::Captured(_)) => break,
                Def::Outer(Capture::Component(component)) => {
                    components.push(components.get(*component as usize).cloned().flatten());
                    (None, None)
                }
                _ => (None, None),
            };
            match sort {
                Some(Sort::Instance) => instances.push(match &item {
                    Some(Item::Instance(items)) => Some(items.clone()),
                    _ => None,
                }),
                Some(Sort::Component) => components.push(match &item {
                    Some(Item::Component(component)) => Some(component.info.clone()),
                    _ => None,
                }),
                _ => {}
            }
            inner.items.push(item);
        }
        Foreseen(Arc::new(inner))
    }

    /// What the definition at this place of the plan adds; `None` where it has to be carried out.
    pub(super) fn at(&self, place: usize) -> Option<&Item> {
        self.0.items.get(place)?.as_ref()
    }

    /// What is foreseen of the component that the definition at this place instantiates.
    pub(super) fn nested(&self, place: usize) -> Foreseen {
        self.0.nested.get(&place).cloned().unwrap_or_default()
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
