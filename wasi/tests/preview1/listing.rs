//! `fd_readdir` while names vanish and appear: nobody skips what was there all the time.

use std::collections::BTreeSet;
use std::fs;

use mini_wasm_wasi::preview1::Errno;

use crate::guest::*;
use crate::sandbox::both;

/// One who lists a directory as C libraries do: a buffer of fixed size, records cut off at its end are asked for again.
struct Reader {
    fd: u32,
    size: u32,
    cookie: u64,
    /// Records that were read whole and not taken yet: names, and the cookies behind them.
    held: std::collections::VecDeque<(String, u64)>,
    ended: bool,
}

impl Reader {
    fn new(fd: u32, size: u32) -> Self {
        Self { fd, size, cookie: 0, held: Default::default(), ended: false }
    }

    /// The next name but `.` and `..`.
    fn next(&mut self, guest: &mut Guest) -> Option<String> {
        loop {
            if let Some((name, cookie)) = self.held.pop_front() {
                self.cookie = cookie;
                if name != "." && name != ".." {
                    return Some(name);
                }
                continue;
            }
            if self.ended {
                return None;
            }
            let args = [self.fd.into(), DATA.into(), self.size.into(), self.cookie, OUT.into()];
            assert_eq!(guest.call("fd_readdir", &args), Errno::Success);
            let used = guest.u32(OUT);
            self.ended = used < self.size;
            let bytes = guest.read(DATA, used as usize);
            let mut rest = &bytes[..];
            while rest.len() >= 24 {
                let next = u64::from_le_bytes(rest[0..8].try_into().unwrap());
                let length = u32::from_le_bytes(rest[16..20].try_into().unwrap()) as usize;
                let Some(name) = rest.get(24..24 + length) else { break };
                self.held.push_back((String::from_utf8(name.to_vec()).unwrap(), next));
                rest = &rest[24 + length..];
            }
            assert!(self.ended || !self.held.is_empty(), "the buffer holds a record");
        }
    }
}

/// Names of one length, which is theirs whatever their number.
fn names(count: usize, length: usize) -> BTreeSet<String> {
    (0..count).map(|n| format!("{n:0length$}")).collect()
}

fn long() -> bool {
    std::env::var_os("MINI_WASM_LONG").is_some()
}

#[test]
fn no_name_is_skipped_while_each_is_removed_as_it_is_listed() {
    // A record is 24 bytes and the name, `.` and `..` take 51: of these lengths some fill a buffer of 4096 exactly, with the
    // last record whole.
    let exact = (3..=255).filter(|length| (4096 - 51) % (24 + length) == 0);
    for length in [3, 40, 102, 104, 231, 232, 255].into_iter().chain(exact) {
        both(|sandbox, resolution| {
            // A few buffers of them.
            let names = names(3 * 4096 / (24 + length), length);
            fs::create_dir(sandbox.inside("many")).unwrap();
            for name in &names {
                fs::write(sandbox.inside("many").join(name), "").unwrap();
            }
            let mut guest = Guest::in_sandbox(sandbox, resolution, false);
            let dir = guest.open("many", DIRECTORY, READDIR).unwrap();
            let mut reader = Reader::new(dir, 4096);
            let mut seen = BTreeSet::new();
            while let Some(name) = reader.next(&mut guest) {
                assert_eq!(guest.at("path_unlink_file", dir, &name), Errno::Success);
                assert!(seen.insert(name), "a name is listed once");
            }
            assert_eq!(seen, names, "{length}");
            assert_eq!(guest.at("path_remove_directory", DIR, "many"), Errno::Success);
        });
    }
}

#[test]
fn removing_from_behind_the_last_that_was_taken_skips_nothing() {
    // The library has read ahead: what it holds is removed, and what it asks for begins behind that.
    both(|sandbox, resolution| {
        for size in [24 + 255, 512, 4096] {
            let names = names(100, 20);
            let many = sandbox.inside(&format!("many-{size}"));
            fs::create_dir(&many).unwrap();
            for name in &names {
                fs::write(many.join(name), "").unwrap();
            }
            let mut guest = Guest::in_sandbox(sandbox, resolution, false);
            let dir = guest.open(&format!("many-{size}"), DIRECTORY, READDIR).unwrap();
            let mut reader = Reader::new(dir, size);
            let mut seen = BTreeSet::new();
            while let Some(name) = reader.next(&mut guest) {
                for (held, _) in &reader.held {
                    let _ = fs::remove_file(many.join(held));
                }
                let _ = fs::remove_file(many.join(&name));
                seen.insert(name);
            }
            assert_eq!(seen, names, "{size}");
        }
    });
}

#[test]
fn readers_with_cookies_of_their_own_list_all_that_stays_while_other_names_come_and_go() {
    let count = if long() { 100_000 } else { 600 };
    both(|sandbox, resolution| {
        let staying: BTreeSet<String> = (0..count / 2).map(|n| format!("stays-{n}")).collect();
        let many = sandbox.inside("many");
        fs::create_dir(&many).unwrap();
        for name in &staying {
            fs::write(many.join(name), "").unwrap();
        }
        for n in 0..count / 2 {
            fs::write(many.join(format!("goes-{n}")), "").unwrap();
        }
        let mut guest = Guest::in_sandbox(sandbox, resolution, false);
        let dir = guest.open("many", DIRECTORY, READDIR).unwrap();
        // Of one descriptor. Each begins when the one before is further on, so that there are beginnings in between.
        let mut readers: Vec<(Reader, BTreeSet<String>)> = Vec::new();
        let (mut changed, mut ended) = (0, 0);
        let mut step = 0;
        while ended < 4 {
            if readers.len() < 4 && step % (count / 20) == 0 {
                readers.push((Reader::new(dir, 400 * (readers.len() as u32 + 1)), BTreeSet::new()));
            }
            ended = 0;
            for (reader, seen) in &mut readers {
                match reader.next(&mut guest) {
                    Some(name) if name.starts_with("stays-") => assert!(seen.insert(name), "listed twice"),
                    Some(_) => {}
                    None => ended += 1,
                }
            }
            if changed < count / 2 {
                fs::remove_file(many.join(format!("goes-{changed}"))).unwrap();
                fs::write(many.join(format!("comes-{changed}")), "").unwrap();
                changed += 1;
            }
            step += 1;
        }
        for (at, (_, seen)) in readers.iter().enumerate() {
            assert_eq!(seen.len(), staying.len(), "reader {at}");
            assert!(*seen == staying, "reader {at}");
        }
    });
}

#[test]
fn an_unchanged_directory_has_the_same_cookies_whenever_it_is_listed_and_each_leads_to_its_entry() {
    both(|sandbox, resolution| {
        fs::create_dir(sandbox.inside("some")).unwrap();
        for name in names(700, 30) {
            fs::write(sandbox.inside("some").join(name), "").unwrap();
        }
        let mut guest = Guest::in_sandbox(sandbox, resolution, false);
        let dir = guest.open("some", DIRECTORY, READDIR).unwrap();
        let list = |guest: &mut Guest| {
            let mut reader = Reader::new(dir, 1000);
            let mut all = Vec::new();
            while let Some(name) = reader.next(guest) {
                all.push((name, reader.cookie));
            }
            all
        };
        let all = list(&mut guest);
        assert_eq!(list(&mut guest), all);
        let cookies: Vec<u64> = all.iter().map(|(_, cookie)| *cookie).collect();
        assert_eq!(cookies, (3..703).collect::<Vec<u64>>());
        // In an order of their own: each cookie gives the name behind it.
        for step in [7, 331, 699] {
            for at in (0..699).map(|n| n * step % 699) {
                let mut reader = Reader::new(dir, 300);
                reader.cookie = all[at].1;
                assert_eq!(reader.next(&mut guest).as_ref(), Some(&all[at + 1].0), "behind {}", all[at].1);
            }
        }
        // Cookies that were never given count on, past the end they lead nowhere.
        let other = guest.open("some", DIRECTORY, READDIR).unwrap();
        let mut reader = Reader::new(other, 300);
        reader.cookie = 500;
        assert_eq!(reader.next(&mut guest).as_ref(), Some(&all[498].0));
        for cookie in [702, 703, 10_000, u64::MAX - 1, u64::MAX] {
            let args = [other.into(), DATA.into(), 300, cookie, OUT.into()];
            assert_eq!(guest.call("fd_readdir", &args), Errno::Success);
            assert_eq!(guest.u32(OUT), 0, "{cookie}");
        }
        fs::write(sandbox.inside("some/new"), "").unwrap();
        let args = [other.into(), DATA.into(), 300, u64::MAX, OUT.into()];
        assert_eq!(guest.call("fd_readdir", &args), Errno::Success);
    });
}
