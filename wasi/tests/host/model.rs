//! Random trees and random paths: both resolutions find what a pure model of beneath-only resolution finds, and with a second thread
//! that changes the tree nothing outside of it.

use std::fs;

use mini_wasm_wasi::Resolution;
use mini_wasm_wasi::filesystem::descriptor;
use mini_wasm_wasi::filesystem::types::{DescriptorType, NewTimestamp};
use proptest::prelude::*;

use crate::sandbox::{CREATE, FOLLOW, Guest, NO_FOLLOW, READ, Sandbox, TRUNCATE, WRITE};
use crate::tree::{Attacker, Node, Tree, path, plan, race};

impl Attacker for Guest {
    fn attack(&mut self, what: u8, path: &str, other: &str) -> Vec<u8> {
        let mut read = Vec::new();
        match what {
            0 => read = self.read(path).unwrap_or_default(),
            1 => read = self.list(path).unwrap_or_default().join(" ").into_bytes(),
            2 => drop(self.write(path, b"mine")),
            3 => drop(self.mkdir(path)),
            4 => drop(self.rmdir(path)),
            5 => drop(self.unlink(path)),
            6 => drop(self.rename(path, other)),
            7 => drop(self.link(FOLLOW, path, other)),
            8 => drop(self.symlink(other, path)),
            9 => {
                let (dir, at) = (self.dir.borrow(), NewTimestamp::Now);
                let _ = descriptor::set_times_at(&mut self.wasi, dir, FOLLOW, path.into(), at, at).unwrap();
            }
            10 => {
                if let Ok(file) = self.open(path, CREATE | TRUNCATE, READ | WRITE) {
                    let _ = descriptor::write(&mut self.wasi, file.borrow(), b"mine".to_vec(), 0).unwrap();
                    self.wasi.resource_drop(file).unwrap();
                }
            }
            _ => read = self.readlink(path).unwrap_or_default().into_bytes(),
        }
        read
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_path_names_what_the_model_says(
        plans in prop::collection::vec(plan(), 1..16),
        paths in prop::collection::vec(path(), 1..24),
    ) {
        let tree = Tree::build(&plans);
        let sandbox = Sandbox::new();
        let inodes = tree.make(&sandbox);
        let identify = |inode| inodes.iter().position(|&known| known == inode);
        for resolution in [Resolution::Kernel, Resolution::Walk] {
            let mut guest = sandbox.guest(resolution, false);
            for path in &paths {
                for (flags, follow) in [(FOLLOW, true), (NO_FOLLOW, false)] {
                    let expected = tree.resolve(path, follow);
                    let found = guest.stat(flags, path);
                    prop_assert_eq!(
                        found.as_ref().map(|_| ()).map_err(|error| *error),
                        expected.as_ref().map(|_| ()).map_err(|error| *error),
                        "{:?} {} follow={} in {:?}", resolution, path, follow, tree
                    );
                    let (Ok(found), Ok(expected)) = (found, expected) else { continue };
                    let kind = match tree.0[expected] {
                        Node::Directory { .. } => DescriptorType::Directory,
                        Node::File => DescriptorType::RegularFile,
                        Node::Link(_) => DescriptorType::SymbolicLink,
                    };
                    prop_assert_eq!(found.kind, kind);
                    // Open it and ask the host which object that is.
                    if kind == DescriptorType::SymbolicLink {
                        continue;
                    }
                    let dir = mini_wasm_wasi::Own::new(guest.dir.rep());
                    let opened = guest
                        .open_in(&dir, flags, path, crate::sandbox::NONE, crate::sandbox::READ)
                        .map_err(|error| TestCaseError::fail(format!("{path}: {error:?}")))?;
                    let by_open = descriptor::metadata_hash(&mut guest.wasi, opened.borrow()).unwrap().unwrap();
                    let by_path = descriptor::metadata_hash_at(
                        &mut guest.wasi, dir.borrow(), flags, path.clone()).unwrap().unwrap();
                    prop_assert_eq!(by_open, by_path);
                    let real = sandbox.inside("").join(path);
                    let real = std::os::unix::fs::MetadataExt::ino(&fs::metadata(real).unwrap());
                    prop_assert_eq!(identify(real), Some(expected), "{:?} {}", resolution, path);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_outside_is_read_or_changed_while_another_thread_changes_the_tree(
        plans in prop::collection::vec(plan(), 4..16),
        paths in prop::collection::vec(path(), 2..8),
    ) {
        race(&plans, &paths, |sandbox, resolution| sandbox.guest(resolution, false));
    }
}
