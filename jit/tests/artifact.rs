//! The artifact file: what is sealed runs, and nothing else does.

use mini_wasm_jit::artifact::{Artifact, Kind, Reason, Refused, Seal, Trust, write};
use mini_wasm_jit::compile::{ArtifactOptions, CompileOptions, LeftOut, compile_artifact};
use mini_wasm_jit::seal::{SealKey, SignKey};
use mini_wasm_jit::{Arch, CpuFeatures, LoadOnly};
use mini_wasm_runtime::component::{Component, Linker};
use mini_wasm_runtime::config::Config;
use mini_wasm_runtime::engine::Engine;
use mini_wasm_runtime::handle::Instance;
use mini_wasm_runtime::module::{Module, ModuleInfo, WasmBytes};
use mini_wasm_runtime::store::Store;
use mini_wasm_runtime::val::Val;
use std::path::PathBuf;
use std::sync::Arc;

const WAT: &str = r#"(module
    (memory 1) (data (i32.const 8) "artifact")
    (func (export "load") (param i32) (result i32) (i32.load8_u (local.get 0)))
    (func (export "spin") (param i32) (result i32) (local i32)
        (loop (local.set 1 (i32.add (local.get 1) (local.get 0)))
              (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
        (local.get 1)))"#;

fn options(seal: Seal) -> ArtifactOptions {
    ArtifactOptions { arch: None, cpu: None, compile: CompileOptions::default(), seal }
}

fn artifact(config: &Config, options: &ArtifactOptions) -> Vec<u8> {
    let wasm = wat::parse_str(WAT).unwrap();
    let engine = Engine::new(config.clone());
    let info = Module::parse_only(&engine, WasmBytes::new(wasm.clone().into())).unwrap();
    let new = compile_artifact(config, &wasm, Kind::Module, &[&info], &[], options).unwrap();
    assert_eq!(new.left_out, []);
    new.bytes
}

fn load(config: &Config, bytes: &[u8], trust: &Trust) -> Result<Artifact, Refused> {
    Artifact::load_bytes(config, bytes, trust).unwrap()
}

fn reason(config: &Config, bytes: &[u8], trust: &Trust) -> Reason {
    let refused = load(config, bytes, trust).unwrap_err();
    assert_eq!(refused.wasm.unwrap().1[..], wat::parse_str(WAT).unwrap()[..], "the WebAssembly is intact");
    refused.reason
}

fn run(config: &Config, artifact: &Artifact) {
    let engine = Engine::with_runtime(config.clone(), &LoadOnly);
    let native = artifact.native[0].clone();
    assert!(native.func(0).is_some() && native.func(1).is_some());
    let module = Module::with_native(&engine, WasmBytes::new(artifact.wasm.clone()), Some(native)).unwrap();
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &module, &[]).unwrap();
    let mut call = |name, n| {
        let func = instance.func(&mut store, name).unwrap();
        func.call(&mut store, &[Val::I32(n)])
    };
    assert!(matches!(call("load", 8).unwrap()[..], [Val::I32(97)]));
    assert!(matches!(call("spin", 10).unwrap()[..], [Val::I32(55)]));
    assert!(call("load", -1).unwrap_err().trap().is_some());
}

#[test]
fn what_is_sealed_with_the_key_runs() {
    for config in
        [Config::default(), Config { guard_pages: false, fuel: false, epoch: true, ..Config::default() }]
    {
        let key = SealKey::random().unwrap();
        let bytes = artifact(&config, &options(Seal::Key(key.clone())));
        let loaded = load(&config, &bytes, &Trust::key(key)).unwrap();
        assert_eq!(loaded.kind, Kind::Module);
        run(&config, &loaded);
    }
}

#[test]
fn every_changed_byte_and_every_truncation_is_caught() {
    let config = Config::default();
    let key = SealKey::random().unwrap();
    let wasm = wat::parse_str(WAT).unwrap();
    let bytes = artifact(&config, &options(Seal::Key(key.clone())));
    let trust = Trust::key(key);
    let refused = |bytes: &[u8], what: &dyn std::fmt::Display| match load(&config, bytes, &trust) {
        Ok(_) => panic!("{what} was accepted"),
        Err(Refused { wasm: None, .. }) => {}
        Err(Refused { wasm: Some((_, found)), .. }) => {
            assert_eq!(found[..], wasm[..], "{what}: other WebAssembly")
        }
    };
    let mut copy = bytes.clone();
    for at in 0..bytes.len() {
        for change in [0x01, 0x80, 0xff] {
            copy[at] ^= change;
            refused(&copy, &format_args!("byte {at} changed by {change:#x}"));
            copy[at] = bytes[at];
        }
    }
    for len in 0..bytes.len() {
        refused(&bytes[..len], &format_args!("the first {len} bytes"));
    }
    copy.push(0);
    refused(&copy, &"a longer file");
    load(&config, &bytes, &trust).unwrap();
}

#[test]
fn a_refusal_names_its_reason_and_hands_the_wasm_over() {
    let config = Config::default();
    let (key, other) = (SealKey::random().unwrap(), SealKey::random().unwrap());
    let trust = Trust::key(key.clone());
    let sealed = |config: &Config, seal: Seal| artifact(config, &options(seal));

    assert_eq!(reason(&config, &sealed(&config, Seal::None), &trust), Reason::Unsealed);
    assert_eq!(reason(&config, &sealed(&config, Seal::Key(other)), &trust), Reason::OtherKey);
    let mut damaged = sealed(&config, Seal::Key(key.clone()));
    *damaged.last_mut().unwrap() ^= 1;
    assert_eq!(reason(&config, &damaged, &trust), Reason::Damaged);

    let good = sealed(&config, Seal::Key(key.clone()));
    for changed in [
        Config { fuel: true, ..config.clone() },
        Config { epoch: true, ..config.clone() },
        Config { canonicalize_nans: true, ..config.clone() },
        Config { guard_pages: false, ..config.clone() },
    ] {
        assert_eq!(reason(&changed, &good, &trust), Reason::OtherConfig);
    }
    let mut fewer = config.clone();
    fewer.features.set("tail-call", false).unwrap();
    assert_eq!(reason(&fewer, &good, &trust), Reason::OtherConfig);

    for arch in Arch::ALL.into_iter().filter(|&arch| Some(arch) != Arch::host()) {
        let foreign = ArtifactOptions { arch: Some(arch), ..options(Seal::Key(key.clone())) };
        assert_eq!(reason(&config, &artifact(&config, &foreign), &trust), Reason::OtherTarget);
    }

    assert_eq!(load(&config, b"\0asm\x01\0\0\0", &trust).unwrap_err().reason, Reason::NotAnArtifact);
    assert_eq!(load(&config, b"", &trust).unwrap_err().reason, Reason::NotAnArtifact);
    let mut newer = good.clone();
    newer[8] = 9;
    assert_eq!(reason(&config, &newer, &trust), Reason::OtherFormat(9));
    assert_eq!(load(&config, &good[..100], &trust).unwrap_err().reason, Reason::Truncated);
}

#[test]
fn a_signature_by_a_trusted_key_runs_and_no_other() {
    let config = Config::default();
    let dir = directory("signature");
    let (good, bad) =
        (SignKey::create(&dir.join("good")).unwrap(), SignKey::create(&dir.join("bad")).unwrap());
    let trust = Trust::default().and_signer(good.public());
    let bytes = artifact(&config, &options(Seal::Sign(good.clone())));
    run(&config, &load(&config, &bytes, &trust).unwrap());
    let untrusted = artifact(&config, &options(Seal::Sign(bad.clone())));
    assert_eq!(reason(&config, &untrusted, &trust), Reason::Untrusted(bad.public().to_string()));
    let mut damaged = bytes.clone();
    damaged[150] ^= 1;
    assert_eq!(reason(&config, &damaged, &trust), Reason::Damaged);
    // A hash under a secret key proves nothing to whoever trusts signatures only.
    let keyed = artifact(&config, &options(Seal::Key(SealKey::random().unwrap())));
    assert_eq!(reason(&config, &keyed, &trust), Reason::OtherKey);
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn code_for_a_better_processor_does_not_run() {
    if Arch::host() != Some(Arch::X86_64) {
        return;
    }
    let config = Config::default();
    let key = SealKey::random().unwrap();
    let cpu = CpuFeatures::baseline(Arch::X86_64);
    let modest = artifact(&config, &ArtifactOptions { cpu: Some(cpu), ..options(Seal::Key(key.clone())) });
    run(&config, &load(&config, &modest, &Trust::key(key)).unwrap());
}

#[test]
fn a_file_is_written_whole_and_read_back() {
    let config = Config::default();
    let dir = directory("file");
    let path = dir.join("app.cwasm");
    let key = SealKey::at(&dir.join("seal.key")).unwrap();
    let bytes = artifact(&config, &options(Seal::Key(key.clone())));
    write(&path, b"an older file").unwrap();
    write(&path, &bytes).unwrap();
    let names: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "nothing is left behind: {names:?}");
    let loaded = Artifact::load(&config, &path, &Trust::key(key.clone())).unwrap().unwrap();
    // What happens to the file now does not matter.
    std::fs::write(&path, vec![0; bytes.len()]).unwrap();
    run(&config, &loaded);
    let refused = Artifact::load(&config, &path, &Trust::key(key)).unwrap().unwrap_err();
    assert_eq!(refused.reason, Reason::NotAnArtifact);
    assert!(Artifact::load(&config, &dir.join("absent"), &Trust::default()).is_err());
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn nothing_is_writable_and_executable_at_once() {
    let config = Config::default();
    let key = SealKey::random().unwrap();
    let bytes = artifact(&config, &options(Seal::Key(key.clone())));
    let loaded = load(&config, &bytes, &Trust::key(key)).unwrap();
    let code = loaded.native[0].func(0).unwrap().native as usize;
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    // qemu's user mode shows what the emulator may do with a page, and it executes none of its guest's.
    let runner = |(name, value): (String, String)| name.ends_with("_RUNNER") && value.contains("qemu");
    let told = cfg!(target_arch = "x86_64") || !std::env::vars().any(runner);
    let mut found = false;
    for line in maps.lines() {
        let mut fields = line.split_whitespace();
        let (range, rights) = (fields.next().unwrap(), fields.next().unwrap());
        assert!(!(rights.contains('w') && rights.contains('x')), "{line}");
        let (start, end) = range.split_once('-').unwrap();
        let bound = |hex| usize::from_str_radix(hex, 16).unwrap();
        if (bound(start)..bound(end)).contains(&code) {
            assert_eq!(rights, if told { "r-xp" } else { "r--p" }, "{line}");
            found = true;
        }
    }
    assert!(found);
}

#[test]
fn the_same_input_gives_the_same_artifact() {
    let config = Config::default();
    let key = SealKey::random().unwrap();
    let one = artifact(&config, &options(Seal::Key(key.clone())));
    let mut threads = options(Seal::Key(key));
    threads.compile.threads = 3;
    assert_eq!(one, artifact(&config, &threads));
}

#[test]
fn what_is_left_out_is_told() {
    let config = Config::default();
    let wasm = wat::parse_str(WAT).unwrap();
    let info = Module::parse_only(&Engine::new(config.clone()), WasmBytes::new(wasm.clone().into())).unwrap();
    let mut options = options(Seal::None);
    options.compile.interpret = Some(Arc::new(|own| own == 1));
    let new = compile_artifact(&config, &wasm, Kind::Module, &[&info], &[], &options).unwrap();
    assert_eq!(new.left_out, [(0, 1, LeftOut::Chosen)]);
}

fn directory(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("mini-wasm-artifact-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

/// Two components, of which one calls the other with a text.
const PAIR: &str = r#"(component
    (component $B
        (core module $m
            (memory (export "memory") 1)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64))
            (func (export "take") (param i32 i32) (result i32) (local.get 1)))
        (core instance $i (instantiate $m))
        (func (export "take") (param "s" string) (result u32)
            (canon lift (core func $i "take") (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))
    (component $A
        (import "take" (func $take (param "s" string) (result u32)))
        (core module $libc (memory (export "memory") 1))
        (core instance $libc (instantiate $libc))
        (core func $take' (canon lower (func $take) (memory (core memory $libc "memory"))))
        (core module $m
            (import "" "take" (func $take (param i32 i32) (result i32)))
            (func (export "run") (result i32) (call $take (i32.const 8) (i32.const 5))))
        (core instance $i (instantiate $m (with "" (instance (export "take" (func $take'))))))
        (func (export "run") (result u32) (canon lift (core func $i "run"))))
    (instance $b (instantiate $B))
    (instance $a (instantiate $A (with "take" (func $b "take"))))
    (export "run" (func $a "run")))"#;

#[test]
fn code_between_components_is_for_the_calls_that_it_was_made_for() {
    let config = Config::default();
    let wasm = wat::parse_str(PAIR).unwrap();
    let component = Component::new(&Engine::new(config.clone()), wasm.as_slice()).unwrap();
    let infos: Vec<&ModuleInfo> = component.core_modules().iter().map(|module| &**module.info()).collect();
    let calls = component.adapter_infos();
    assert_eq!(calls.len(), 1);
    let key = SealKey::random().unwrap();
    let options = options(Seal::Key(key.clone()));
    let new = compile_artifact(&config, &wasm, Kind::Component, &infos, &calls, &options).unwrap();
    let trust = Trust::key(key);
    let loaded = load(&config, &new.bytes, &trust).unwrap();
    assert_eq!(loaded.native.len(), infos.len());
    let adapters = loaded.adapters.unwrap();
    assert!(adapters.of(&calls).is_some_and(|code| !code.stub(0).is_null() && code.stub(1).is_null()));
    let mut other = calls.clone();
    other[0].asks_caller ^= true;
    for other in [&other[..], &[], &[calls[0].clone(), calls[0].clone()]] {
        assert!(adapters.of(other).is_none(), "{other:?}");
    }
    // Nobody changes what the code is for, or where it lies.
    let mut copy = new.bytes.clone();
    for at in (96..112).chain(240..256 + 32 * (infos.len() + 1)) {
        copy[at] ^= 1;
        assert_eq!(load(&config, &copy, &trust).unwrap_err().reason, Reason::Damaged, "byte {at}");
        copy[at] ^= 1;
    }
    // Without it the calls go by the plan.
    for (with, planned) in [(true, 0), (false, 1)] {
        let engine = Engine::with_runtime(config.clone(), &LoadOnly);
        let native = loaded.native.iter().cloned().map(Some).collect();
        let code_of = |calls: &[_]| adapters.of(calls).filter(|_| with);
        let component =
            Component::with_native(&engine, WasmBytes::new(loaded.wasm.clone()), native, code_of).unwrap();
        let mut store = Store::new(&engine, ());
        let instance = Linker::<()>::new(&engine).instantiate(&mut store, &component).unwrap();
        let run = instance.typed::<(), u32>(&mut store, "run").unwrap();
        assert_eq!(run.call(&mut store, ()).unwrap(), 5);
        assert_eq!(store.planned_calls(), planned);
    }
}
