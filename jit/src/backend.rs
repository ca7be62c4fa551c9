//! What this crate is to the engine: a [`Backend`] that compiles in the process, and one that only runs what an artifact brings.

use crate::load::raise::raise;
#[cfg(feature = "compile")]
use mini_wasm_runtime::backend::{AdapterInfo, NativeAdapter, has_address_space};
use mini_wasm_runtime::backend::{Backend, FileBudget, NativeCode, NativeFunc};
use mini_wasm_runtime::config::Config;
use mini_wasm_runtime::module::ModuleInfo;
use mini_wasm_runtime::vm::VmBuiltins;
use mini_wasm_runtime::{Error, ErrorKind, Result};
use std::ffi::c_void;
use std::sync::Arc;
#[cfg(feature = "compile")]
use std::time::Instant;

/// Compiles modules when they are made, for the machine it runs on.
#[cfg(feature = "compile")]
#[derive(Clone, Debug, Default)]
pub struct Jit {
    options: crate::compile::CompileOptions,
    adapters: Adapters,
}

/// Code between components, for as long as the compiler is there: components that are linked anew find theirs again. `None` stands for what
/// is left to its plan.
#[cfg(feature = "compile")]
type Adapters = Arc<std::sync::Mutex<AdapterCode>>;

#[cfg(feature = "compile")]
#[derive(Debug, Default)]
struct AdapterCode {
    known: std::collections::HashMap<AdapterInfo, Option<Arc<dyn NativeAdapter>>>,
    /// How long compiling them has taken.
    spent: std::time::Duration,
}

/// So many are made, in as much time as a small file gets; then new ones are left to their plans.
#[cfg(feature = "compile")]
const MOST_ADAPTERS: usize = 1024;

#[cfg(feature = "compile")]
impl Jit {
    /// A compiler with options.
    pub fn new(options: crate::compile::CompileOptions) -> Jit {
        Jit { options, adapters: Adapters::default() }
    }
}

/// Address space that must be left so that a module is compiled and not interpreted: Cranelift cannot be told that there is no more.
#[cfg(feature = "compile")]
pub const COMPILE_SPACE: usize = 512 << 20;

#[cfg(feature = "compile")]
impl Backend for Jit {
    fn compile(
        &self,
        module: &ModuleInfo,
        config: &Config,
        file: &FileBudget,
    ) -> Result<Arc<dyn NativeCode>> {
        let Some(arch) = crate::Arch::host() else { return Ok(Arc::new(Interpreted)) };
        ready(config)?;
        let cpu = crate::CpuFeatures::host();
        if cpu.missing_required(arch).is_some() || !has_address_space(COMPILE_SPACE) {
            return Ok(Arc::new(Interpreted));
        }
        let compiled = crate::compile::compile_part(module, config, arch, cpu, &self.options, file)?;
        Ok(Arc::new(publish(&compiled)?))
    }

    fn adapter(&self, adapter: &AdapterInfo) -> Option<Arc<dyn NativeAdapter>> {
        let mut adapters = self.adapters.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(known) = adapters.known.get(adapter) {
            return known.clone();
        }
        let begun = Instant::now();
        let left = crate::compile::file_time(&self.options, 0).checked_sub(adapters.spent)?;
        if adapters.known.len() >= MOST_ADAPTERS {
            return None;
        }
        let code = crate::compile::adapter::compile(adapter, self.options.verifier, begun + left)
            .and_then(|compiled| publish(&compiled).ok())
            .map(|code| Arc::new(code) as Arc<dyn NativeAdapter>)
            .filter(|code| !code.entry().is_null());
        adapters.spent += begun.elapsed();
        adapters.known.insert(adapter.clone(), code.clone());
        code
    }

    fn builtins(&self, builtins: &mut VmBuiltins) {
        builtins.raise = raise;
    }
}

/// Maps compiled code and takes it into use.
#[cfg(feature = "compile")]
fn publish(compiled: &crate::compile::CompiledModule) -> Result<crate::load::native::NativeModule> {
    use crate::load::{code::CodeMap, native::NativeModule};
    // Tables first, then text on pages of its own.
    let text_at = compiled.tables.len().next_multiple_of(region::page::size());
    let text = text_at..text_at + compiled.text.len();
    let mut map = CodeMap::new(text.end)?;
    map.bytes_mut()[..compiled.tables.len()].copy_from_slice(&compiled.tables);
    map.bytes_mut()[text.clone()].copy_from_slice(&compiled.text);
    map.publish(text.clone())?;
    // SAFETY: compiled just now, for this machine and this engine's configuration.
    unsafe { NativeModule::new(Arc::new(map), text, 0..compiled.tables.len()) }
}

/// Does not compile: modules run interpreted, and artifacts run natively. For builds and processes without the compiler.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoadOnly;

impl Backend for LoadOnly {
    fn compile(
        &self,
        _module: &ModuleInfo,
        _config: &Config,
        _file: &FileBudget,
    ) -> Result<Arc<dyn NativeCode>> {
        Ok(Arc::new(Interpreted))
    }

    fn builtins(&self, builtins: &mut VmBuiltins) {
        builtins.raise = raise;
    }
}

/// Prepares the process for native code of this configuration.
pub(crate) fn ready(config: &Config) -> Result<()> {
    if config.guard_pages && !crate::sys::install() {
        return Err(Error::new(
            ErrorKind::Io,
            "the system refused the signal handler that native code needs; set Config::guard_pages to false",
        ));
    }
    Ok(())
}

/// No native code: every function runs in the interpreter.
#[derive(Debug)]
struct Interpreted;

impl NativeCode for Interpreted {
    fn func(&self, _own: usize) -> Option<NativeFunc> {
        None
    }

    fn stub(&self, _ty: u32) -> *const c_void {
        std::ptr::null()
    }

    fn locate(&self, _pc: usize) -> Option<(u32, Option<u32>)> {
        None
    }
}
