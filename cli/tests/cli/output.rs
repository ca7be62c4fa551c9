//! What `-o` names: files are replaced whole, anything else is written to and stays what it is.

use crate::sandbox::Sandbox;
use crate::{end, guests, mini_wasm};
use std::fs;
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

/// Every command that makes a file, and how what it makes begins.
const MAKERS: &[(&str, &[u8])] = &[
    ("aot", b"mwasm\0"),
    #[cfg(feature = "tools")]
    ("componentize", b"\0asm\x0d"),
    #[cfg(feature = "tools")]
    ("compose", b"\0asm\x0d"),
];

fn making(sandbox: &Sandbox, maker: &str, output: &Path) -> Command {
    let guest = |name: &str| guests().join("bin").join(name);
    let mut command = mini_wasm(sandbox);
    command.arg(maker);
    match maker {
        "aot" => command.arg(guest("bench-fib.wasm")),
        "componentize" => command.arg(guest("p1-assemblyscript.wasm")),
        _ => command.arg(guest("demo-importer.wasm")).arg("--plug").arg(guest("demo-provider.wasm")),
    };
    command.arg("-o").arg(output);
    command
}

#[test]
fn a_device_a_pipe_and_a_link_stay_what_they_are() {
    for (maker, magic) in MAKERS {
        let sandbox = Sandbox::new(&format!("output-{maker}"));
        let ended = end(&sandbox, &mut making(&sandbox, maker, Path::new("/dev/null")));
        assert_eq!(ended.status, 0, "{maker}: {ended:?}");
        assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());

        let pipe = sandbox.path("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || fs::read(pipe).expect("the pipe's end")
        });
        let ended = end(&sandbox, &mut making(&sandbox, maker, &pipe));
        assert_eq!(ended.status, 0, "{maker}: {ended:?}");
        assert!(reader.join().unwrap().starts_with(magic), "{maker}");
        assert!(fs::symlink_metadata(&pipe).unwrap().file_type().is_fifo(), "{maker}");

        let (target, link) = (sandbox.file("target", "old"), sandbox.path("link"));
        symlink("target", &link).unwrap();
        let ended = end(&sandbox, &mut making(&sandbox, maker, &link));
        assert_eq!(ended.status, 0, "{maker}: {ended:?}");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink(), "{maker}");
        assert!(fs::read(&target).unwrap().starts_with(magic), "{maker}");

        let ended = end(&sandbox, &mut making(&sandbox, maker, &sandbox.path("")));
        assert_eq!(ended.status, 1, "{maker}: {ended:?}");
    }
}

#[test]
fn a_dash_and_the_name_of_standard_output_are_standard_output() {
    for (maker, magic) in MAKERS {
        for name in ["-", "/dev/stdout"] {
            let sandbox = Sandbox::new(&format!("output-stdout-{maker}"));
            // Once into a pipe, once behind what a file has already.
            let mut child =
                making(&sandbox, maker, Path::new(name)).stdout(Stdio::piped()).spawn().expect("it starts");
            let mut got = Vec::new();
            child.stdout.take().unwrap().read_to_end(&mut got).unwrap();
            assert!(child.wait().unwrap().success() && got.starts_with(magic), "{maker} {name}");
            let log = sandbox.file("log", "before");
            let file = fs::OpenOptions::new().append(true).open(&log).unwrap();
            assert!(making(&sandbox, maker, Path::new(name)).stdout(file).status().unwrap().success());
            let written = fs::read(&log).unwrap();
            assert!(written.starts_with(b"before") && written[6..].starts_with(magic), "{maker} {name}");
            assert!(!Path::new("-").exists());
        }
    }
}
