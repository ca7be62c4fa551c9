//! Artifacts: recognised by content, run natively only under a seal that is trusted here, and otherwise interpreted or refused
//! with a word that says why.

use crate::sandbox::Sandbox;
use crate::{Ended, Mode, end, guests, mini_wasm, prepared};
use std::path::Path;
use std::process::Stdio;

fn hello() -> std::path::PathBuf {
    guests().join("bin/wat-run.wasm")
}

fn run(sandbox: &Sandbox, artifact: &Path, flags: &[&str]) -> Ended {
    end(sandbox, mini_wasm(sandbox).arg("run").args(flags).arg(artifact))
}

#[test]
fn an_artifact_runs_natively_whatever_its_name_and_from_standard_input() {
    let sandbox = Sandbox::new("artifact-name");
    let artifact = prepared(&sandbox, Mode::Artifact, &hello(), &[]);
    let named = sandbox.path("program.wat");
    std::fs::copy(&artifact, &named).unwrap();
    let ended = run(&sandbox, &named, &[]);
    assert_eq!((ended.status, &*ended.stderr), (0, ""), "{ended:?}");
    let mut command = mini_wasm(&sandbox);
    command.args(["run", "-"]).stdin(std::fs::File::open(&artifact).unwrap());
    let ended = end(&sandbox, &mut command);
    assert_eq!((ended.status, &*ended.stderr), (0, ""), "{ended:?}");
    let mut cat = std::process::Command::new("cat").arg(&artifact).stdout(Stdio::piped()).spawn().unwrap();
    let mut command = mini_wasm(&sandbox);
    command.args(["run", "/dev/stdin"]).stdin(cat.stdout.take().unwrap());
    let ended = end(&sandbox, &mut command);
    cat.wait().unwrap();
    assert_eq!((ended.status, &*ended.stderr), (0, ""), "a pipe with a name: {ended:?}");
}

#[test]
fn an_artifact_sealed_by_another_key_runs_interpreted_and_says_so() {
    let sandbox = Sandbox::new("artifact-key");
    let program = sandbox.file("f.wat", r#"(module (func (export "f") (result i32) i32.const 42))"#);
    let artifact = prepared(&sandbox, Mode::Artifact, &program, &[]);
    let elsewhere = |state: &str| {
        let mut command = mini_wasm(&sandbox);
        command.env("XDG_STATE_HOME", sandbox.path(state)).args(["run", "--invoke", "f"]).arg(&artifact);
        end(&sandbox, &mut command)
    };
    let ended = elsewhere("nobody");
    assert_eq!((ended.status, &*ended.stdout), (0, "42\n"), "{ended:?}");
    assert!(ended.stderr.contains("foreign") && ended.stderr.contains("interpreted"), "{ended:?}");
    assert!(!sandbox.path("nobody").exists(), "running makes no key");

    let other = sandbox.path("other.cwasm");
    let mut command = mini_wasm(&sandbox);
    command.env("XDG_STATE_HOME", sandbox.path("somebody")).arg("aot").arg(&program).arg("-o").arg(&other);
    assert_eq!(end(&sandbox, &mut command).status, 0);
    let ended = elsewhere("somebody");
    assert_eq!((ended.status, &*ended.stdout), (0, "42\n"), "{ended:?}");
    assert!(ended.stderr.contains("sealed with another key"), "{ended:?}");
}

#[test]
fn a_signed_artifact_runs_natively_where_its_signer_is_trusted() {
    let sandbox = Sandbox::new("artifact-sign");
    let (key, artifact) = (sandbox.path("sign.key"), sandbox.path("signed.cwasm"));
    let make = || {
        let mut command = mini_wasm(&sandbox);
        end(&sandbox, command.arg("aot").arg(hello()).arg("-o").arg(&artifact).arg("--sign").arg(&key))
    };
    let first = make();
    assert_eq!(first.status, 0, "{first:?}");
    let public = first.stdout.trim();
    assert_eq!(public.len(), 64, "the public key alone is printed: {first:?}");
    assert_eq!(make().stdout, first.stdout, "the key is used again, not made anew");
    let distrusted = run(&sandbox, &artifact, &[]);
    assert_eq!(distrusted.status, 0, "{distrusted:?}");
    assert!(distrusted.stderr.contains("foreign") && distrusted.stderr.contains(public), "{distrusted:?}");
    let trusted = run(&sandbox, &artifact, &["--trust", public]);
    assert_eq!((trusted.status, &*trusted.stderr), (0, ""), "{trusted:?}");
    let nonsense = run(&sandbox, &artifact, &["--trust", "nonsense"]);
    assert_eq!(nonsense.status, 2, "{nonsense:?}");
}

#[test]
fn a_damaged_artifact_runs_interpreted_if_its_wasm_is_intact_and_is_refused_otherwise() {
    let sandbox = Sandbox::new("artifact-damage");
    let artifact = prepared(&sandbox, Mode::Artifact, &hello(), &[]);
    let whole = std::fs::read(&artifact).unwrap();
    let wasm = std::fs::read(hello()).unwrap();
    let wasm_at =
        whole.windows(wasm.len()).position(|part| part == wasm).expect("the wasm lies inside as it is");

    let mut bytes = whole.clone();
    *bytes.last_mut().unwrap() ^= 1;
    let ended = run(&sandbox, &sandbox.file("code.cwasm", &bytes), &[]);
    assert_eq!(ended.status, 0, "{ended:?}");
    assert!(ended.stderr.contains("damaged") && ended.stderr.contains("interpreted"), "{ended:?}");

    let mut bytes = whole.clone();
    bytes[wasm_at + wasm.len() / 2] ^= 1;
    let broken = sandbox.file("wasm.cwasm", &bytes);
    for engine in ["--engine=jit", "--engine=interp"] {
        let ended = run(&sandbox, &broken, &[engine]);
        assert_eq!(ended.status, 1, "{ended:?}");
        assert!(ended.stderr.contains("damaged") && ended.stderr.contains("not intact"), "{ended:?}");
    }
    let ended = run(&sandbox, &sandbox.file("short.cwasm", &whole[..100]), &[]);
    assert_eq!(ended.status, 1, "{ended:?}");
}

#[test]
fn an_artifact_for_another_machine_runs_interpreted_and_says_so() {
    let sandbox = Sandbox::new("artifact-target");
    let other =
        if cfg!(target_arch = "aarch64") { "x86_64-unknown-linux-gnu" } else { "aarch64-unknown-linux-gnu" };
    let artifact = prepared(&sandbox, Mode::Artifact, &hello(), &["--target", other]);
    let ended = run(&sandbox, &artifact, &[]);
    assert_eq!(ended.status, 0, "{ended:?}");
    assert!(ended.stderr.contains("another architecture"), "{ended:?}");
    let unknown = end(
        &sandbox,
        mini_wasm(&sandbox).args(["aot", "--target", "vax-dec-ultrix", "-o", "out"]).arg(hello()),
    );
    assert_eq!(unknown.status, 2, "{unknown:?}");
    assert!(unknown.stderr.contains(other), "it lists what there is: {unknown:?}");
}

#[test]
fn inspect_shows_an_artifacts_head_and_seal() {
    let sandbox = Sandbox::new("artifact-inspect");
    let artifact = prepared(&sandbox, Mode::Artifact, &hello(), &["--epoch"]);
    let shown = end(&sandbox, mini_wasm(&sandbox).arg("inspect").arg(&artifact));
    assert_eq!(shown.status, 0, "{shown:?}");
    for words in
        ["good", "a user's key", "checks        epoch", "core modules  1", "export wasi:cli/run@0.2.0"]
    {
        assert!(shown.stdout.contains(words), "no `{words}`:\n{}", shown.stdout);
    }
    let wasm_bytes = std::fs::metadata(hello()).unwrap().len();
    assert!(shown.stdout.contains(&format!("WebAssembly   {wasm_bytes} bytes")), "{}", shown.stdout);
    let mut command = mini_wasm(&sandbox);
    command.env("XDG_STATE_HOME", sandbox.path("nobody")).arg("inspect").arg(&artifact);
    assert!(end(&sandbox, &mut command).stdout.contains("state         foreign"));
}

#[test]
fn aot_writes_the_whole_artifact_or_nothing() {
    let sandbox = Sandbox::new("artifact-whole");
    let invalid = sandbox.file("invalid.wat", "(module (func (result i32)))");
    let out = sandbox.path("out.cwasm");
    let ended = end(&sandbox, mini_wasm(&sandbox).arg("aot").arg(&invalid).arg("-o").arg(&out));
    assert_eq!(ended.status, 1, "{ended:?}");
    assert!(!out.exists());
    let verbose = end(&sandbox, mini_wasm(&sandbox).args(["aot", "--verbose", "-o"]).arg(&out).arg(hello()));
    assert_eq!(verbose.status, 0, "{verbose:?}");
    assert!(verbose.stderr.contains("functions"), "{verbose:?}");
    let quiet = end(&sandbox, mini_wasm(&sandbox).args(["aot", "-o"]).arg(&out).arg(hello()));
    assert_eq!((&*quiet.stdout, &*quiet.stderr), ("", ""), "no terminal, nothing to say: {quiet:?}");
    let again = end(&sandbox, mini_wasm(&sandbox).args(["aot", "-o"]).arg(sandbox.path("twice")).arg(&out));
    assert_eq!(again.status, 1, "{again:?}");
}

#[test]
fn what_cannot_be_compiled_in_time_is_interpreted() {
    let sandbox = Sandbox::new("artifact-time");
    let program = guests().join("bin/bench-fib.wasm");
    let output = sandbox.path("fib.cwasm");
    let aot = |flags: &[&str]| {
        let mut command = mini_wasm(&sandbox);
        command.args(["aot", "--verbose"]).args(flags).arg(&program).arg("-o").arg(&output);
        end(&sandbox, &mut command)
    };
    for (flags, all_in_time) in [(&[][..], true), (&["--compile-timeout", "1ns"], false)] {
        let made = aot(flags);
        assert_eq!(made.status, 0, "{made:?}");
        assert_eq!(!made.stderr.contains("left to the interpreter"), all_in_time, "{made:?}");
        for command in [vec!["run", "--invoke", "run"], vec!["run", "--engine=jit", "--invoke", "run"]] {
            let mut run = mini_wasm(&sandbox);
            run.args(&command).arg(&output).arg("20");
            let ended = end(&sandbox, &mut run);
            assert_eq!((ended.status, &*ended.stdout), (0, "6765\n"), "{flags:?}: {ended:?}");
        }
    }
    // Compiled at the start of `run`, likewise.
    let mut run = mini_wasm(&sandbox);
    run.args(["run", "--engine=jit", "--compile-timeout", "1ns", "--invoke", "run"]).arg(&program).arg("20");
    let ended = end(&sandbox, &mut run);
    assert_eq!((ended.status, &*ended.stdout), (0, "6765\n"), "{ended:?}");
}
