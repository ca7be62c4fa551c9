//! Random trees and random paths: both resolutions find what a pure model of beneath-only resolution finds.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;

use mini_wasm_wasi::Resolution;
use mini_wasm_wasi::filesystem::descriptor;
use mini_wasm_wasi::filesystem::types::{DescriptorType, ErrorCode};
use proptest::prelude::*;

use crate::sandbox::{FOLLOW, NO_FOLLOW, Sandbox};

/// A directory tree. Node 0 is the granted directory.
#[derive(Debug, Clone)]
enum Node {
    Directory { parent: usize, entries: BTreeMap<String, usize> },
    File,
    Link(String),
}

#[derive(Debug, Clone)]
struct Tree(Vec<Node>);

/// What to put where: the parent is chosen among the directories there are by then.
#[derive(Debug, Clone)]
enum Plan {
    Directory(usize, String),
    File(usize, String),
    Link(usize, String, String),
}

fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c", "d"]).prop_map(str::to_owned)
}

/// A path of names that may be there, dots, doubled and trailing slashes; rarely absolute.
fn path() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec!["a", "b", "c", "d", "a", "b", "c", "d", ".", "..", "..", "zz"]);
    let slash = prop::sample::select(vec!["/", "/", "/", "//", "/./"]);
    (prop::collection::vec((part, slash), 1..7), 0..8_u8).prop_map(|(parts, shape)| {
        let mut path = if shape == 0 { "/".to_owned() } else { String::new() };
        let last = parts.len() - 1;
        for (at, (part, slash)) in parts.into_iter().enumerate() {
            path.push_str(part);
            if at < last || shape % 3 == 1 {
                path.push_str(slash);
            }
        }
        path
    })
}

fn plan() -> impl Strategy<Value = Plan> {
    prop_oneof![
        3 => (any::<usize>(), name()).prop_map(|(at, name)| Plan::Directory(at, name)),
        2 => (any::<usize>(), name()).prop_map(|(at, name)| Plan::File(at, name)),
        4 => (any::<usize>(), name(), path()).prop_map(|(at, name, target)| Plan::Link(at, name, target)),
    ]
}

impl Tree {
    fn build(plans: &[Plan]) -> Self {
        let mut nodes = vec![Node::Directory { parent: 0, entries: BTreeMap::new() }];
        let mut directories = vec![0];
        for plan in plans {
            let (at, name) = match plan {
                Plan::Directory(at, name) | Plan::File(at, name) | Plan::Link(at, name, _) => (at, name),
            };
            let parent = directories[at % directories.len()];
            let new = nodes.len();
            let Node::Directory { entries, .. } = &mut nodes[parent] else { unreachable!() };
            if entries.contains_key(name) {
                continue;
            }
            entries.insert(name.clone(), new);
            nodes.push(match plan {
                Plan::Directory(..) => {
                    directories.push(new);
                    Node::Directory { parent, entries: BTreeMap::new() }
                }
                Plan::File(..) => Node::File,
                Plan::Link(_, _, target) => Node::Link(target.clone()),
            });
        }
        Self(nodes)
    }

    /// Makes the tree on disk; the inode number of each node.
    fn make(&self, sandbox: &Sandbox) -> Vec<u64> {
        use std::os::unix::fs::MetadataExt;
        let mut places = vec![sandbox.inside(""); self.0.len()];
        for (at, node) in self.0.iter().enumerate() {
            match node {
                Node::Directory { .. } if at == 0 => {}
                Node::Directory { .. } => fs::create_dir(&places[at]).unwrap(),
                Node::File => fs::write(&places[at], "").unwrap(),
                Node::Link(target) => symlink(target, &places[at]).unwrap(),
            }
            if let Node::Directory { entries, .. } = node {
                for (name, &entry) in entries {
                    places[entry] = places[at].join(name);
                }
            }
        }
        places.iter().map(|place| fs::symlink_metadata(place).unwrap().ino()).collect()
    }

    /// The model: what a path names beneath node 0. Recursive over the path, one component at a time.
    fn resolve(&self, path: &str, follow: bool) -> Result<usize, ErrorCode> {
        let mut links = 0;
        self.step(0, path, follow, &mut links)
    }

    fn step(&self, from: usize, path: &str, follow: bool, links: &mut u32) -> Result<usize, ErrorCode> {
        if path.starts_with('/') {
            return Err(ErrorCode::NotPermitted);
        }
        let Some((name, rest)) = split(path) else {
            return match self.0[from] {
                Node::Directory { .. } => Ok(from),
                _ => Err(ErrorCode::NotDirectory),
            };
        };
        let Node::Directory { parent, entries } = &self.0[from] else { return Err(ErrorCode::NotDirectory) };
        let next = match name {
            "." => from,
            ".." if from == 0 => return Err(ErrorCode::NotPermitted),
            ".." => *parent,
            name => *entries.get(name).ok_or(ErrorCode::NoEntry)?,
        };
        match (&self.0[next], rest) {
            (Node::Link(target), rest) if rest.is_some() || follow => {
                *links += 1;
                if *links > 40 {
                    return Err(ErrorCode::Loop);
                }
                // The target's own last component is followed: it stands where a directory or the object is wanted.
                let reached = self.step(from, target, true, links)?;
                match rest {
                    Some(rest) => self.step_into(reached, rest, follow, links),
                    None => Ok(reached),
                }
            }
            (_, Some(rest)) => self.step_into(next, rest, follow, links),
            (_, None) => Ok(next),
        }
    }

    fn step_into(&self, at: usize, rest: &str, follow: bool, links: &mut u32) -> Result<usize, ErrorCode> {
        match self.0[at] {
            Node::Directory { .. } => self.step(at, rest.trim_start_matches('/'), follow, links),
            _ => Err(ErrorCode::NotDirectory),
        }
    }
}

/// The first component, and what follows its slashes: `None` if no slash followed, `Some("")` if only slashes did.
fn split(path: &str) -> Option<(&str, Option<&str>)> {
    match path.split_once('/') {
        _ if path.is_empty() => None,
        None => Some((path, None)),
        Some((name, rest)) => Some((name, Some(rest.trim_start_matches('/')))),
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
