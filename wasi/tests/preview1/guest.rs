//! A core module that imports every function of preview 1 and hands each on, and the host's way to use it: strings and
//! records are put into its memory, addresses passed, results read back.

use mini_wasm_runtime::types::ValType;
use mini_wasm_runtime::{Config, Engine, Error, Instance, Linker, Module, Store, Val};
use mini_wasm_wasi::preview1::{self, Errno, FUNCTIONS, SNAPSHOT, UNSTABLE};
use mini_wasm_wasi::{Resolution, Wasi};

use crate::sandbox::Sandbox;

/// Where paths lie; the second path of a call at [`PATH2`].
pub(crate) const PATH: u32 = 0x1000;
pub(crate) const PATH2: u32 = 0x3000;
/// Where results are written.
pub(crate) const OUT: u32 = 0x200;
/// Where `iovec`s lie.
const IOVS: u32 = 0x100;
/// Where data lies, to the end of memory.
pub(crate) const DATA: u32 = 0x8000;

pub(crate) const FD_READ: u64 = 1 << 1;
pub(crate) const FD_SEEK: u64 = 1 << 2;
pub(crate) const FD_TELL: u64 = 1 << 5;
pub(crate) const FD_WRITE: u64 = 1 << 6;
pub(crate) const READDIR: u64 = 1 << 14;
pub(crate) const ALL_RIGHTS: u64 = (1 << 30) - 1;
pub(crate) const CREAT: u32 = 1;
pub(crate) const DIRECTORY: u32 = 2;
pub(crate) const EXCL: u32 = 4;
pub(crate) const TRUNC: u32 = 8;
pub(crate) const APPEND: u32 = 1;
pub(crate) const NONBLOCK: u32 = 4;
/// The number of the granted directory.
pub(crate) const DIR: u32 = 3;

pub(crate) struct Guest {
    pub(crate) store: Store<Wasi>,
    instance: Instance,
}

fn wat(module: &str) -> String {
    let letter = |ty: &ValType| if *ty == ValType::I32 { "i32" } else { "i64" };
    let (mut imports, mut funcs) = (String::new(), String::new());
    for function in FUNCTIONS.iter().filter(|f| module == SNAPSHOT || f.name != "sock_accept") {
        let params: Vec<&str> = function.params.iter().map(letter).collect();
        let params = if params.is_empty() { String::new() } else { format!("(param {})", params.join(" ")) };
        let result = if function.returns { "(result i32)" } else { "" };
        let gets: String = (0..function.params.len()).map(|i| format!("(local.get {i})")).collect();
        let name = function.name;
        imports += &format!("(import \"{module}\" \"{name}\" (func ${name} {params} {result}))\n");
        funcs += &format!("(func (export \"{name}\") {params} {result} (call ${name} {gets}))\n");
    }
    format!("(module {imports} (memory (export \"memory\") 2) {funcs})")
}

impl Guest {
    pub(crate) fn of(wasi: Wasi) -> Self {
        Self::importing(SNAPSHOT, wasi)
    }

    pub(crate) fn importing(module: &str, wasi: Wasi) -> Self {
        let engine = Engine::new(Config::default());
        let mut linker = Linker::<Wasi>::new();
        preview1::add_to_linker(&mut linker, |wasi| wasi).unwrap();
        if module == UNSTABLE {
            preview1::add_unstable_to_linker(&mut linker, |wasi| wasi).unwrap();
        }
        let mut store = Store::new(&engine, wasi);
        let module = Module::new(&engine, wat::parse_str(wat(module)).unwrap()).unwrap();
        let instance = linker.instantiate(&mut store, &module).unwrap();
        Self { store, instance }
    }

    pub(crate) fn in_sandbox(sandbox: &Sandbox, resolution: Resolution, read_only: bool) -> Self {
        let mut builder = Wasi::builder();
        builder.resolution(resolution).preopen(sandbox.inside(""), "/", read_only).unwrap();
        Self::of(builder.build())
    }

    /// Calls a function with whatever numbers.
    pub(crate) fn raw(&mut self, name: &str, args: &[u64]) -> Result<Option<u32>, Error> {
        let function = FUNCTIONS.iter().find(|f| f.name == name).unwrap();
        let args: Vec<Val> = function
            .params
            .iter()
            .zip(args)
            .map(|(ty, arg)| if *ty == ValType::I32 { Val::I32(*arg as i32) } else { Val::I64(*arg as i64) })
            .collect();
        let func = self.instance.func(&mut self.store, name).unwrap();
        let results = func.call(&mut self.store, &args)?;
        Ok(results.first().map(|val| match val {
            Val::I32(errno) => *errno as u32,
            other => panic!("{other:?}"),
        }))
    }

    /// Calls a function and says how it ended.
    pub(crate) fn call(&mut self, name: &str, args: &[u64]) -> Errno {
        let function = FUNCTIONS.iter().find(|f| f.name == name).unwrap();
        assert_eq!(function.params.len(), args.len(), "{name}");
        let errno = self.raw(name, args).unwrap().expect("an errno");
        Errno::ALL[errno as usize]
    }

    pub(crate) fn write(&mut self, at: u32, bytes: &[u8]) {
        let memory = self.instance.memory(&mut self.store, "memory").unwrap();
        memory.data_mut(&mut self.store).unwrap()[at as usize..at as usize + bytes.len()]
            .copy_from_slice(bytes);
    }

    pub(crate) fn read(&mut self, at: u32, len: usize) -> Vec<u8> {
        let memory = self.instance.memory(&mut self.store, "memory").unwrap();
        memory.data(&self.store).unwrap()[at as usize..at as usize + len].to_vec()
    }

    pub(crate) fn u32(&mut self, at: u32) -> u32 {
        u32::from_le_bytes(self.read(at, 4).try_into().unwrap())
    }

    pub(crate) fn u64(&mut self, at: u32) -> u64 {
        u64::from_le_bytes(self.read(at, 8).try_into().unwrap())
    }

    /// Puts a path into memory; address and length.
    pub(crate) fn path(&mut self, at: u32, path: &str) -> [u64; 2] {
        self.write(at, path.as_bytes());
        [at.into(), path.len() as u64]
    }

    /// A call whose parameters are a descriptor and a path.
    pub(crate) fn at(&mut self, name: &str, fd: u32, path: &str) -> Errno {
        let [at, len] = self.path(PATH, path);
        self.call(name, &[fd.into(), at, len])
    }

    pub(crate) fn open_with(
        &mut self,
        fd: u32,
        follow: bool,
        path: &str,
        oflags: u32,
        rights: u64,
        fdflags: u32,
    ) -> Result<u32, Errno> {
        let [at, len] = self.path(PATH, path);
        let args = [
            fd.into(),
            follow.into(),
            at,
            len,
            oflags.into(),
            rights,
            ALL_RIGHTS,
            fdflags.into(),
            OUT.into(),
        ];
        match self.call("path_open", &args) {
            Errno::Success => Ok(self.u32(OUT)),
            errno => Err(errno),
        }
    }

    pub(crate) fn open(&mut self, path: &str, oflags: u32, rights: u64) -> Result<u32, Errno> {
        self.open_with(DIR, true, path, oflags, rights, 0)
    }

    /// Puts one `iovec` over `len` bytes of [`DATA`].
    pub(crate) fn iovec(&mut self, len: u32) -> [u64; 2] {
        self.write(IOVS, &[DATA.to_le_bytes(), len.to_le_bytes()].concat());
        [IOVS.into(), 1]
    }

    /// Puts `iovec`s of these addresses and lengths.
    pub(crate) fn iovecs(&mut self, parts: &[(u32, u32)]) -> [u64; 2] {
        let bytes: Vec<u8> =
            parts.iter().flat_map(|(at, len)| [at.to_le_bytes(), len.to_le_bytes()].concat()).collect();
        self.write(IOVS, &bytes);
        [IOVS.into(), parts.len() as u64]
    }

    pub(crate) fn write_fd(&mut self, fd: u32, bytes: &[u8]) -> Result<u32, Errno> {
        self.write(DATA, bytes);
        let [at, len] = self.iovec(bytes.len() as u32);
        match self.call("fd_write", &[fd.into(), at, len, OUT.into()]) {
            Errno::Success => Ok(self.u32(OUT)),
            errno => Err(errno),
        }
    }

    pub(crate) fn read_fd(&mut self, fd: u32, len: u32) -> Result<Vec<u8>, Errno> {
        let [at, count] = self.iovec(len);
        match self.call("fd_read", &[fd.into(), at, count, OUT.into()]) {
            Errno::Success => {
                let read = self.u32(OUT) as usize;
                Ok(self.read(DATA, read))
            }
            errno => Err(errno),
        }
    }

    pub(crate) fn close(&mut self, fd: u32) -> Errno {
        self.call("fd_close", &[fd.into()])
    }

    /// The kind and size that `path_filestat_get` tells.
    pub(crate) fn stat(&mut self, follow: bool, path: &str) -> Result<(u8, u64), Errno> {
        let [at, len] = self.path(PATH, path);
        match self.call("path_filestat_get", &[DIR.into(), follow.into(), at, len, OUT.into()]) {
            Errno::Success => Ok((self.read(OUT + 16, 1)[0], self.u64(OUT + 32))),
            errno => Err(errno),
        }
    }

    pub(crate) fn symlink(&mut self, target: &str, path: &str) -> Errno {
        let [old, old_len] = self.path(PATH2, target);
        let [at, len] = self.path(PATH, path);
        self.call("path_symlink", &[old, old_len, DIR.into(), at, len])
    }

    pub(crate) fn rename(&mut self, from: u32, old: &str, to: u32, new: &str) -> Errno {
        let [old, old_len] = self.path(PATH2, old);
        let [at, len] = self.path(PATH, new);
        self.call("path_rename", &[from.into(), old, old_len, to.into(), at, len])
    }

    pub(crate) fn link(&mut self, from: u32, follow: bool, old: &str, to: u32, new: &str) -> Errno {
        let [old, old_len] = self.path(PATH2, old);
        let [at, len] = self.path(PATH, new);
        self.call("path_link", &[from.into(), follow.into(), old, old_len, to.into(), at, len])
    }
}
