//! The calls between components that a component's own definitions link: read off the component, before it is instantiated, so that an
//! artifact can carry code for them ([`AdapterInfo`]).
//!
//! What instantiation does is followed for components, instances, functions and resource types; core modules and what comes from outside
//! are left open. Nothing depends on the answer but which code there is: what is linked in the end is looked up by its whole description.
//! The answer is the same whenever the same component is read with the same settings.
//!
//! Must not know: stores.

use super::super::abi::flatten::{FlattenContext, flatten_functype};
use super::super::abi::plan::{Plan, Side};
use super::super::abi::{FuncType, MAX_FLAT_PARAMS, MAX_FLAT_RESULTS, PtrType, ResourceType};
use super::super::canon::core_func_type;
use super::super::info::{CanonOptions, Capture, ComponentInfo, Def, ItemIdx, Sort};
use super::super::types::{Bindings, Slot};
use crate::backend::{AdapterInfo, NativeAdapter, NativeCode};
use crate::config::Config;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ffi::c_void;

/// No more instances are followed: a small binary can ask for very many.
const MOST_INSTANCES: usize = 1000;
/// No more pairs are looked at.
const MOST_PAIRS: usize = 2000;
/// No more adapters are found.
const MOST_ADAPTERS: usize = 500;

/// Code of an artifact for calls between components, by what they are.
#[derive(Default)]
pub(in super::super) struct Adapters(Vec<(AdapterInfo, Arc<dyn NativeAdapter>)>);

impl Adapters {
    /// The code of these calls: the entry of each by its number, if there is one.
    pub(in super::super) fn new(infos: Vec<AdapterInfo>, code: &Arc<dyn NativeCode>) -> Adapters {
        let entries = infos.into_iter().enumerate().filter_map(|(i, info)| {
            let entry = Entry { code: code.clone(), number: i as u32 };
            (!entry.entry().is_null()).then(|| (info, Arc::new(entry) as Arc<dyn NativeAdapter>))
        });
        Adapters(entries.collect())
    }

    /// The code for such a call.
    pub(super) fn find(&self, info: &AdapterInfo) -> Option<Arc<dyn NativeAdapter>> {
        self.0.iter().find(|(known, _)| known == info).map(|(_, code)| code.clone())
    }
}

/// An adapter among others.
#[derive(Debug)]
struct Entry {
    code: Arc<dyn NativeCode>,
    number: u32,
}

impl NativeAdapter for Entry {
    fn entry(&self) -> *const c_void {
        self.code.stub(self.number)
    }
}

/// What can be imported, exported and given to a nested component, as far as it is followed.
#[derive(Clone)]
enum Item {
    Func(Option<Rc<Callee>>),
    Instance(Rc<Items>),
    Component(Option<Rc<Value>>),
    Resource(ResourceType),
    Other,
}

type Items = BTreeMap<Arc<str>, Item>;

/// A lifted function.
struct Callee {
    instance: usize,
    ty: FuncType,
    options: CanonOptions,
    /// It is called through values, or may throw.
    is_left_out: bool,
}

/// A component with what it takes from outside.
struct Value {
    info: Arc<ComponentInfo>,
    captured: Box<[Item]>,
}

/// An instantiation under way.
struct Frame {
    component: Rc<Value>,
    next: usize,
    number: usize,
    args: Rc<Items>,
    components: Vec<Option<Rc<Value>>>,
    instances: Vec<Rc<Items>>,
    funcs: Vec<Option<Rc<Callee>>>,
    resources: BTreeMap<Slot, ResourceType>,
    bindings: Bindings,
    exports: Items,
}

/// All calls from one component to another inside of `root`, each once.
pub(in super::super) fn pairs(root: &Arc<ComponentInfo>, config: &Config) -> Vec<AdapterInfo> {
    if root.components.is_empty() || config.plain_adapters {
        return Vec::new();
    }
    let mut walk = Walk { config, found: Vec::new(), definers: Vec::new(), instances: 0, pairs: 0 };
    let root = Rc::new(Value { info: root.clone(), captured: Box::default() });
    // Where it ends early, the rest is left out.
    let _ended_early = walk.instantiate(root).is_none();
    walk.found
}

struct Walk<'m> {
    config: &'m Config,
    found: Vec<AdapterInfo>,
    /// Which instance defines a resource type, if it is one of these.
    definers: Vec<Option<usize>>,
    instances: usize,
    pairs: usize,
}

impl Walk<'_> {
    /// Follows an instantiation with imports of which nothing is known. `None` when it is too large, or not as plans are.
    fn instantiate(&mut self, root: Rc<Value>) -> Option<()> {
        let mut frames = Vec::new();
        let mut frame = self.frame(root, Rc::default())?;
        loop {
            let info = frame.component.info.clone();
            let Some(def) = info.plan.get(frame.next) else {
                let exports = Rc::new(core::mem::take(&mut frame.exports));
                let Some(outer) = frames.pop() else { return Some(()) };
                frame = outer;
                frame.instances.push(exports);
                continue;
            };
            frame.next += 1;
            let Def::Instantiate { component, args } = def else {
                self.define(&mut frame, def)?;
                continue;
            };
            match frame.components.get(*component as usize)?.clone() {
                Some(component) => {
                    let nested = self.frame(component, Rc::new(frame.items(args)?))?;
                    frames.push(core::mem::replace(&mut frame, nested));
                }
                None => frame.instances.push(Rc::default()),
            }
        }
    }

    fn frame(&mut self, component: Rc<Value>, args: Rc<Items>) -> Option<Frame> {
        let number = self.instances;
        self.instances += 1;
        (number < MOST_INSTANCES).then(|| Frame {
            component,
            next: 0,
            number,
            args,
            components: Vec::new(),
            instances: Vec::new(),
            funcs: Vec::new(),
            resources: BTreeMap::new(),
            bindings: Bindings::default(),
            exports: Items::new(),
        })
    }

    /// A resource type, new or of which nothing is known.
    fn resource(&mut self, definer: Option<usize>) -> ResourceType {
        self.definers.push(definer);
        ResourceType::Id(self.definers.len() as u32 - 1)
    }

    /// An item from outside, if it is not known.
    fn add(&mut self, frame: &mut Frame, sort: Sort, item: Option<Item>) {
        match (sort, item) {
            (Sort::Func, Some(Item::Func(func))) => frame.funcs.push(func),
            (Sort::Func, _) => frame.funcs.push(None),
            (Sort::Instance, Some(Item::Instance(items))) => frame.instances.push(items),
            (Sort::Instance, _) => frame.instances.push(Rc::default()),
            (Sort::Component, Some(Item::Component(component))) => frame.components.push(component),
            (Sort::Component, _) => frame.components.push(None),
            (Sort::Type(Some(slot)), Some(Item::Resource(rt))) => frame.bind(slot, rt),
            (Sort::Type(Some(slot)), _) => {
                let rt = self.resource(None);
                frame.bind(slot, rt);
            }
            (Sort::Type(None) | Sort::Module, _) => {}
        }
    }

    fn define(&mut self, frame: &mut Frame, def: &Def) -> Option<()> {
        match def {
            Def::Component(nested) => {
                let (info, captures) = frame.component.info.components.get(*nested as usize)?;
                let captured =
                    captures.iter().map(|capture| frame.capture(*capture)).collect::<Option<_>>()?;
                let value = Value { info: info.clone(), captured };
                frame.components.push(Some(Rc::new(value)));
            }
            Def::Exports(exports) => frame.instances.push(Rc::new(frame.items(exports)?)),
            Def::Alias { instance, name, sort } => {
                let item = frame.instances.get(*instance as usize)?.get(name).cloned();
                self.add(frame, *sort, item);
            }
            Def::Bind { instance, path, slot } => {
                let mut items = frame.instances.get(*instance as usize)?.clone();
                let mut bound = None;
                for name in path {
                    match items.get(name).cloned() {
                        Some(Item::Instance(nested)) => items = nested,
                        Some(Item::Resource(rt)) => bound = Some(rt),
                        _ => break,
                    }
                }
                let rt = bound.unwrap_or_else(|| self.resource(None));
                frame.bind(*slot, rt);
            }
            Def::Outer(capture) => {
                if let Item::Component(component) = frame.capture(*capture)? {
                    frame.components.push(component);
                }
            }
            Def::Resource { slot, .. } => {
                let rt = self.resource(Some(frame.number));
                frame.bind(*slot, rt);
            }
            Def::Import { import, sort } => {
                let (name, _) = frame.component.info.imports.get(*import as usize)?;
                let item = frame.args.get(name).cloned();
                self.add(frame, *sort, item);
            }
            Def::Export { name, item, sort } => {
                let item = frame.item(*item)?;
                frame.exports.insert(name.clone(), item.clone());
                self.add(frame, *sort, Some(item));
            }
            Def::Lift { ty, options, .. } => {
                let info = frame.component.info.clone();
                let ty = frame.bindings.func(&info.open_types, ty).ok()?;
                let is_left_out = info.facts.uses_context || info.facts.may_throw;
                let callee = Callee { instance: frame.number, ty, options: *options, is_left_out };
                frame.funcs.push(Some(Rc::new(callee)));
            }
            Def::Lower { func, options, .. } => {
                if let Some(callee) = frame.funcs.get(*func as usize)?.clone() {
                    self.pair(frame, options, &callee)?;
                }
            }
            // Core modules, core items, built-ins. (Nested instantiation is the loop's.)
            _ => {}
        }
        Some(())
    }

    /// A pair, as `Fused::native` describes it. With memories of 64 bits there is no code.
    fn pair(&mut self, caller: &Frame, options: &CanonOptions, callee: &Callee) -> Option<()> {
        self.pairs += 1;
        if self.pairs > MOST_PAIRS || self.found.len() >= MOST_ADAPTERS {
            return None;
        }
        if callee.instance == caller.number || callee.is_left_out {
            return Some(());
        }
        let side = |options: &CanonOptions| Side {
            string_encoding: options.string_encoding,
            ptr_type: PtrType::I32,
        };
        let (from, to) = (side(options), side(&callee.options));
        let nans = self.config.canonicalize_nans;
        let (params, results) = (callee.ty.param_types(), callee.ty.result_types());
        let (Ok(params), Ok(results)) = (
            Plan::new(params, MAX_FLAT_PARAMS, from, to, nans),
            Plan::new(results, MAX_FLAT_RESULTS, to, from, nans),
        ) else {
            return Some(());
        };
        if self.config.fuel && params.needs().memory {
            return Some(());
        }
        let core = |context| core_func_type(&flatten_functype(PtrType::I32, &callee.ty, context));
        let defines = |rt: &ResourceType| match rt {
            ResourceType::Id(id) => self.definers.get(*id as usize) == Some(&Some(callee.instance)),
            ResourceType::Host(_) => false,
        };
        let results_too = !(self.config.fuel && results.needs().memory);
        let info = AdapterInfo {
            caller: core(FlattenContext::Lower),
            callee: core(FlattenContext::Lift),
            callee_defines: params.resources().iter().map(defines).collect(),
            params: params.anonymous(),
            results: results_too.then(|| results.anonymous()),
            asks_caller: !caller.component.info.facts.always_leaves,
            has_post_return: callee.options.post_return.is_some(),
        };
        if !self.found.contains(&info) {
            self.found.push(info);
        }
        Some(())
    }
}

impl Frame {
    fn bind(&mut self, slot: Slot, rt: ResourceType) {
        self.bindings.bind(slot, rt);
        self.resources.insert(slot, rt);
    }

    fn capture(&self, capture: Capture) -> Option<Item> {
        Some(match capture {
            Capture::Module(_) => Item::Other,
            Capture::Component(index) => Item::Component(self.components.get(index as usize)?.clone()),
            Capture::Captured(index) => self.component.captured.get(index as usize)?.clone(),
        })
    }

    fn item(&self, item: ItemIdx) -> Option<Item> {
        Some(match item {
            ItemIdx::Module(_) | ItemIdx::Type => Item::Other,
            ItemIdx::Func(index) => Item::Func(self.funcs.get(index as usize)?.clone()),
            ItemIdx::Instance(index) => Item::Instance(self.instances.get(index as usize)?.clone()),
            ItemIdx::Component(index) => Item::Component(self.components.get(index as usize)?.clone()),
            ItemIdx::Resource(slot) => Item::Resource(*self.resources.get(&slot)?),
        })
    }

    fn items(&self, items: &[(Arc<str>, ItemIdx)]) -> Option<Items> {
        items.iter().map(|(name, item)| Some((name.clone(), self.item(*item)?))).collect()
    }
}
