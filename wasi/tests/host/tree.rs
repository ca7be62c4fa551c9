//! Random trees with links, random paths in them, what a pure model says that a path names, and a thread that changes the tree while
//! a guest works in it. For both WASIs: a guest of either is an [`Attacker`].

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mini_wasm_wasi::Resolution;
use mini_wasm_wasi::filesystem::types::ErrorCode;
use proptest::prelude::*;
use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::sandbox::Sandbox;

/// A directory tree. Node 0 is the granted directory.
#[derive(Debug, Clone)]
pub(crate) enum Node {
    Directory { parent: usize, entries: BTreeMap<String, usize> },
    File,
    Link(String),
}

#[derive(Debug, Clone)]
pub(crate) struct Tree(pub(crate) Vec<Node>);

/// What to put where: the parent is chosen among the directories there are by then.
#[derive(Debug, Clone)]
pub(crate) enum Plan {
    Directory(usize, String),
    File(usize, String),
    Link(usize, String, String),
}

fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c", "d"]).prop_map(str::to_owned)
}

/// A path of names that may be there, dots, doubled and trailing slashes; rarely absolute.
pub(crate) fn path() -> impl Strategy<Value = String> {
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

pub(crate) fn plan() -> impl Strategy<Value = Plan> {
    prop_oneof![
        3 => (any::<usize>(), name()).prop_map(|(at, name)| Plan::Directory(at, name)),
        2 => (any::<usize>(), name()).prop_map(|(at, name)| Plan::File(at, name)),
        4 => (any::<usize>(), name(), path()).prop_map(|(at, name, target)| Plan::Link(at, name, target)),
    ]
}

impl Tree {
    pub(crate) fn build(plans: &[Plan]) -> Self {
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

    /// Where each node lies.
    fn places(&self, sandbox: &Sandbox) -> Vec<PathBuf> {
        let mut places = vec![sandbox.inside(""); self.0.len()];
        for (at, node) in self.0.iter().enumerate() {
            if let Node::Directory { entries, .. } = node {
                for (name, &entry) in entries {
                    places[entry] = places[at].join(name);
                }
            }
        }
        places
    }

    /// Makes the tree on disk; the inode number of each node.
    pub(crate) fn make(&self, sandbox: &Sandbox) -> Vec<u64> {
        let places = self.places(sandbox);
        // A parent stands before what is in it.
        for (at, node) in self.0.iter().enumerate() {
            match node {
                Node::Directory { .. } if at == 0 => {}
                Node::Directory { .. } => fs::create_dir(&places[at]).unwrap(),
                Node::File => fs::write(&places[at], "").unwrap(),
                Node::Link(target) => symlink(target, &places[at]).unwrap(),
            }
        }
        places.iter().map(|place| fs::symlink_metadata(place).unwrap().ino()).collect()
    }

    /// The model: what a path names beneath node 0. Recursive over the path, one component at a time.
    pub(crate) fn resolve(&self, path: &str, follow: bool) -> Result<usize, ErrorCode> {
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

/// A guest that does what it can with paths.
pub(crate) trait Attacker {
    /// Does something with a path, or two; all that it has read: contents, names, targets of links.
    fn attack(&mut self, what: u8, path: &str, other: &str) -> Vec<u8>;
}

/// How many things an [`Attacker`] can do.
pub(crate) const ATTACKS: u8 = 12;

/// What is outside, as it must stay: inode numbers, numbers of links, times, bytes.
fn outside(sandbox: &Sandbox) -> Vec<(u64, u64, i64, i64, i64, i64, u32)> {
    let facts = |name: &str| {
        let found = fs::symlink_metadata(sandbox.outside(name)).unwrap();
        let times = (found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec());
        (found.ino(), found.nlink(), times.0, times.1, times.2, times.3, found.mode())
    };
    sandbox.check_canary();
    ["", "canary", "dir"].map(facts).to_vec()
}

/// Ends the other thread, also when an assertion fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Lets `guest` work in the tree while another thread exchanges its directories with links that lead outside. Nothing outside is
/// read or changed.
fn raced(tree: &Tree, sandbox: &Sandbox, paths: &[String], guest: &mut dyn Attacker) {
    let before = outside(sandbox);
    // Beside each directory but the granted one, a link that leads out of wherever it comes to be.
    let mut pairs = Vec::new();
    for (at, place) in tree.places(sandbox).into_iter().enumerate().skip(1) {
        if let Node::Directory { .. } = tree.0[at] {
            let link = place.with_extension(format!("out{at}"));
            symlink(sandbox.outside(""), &link).unwrap();
            pairs.push((place, link));
        }
    }
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                for (directory, link) in &pairs {
                    // The guest may have moved either of them.
                    let _ = renameat_with(CWD, directory, CWD, link, RenameFlags::EXCHANGE);
                }
                std::thread::yield_now();
            }
        });
        let _stop = Stop(&stop);
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_millis(60) {
            for (at, path) in paths.iter().enumerate() {
                // What is outside has a name; beneath a directory that has become a link it would be found.
                let reaching = format!("{path}/canary");
                let other = &paths[(at * 7 + 1) % paths.len()];
                for what in 0..ATTACKS {
                    for path in [path, &reaching] {
                        let read = guest.attack(what, path, other);
                        let read = String::from_utf8_lossy(&read);
                        // A file and a folder that are there only.
                        let outside = read.contains("alive") || read.contains("dir");
                        assert!(!outside, "{what} of {path} read outside: {read}");
                    }
                }
            }
        }
    });
    assert_eq!(outside(sandbox), before, "something outside has changed");
}

/// A tree of these plans is changed while a guest works in it, whichever way paths are resolved.
pub(crate) fn race<G: Attacker>(plans: &[Plan], paths: &[String], guest: impl Fn(&Sandbox, Resolution) -> G) {
    let tree = Tree::build(plans);
    for resolution in [Resolution::Kernel, Resolution::Walk] {
        let sandbox = Sandbox::new();
        tree.make(&sandbox);
        raced(&tree, &sandbox, paths, &mut guest(&sandbox, resolution));
    }
}
