//! Preview 1 in random trees: a path names what the model says, and with a second thread that changes the tree nothing outside of it
//! is read or changed.

use mini_wasm_wasi::Resolution;
use mini_wasm_wasi::preview1::Errno;
use proptest::prelude::*;

use crate::guest::*;
use crate::sandbox::Sandbox;
use crate::tree::{Attacker, Node, Tree, path, plan, race};

impl Attacker for Guest {
    fn attack(&mut self, what: u8, path: &str, other: &str) -> Vec<u8> {
        let mut read = Vec::new();
        match what {
            0 => {
                if let Ok(fd) = self.open(path, 0, FD_READ) {
                    read = self.read_fd(fd, 100).unwrap_or_default();
                    self.close(fd);
                }
            }
            1 => {
                if let Ok(fd) = self.open(path, DIRECTORY, READDIR) {
                    let args = [fd.into(), DATA.into(), 4096, 0, OUT.into()];
                    if self.call("fd_readdir", &args) == Errno::Success {
                        let len = self.u32(OUT) as usize;
                        read = self.read(DATA, len);
                    }
                    self.close(fd);
                }
            }
            2 | 10 => {
                let oflags = if what == 2 { CREAT } else { CREAT | TRUNC };
                if let Ok(fd) = self.open(path, oflags, FD_WRITE) {
                    let _ = self.write_fd(fd, b"mine");
                    self.close(fd);
                }
            }
            3 => drop(self.at("path_create_directory", DIR, path)),
            4 => drop(self.at("path_remove_directory", DIR, path)),
            5 => drop(self.at("path_unlink_file", DIR, path)),
            6 => drop(self.rename(DIR, path, DIR, other)),
            7 => drop(self.link(DIR, true, path, DIR, other)),
            8 => drop(self.symlink(other, path)),
            9 => {
                let [at, len] = self.path(PATH, path);
                self.call("path_filestat_set_times", &[DIR.into(), 1, at, len, 0, 0, 2 | 8]);
            }
            _ => {
                let [at, len] = self.path(PATH, path);
                let args = [DIR.into(), at, len, DATA.into(), 100, OUT.into()];
                if self.call("path_readlink", &args) == Errno::Success {
                    let len = self.u32(OUT) as usize;
                    read = self.read(DATA, len);
                }
            }
        }
        read
    }
}

const FD_FILESTAT_GET: u64 = 1 << 21;
/// The numbers of `filetype`.
const DIRECTORY_TYPE: u8 = 3;
const FILE_TYPE: u8 = 4;
const LINK_TYPE: u8 = 7;

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_path_names_what_the_model_says(
        plans in prop::collection::vec(plan(), 1..16),
        paths in prop::collection::vec(path(), 1..24),
    ) {
        let tree = Tree::build(&plans);
        let sandbox = Sandbox::new();
        let inodes = tree.make(&sandbox);
        for resolution in [Resolution::Kernel, Resolution::Walk] {
            let mut guest = Guest::in_sandbox(&sandbox, resolution, false);
            for path in &paths {
                for follow in [true, false] {
                    let expected = tree.resolve(path, follow).map_err(Errno::from);
                    let found = guest.stat(follow, path).map(|(kind, _)| (kind, guest.u64(OUT + 8)));
                    let node = |at: usize| match tree.0[at] {
                        Node::Directory { .. } => (DIRECTORY_TYPE, inodes[at]),
                        Node::File => (FILE_TYPE, inodes[at]),
                        Node::Link(_) => (LINK_TYPE, inodes[at]),
                    };
                    prop_assert_eq!(
                        found, expected.map(node), "{:?} {} follow={} in {:?}", resolution, path, follow, tree
                    );
                    // Opened, it is the same object; a link that is not followed cannot be.
                    let opened = guest.open_with(DIR, follow, path, 0, FD_READ | FD_FILESTAT_GET, 0);
                    match expected.map(node) {
                        Ok((LINK_TYPE, _)) => prop_assert_eq!(opened, Err(Errno::Loop), "{}", path),
                        Ok((_, inode)) => {
                            let fd = opened.map_err(|error| TestCaseError::fail(format!("{path}: {error:?}")))?;
                            prop_assert_eq!(guest.call("fd_filestat_get", &[fd.into(), OUT.into()]), Errno::Success);
                            prop_assert_eq!(guest.u64(OUT + 8), inode, "{}", path);
                            guest.close(fd);
                        }
                        Err(error) => prop_assert_eq!(opened, Err(error), "{}", path),
                    }
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
        race(&plans, &paths, |sandbox, resolution| Guest::in_sandbox(sandbox, resolution, false));
    }
}
