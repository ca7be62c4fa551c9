//! `directory-entry-stream` while names vanish and appear.

use std::collections::BTreeSet;
use std::fs;

use mini_wasm_wasi::filesystem::descriptor;
use mini_wasm_wasi::filesystem::types::directory_entry_stream::read_directory_entry;

use crate::sandbox::{DIRECTORY, READ, both};

#[test]
fn no_name_is_skipped_while_each_is_removed_as_it_is_listed() {
    for length in [3, 40, 104, 255] {
        both(|sandbox, resolution| {
            let names: BTreeSet<String> = (0..300).map(|n| format!("{n:0length$}")).collect();
            fs::create_dir(sandbox.inside("many")).unwrap();
            for name in &names {
                fs::write(sandbox.inside("many").join(name), "").unwrap();
            }
            let mut guest = sandbox.guest(resolution, false);
            let dir = guest.open("many", DIRECTORY, READ).unwrap();
            let entries = descriptor::read_directory(&mut guest.wasi, dir.borrow()).unwrap().unwrap();
            let mut seen = BTreeSet::new();
            while let Some(entry) = read_directory_entry(&mut guest.wasi, entries.borrow()).unwrap().unwrap()
            {
                guest.unlink(&format!("many/{}", entry.name)).unwrap();
                assert!(seen.insert(entry.name), "a name is listed once");
            }
            assert_eq!(seen, names, "{length}");
            guest.rmdir("many").unwrap();
        });
    }
}

#[test]
fn several_streams_list_all_that_stays_while_other_names_come_and_go() {
    both(|sandbox, resolution| {
        let staying: BTreeSet<String> = (0..300).map(|n| format!("stays-{n}")).collect();
        fs::create_dir(sandbox.inside("many")).unwrap();
        for name in &staying {
            fs::write(sandbox.inside("many").join(name), "").unwrap();
        }
        for n in 0..300 {
            fs::write(sandbox.inside(&format!("many/goes-{n}")), "").unwrap();
        }
        let mut guest = sandbox.guest(resolution, false);
        let dir = guest.open("many", DIRECTORY, READ).unwrap();
        let streams: Vec<_> = (0..3)
            .map(|_| descriptor::read_directory(&mut guest.wasi, dir.borrow()).unwrap().unwrap())
            .collect();
        let mut seen = vec![BTreeSet::new(); 3];
        let (mut step, mut open) = (0, 3);
        while open > 0 {
            open = 0;
            for (stream, seen) in streams.iter().zip(&mut seen) {
                let entry = read_directory_entry(&mut guest.wasi, stream.borrow()).unwrap().unwrap();
                let Some(entry) = entry else { continue };
                open += 1;
                if entry.name.starts_with("stays-") {
                    assert!(seen.insert(entry.name), "listed twice");
                }
            }
            if step < 300 {
                guest.unlink(&format!("many/goes-{step}")).unwrap();
                guest.write(&format!("many/comes-{step}"), b"").unwrap();
            }
            step += 1;
        }
        assert!(seen.iter().all(|seen| *seen == staying));
    });
}
