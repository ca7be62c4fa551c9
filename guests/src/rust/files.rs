//! Files and directories through Rust's std, in the preopened directory that argument 1 names. A native WASI 0.2 component.
//! Stops with exit code 1 at the first step that fails.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

unsafe extern "C" {
    safe fn __wasm_call_ctors();
}

fn main() -> ExitCode {
    // The C library under std (Debian's wasi-libc of 2022) learns of the preopened directories in a constructor. In a
    // wasip2 program the linker leaves calling constructors to the program, and std does not do it: without this line every
    // open fails with "Capabilities insufficient".
    __wasm_call_ctors();
    let root = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| ".".into()));
    match steps(&root) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("FAILED: {:?}", error.kind());
            eprintln!("files: {error}");
            ExitCode::FAILURE
        }
    }
}

fn steps(root: &Path) -> io::Result<()> {
    println!("given: {:?}", fs::read_to_string(root.join("given.txt"))?);
    let deep = root.join("a/b/c");
    fs::create_dir_all(&deep)?;
    for i in 0..20 {
        fs::write(deep.join(format!("{i:02}.txt")), format!("file {i}\n").repeat(i + 1))?;
    }
    println!("sizes: {:?}", sizes(&deep)?);

    let path = root.join("a/records.bin");
    let mut file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
    for i in 0u32..1000 {
        file.write_all(&i.wrapping_mul(2_654_435_761).to_le_bytes())?;
    }
    file.seek(SeekFrom::Start(4 * 777))?;
    let mut record = [0; 4];
    file.read_exact(&mut record)?;
    println!("record 777: {}", u32::from_le_bytes(record) == 777u32.wrapping_mul(2_654_435_761));
    file.seek(SeekFrom::End(-4))?;
    file.read_exact(&mut record)?;
    println!("at the end: {:?}", file.read(&mut record)?);
    file.set_len(100)?;
    file.sync_all()?;
    println!("length: {}", file.metadata()?.len());
    drop(file);
    println!(
        "create_new again: {:?}",
        OpenOptions::new().write(true).create_new(true).open(&path).err().map(|e| e.kind())
    );

    fs::rename(&path, deep.join("moved.bin"))?;
    println!("old name: {:?}", fs::metadata(&path).err().map(|e| e.kind()));
    println!("copied: {}", fs::copy(deep.join("moved.bin"), root.join("copy.bin"))?);
    let mut log = OpenOptions::new().append(true).create(true).open(root.join("log.txt"))?;
    writeln!(log, "one")?;
    writeln!(log, "two")?;
    drop(log);
    let lines = BufReader::new(File::open(root.join("log.txt"))?).lines().collect::<io::Result<Vec<_>>>()?;
    println!("log: {lines:?}");

    for (what, path) in [("parent", "../x"), ("absolute", "/etc/passwd"), ("through dots", "a/../../x")] {
        let opened = File::open(root.join(path));
        println!("{what}: {}", if opened.is_err() { "refused" } else { "OPENED" });
    }
    println!("remove_dir of a full directory: {}", fs::remove_dir(root.join("a")).is_err());
    println!("remove_file of a directory: {}", fs::remove_file(root.join("a")).is_err());
    fs::remove_dir_all(root.join("a"))?;
    println!("gone: {:?}", fs::read_dir(root.join("a")).err().map(|e| e.kind() == ErrorKind::NotFound));
    fs::remove_file(root.join("copy.bin"))?;
    println!("left: {:?}", sizes(root)?);
    Ok(())
}

/// Name and size of each file of a directory, sorted by name.
fn sizes(directory: &Path) -> io::Result<Vec<(String, u64)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let size = if entry.file_type()?.is_dir() { 0 } else { entry.metadata()?.len() };
        found.push((entry.file_name().to_string_lossy().into_owned(), size));
    }
    found.sort();
    Ok(found)
}
