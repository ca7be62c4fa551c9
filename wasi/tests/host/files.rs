//! Descriptors: data, times, directories, what they say about themselves.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use mini_wasm_wasi::clocks::wall_clock::Datetime;
use mini_wasm_wasi::filesystem::descriptor;
use mini_wasm_wasi::filesystem::types::{
    Advice, DescriptorFlags, DescriptorType, ErrorCode, NewTimestamp, directory_entry_stream,
};
use mini_wasm_wasi::{Own, Resolution, Wasi};

use crate::sandbox::{
    CREATE, DIRECTORY, FOLLOW, Guest, NO_FOLLOW, NONE, READ, Sandbox, TRUNCATE, WRITE, both, trap,
};

fn guest(sandbox: &Sandbox) -> Guest {
    sandbox.guest(Resolution::Kernel, false)
}

#[test]
fn what_is_written_is_read_back() {
    both(|sandbox, resolution| {
        let mut guest = sandbox.guest(resolution, false);
        let text: Vec<u8> = (0..200_000_u32).map(|n| n as u8).collect();
        guest.write("file", &text).unwrap();
        assert_eq!(guest.read("file").unwrap(), text);
        assert_eq!(guest.stat(FOLLOW, "file").unwrap().size, text.len() as u64);
        guest.write("file", b"short").unwrap();
        assert_eq!(guest.read("file").unwrap(), b"short");
    });
}

#[test]
fn reads_and_writes_at_offsets_are_short_at_the_end_and_never_larger_than_a_chunk() {
    let sandbox = Sandbox::new();
    let mut guest = guest(&sandbox);
    guest.write("file", &[7; 100_000]).unwrap();
    let file = guest.open("file", NONE, READ | WRITE).unwrap();
    let wasi = &mut guest.wasi;
    let read =
        |wasi: &mut Wasi, length, offset| descriptor::read(wasi, file.borrow(), length, offset).unwrap();
    let (bytes, end) = read(wasi, u64::MAX, 0).unwrap();
    assert_eq!((bytes.len(), end), (65_536, false));
    let (bytes, end) = read(wasi, u64::MAX, 90_000).unwrap();
    assert_eq!((bytes.len(), end), (10_000, false));
    assert_eq!(read(wasi, 10, 100_000).unwrap(), (vec![], true));
    assert_eq!(read(wasi, 0, 100_000).unwrap(), (vec![], false));
    assert_eq!(read(wasi, 10, u64::MAX), Err(ErrorCode::Invalid));
    assert_eq!(
        descriptor::write(wasi, file.borrow(), vec![1], u64::MAX).unwrap(),
        Err(ErrorCode::FileTooLarge)
    );
    assert_eq!(descriptor::write(wasi, file.borrow(), vec![1, 2], 100_000).unwrap(), Ok(2));
    assert_eq!(read(wasi, 10, 99_999).unwrap(), (vec![7, 1, 2], false));
    assert_eq!(descriptor::set_size(wasi, file.borrow(), 3).unwrap(), Ok(()));
    assert_eq!(read(wasi, 10, 0).unwrap(), (vec![7, 7, 7], false));
    assert_eq!(descriptor::set_size(wasi, file.borrow(), u64::MAX).unwrap(), Err(ErrorCode::FileTooLarge));
    assert_eq!(descriptor::sync(wasi, file.borrow()).unwrap(), Ok(()));
    assert_eq!(descriptor::sync_data(wasi, file.borrow()).unwrap(), Ok(()));
}

#[test]
fn a_descriptor_does_only_what_it_was_opened_for() {
    let sandbox = Sandbox::new();
    let mut guest = guest(&sandbox);
    guest.write("file", b"text").unwrap();
    let reader = guest.open("file", NONE, READ).unwrap();
    let writer = guest.open("file", NONE, WRITE).unwrap();
    let neither = guest.open("file", NONE, DescriptorFlags::empty()).unwrap();
    let dir = Own::new(guest.dir.rep());
    let wasi = &mut guest.wasi;
    let bad = ErrorCode::BadDescriptor;
    assert_eq!(descriptor::write(wasi, reader.borrow(), vec![1], 0).unwrap(), Err(bad));
    assert_eq!(descriptor::set_size(wasi, reader.borrow(), 0).unwrap(), Err(bad));
    assert_eq!(descriptor::write_via_stream(wasi, reader.borrow(), 0).unwrap(), Err(bad));
    assert_eq!(descriptor::read(wasi, writer.borrow(), 1, 0).unwrap(), Err(bad));
    assert_eq!(descriptor::read_via_stream(wasi, writer.borrow(), 0).unwrap(), Err(bad));
    assert_eq!(descriptor::read(wasi, neither.borrow(), 1, 0).unwrap(), Err(bad));
    let directory = ErrorCode::IsDirectory;
    assert_eq!(descriptor::read(wasi, dir.borrow(), 1, 0).unwrap(), Err(directory));
    assert_eq!(descriptor::write(wasi, dir.borrow(), vec![1], 0).unwrap(), Err(directory));
    assert_eq!(descriptor::read_via_stream(wasi, dir.borrow(), 0).unwrap(), Err(directory));
    assert_eq!(descriptor::append_via_stream(wasi, dir.borrow()).unwrap(), Err(directory));
    assert_eq!(descriptor::set_size(wasi, dir.borrow(), 0).unwrap(), Err(directory));
    assert_eq!(descriptor::advise(wasi, dir.borrow(), 0, 0, Advice::Normal).unwrap(), Err(directory));
    let flags =
        |wasi: &mut Wasi, handle: &Own<_>| descriptor::get_flags(wasi, handle.borrow()).unwrap().unwrap();
    assert_eq!(flags(wasi, &reader), READ);
    assert_eq!(flags(wasi, &writer), WRITE);
    assert_eq!(flags(wasi, &dir), READ | DescriptorFlags::MUTATE_DIRECTORY);
}

#[test]
fn every_kind_of_object_is_told() {
    both(|sandbox, resolution| {
        let mut guest = sandbox.guest(resolution, false);
        guest.write("file", b"text").unwrap();
        guest.mkdir("dir").unwrap();
        guest.symlink("file", "link").unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, sandbox.inside("fifo"), rustix::fs::Mode::RUSR).unwrap();
        assert!(fs::metadata(sandbox.inside("fifo")).unwrap().file_type().is_fifo());
        let rows = [
            ("file", DescriptorType::RegularFile),
            ("dir", DescriptorType::Directory),
            ("link", DescriptorType::SymbolicLink),
            ("fifo", DescriptorType::Fifo),
        ];
        for (name, kind) in rows {
            assert_eq!(guest.stat(NO_FOLLOW, name).unwrap().kind, kind);
        }
        let stat = guest.stat(NO_FOLLOW, "link").unwrap();
        assert_eq!(stat.size, 4);
        let dir = guest.open(".", DIRECTORY, READ).unwrap();
        let entries = descriptor::read_directory(&mut guest.wasi, dir.borrow()).unwrap().unwrap();
        let mut seen = Vec::new();
        while let Some(entry) =
            directory_entry_stream::read_directory_entry(&mut guest.wasi, entries.borrow()).unwrap().unwrap()
        {
            seen.push((entry.name, entry.kind));
        }
        seen.sort_by(|(one, _), (other, _)| one.cmp(other));
        let mut expected: Vec<_> = rows.map(|(name, kind)| (name.to_owned(), kind)).to_vec();
        expected.sort_by(|(one, _), (other, _)| one.cmp(other));
        assert_eq!(seen, expected, "entries but . and ..");
    });
}

#[test]
fn a_large_directory_is_read_entry_by_entry_and_two_streams_do_not_disturb_each_other() {
    let sandbox = Sandbox::new();
    for n in 0..3000 {
        fs::write(sandbox.inside(&format!("file-{n:04}")), "").unwrap();
    }
    let mut guest = guest(&sandbox);
    let wasi = &mut guest.wasi;
    let one = descriptor::read_directory(wasi, guest.dir.borrow()).unwrap().unwrap();
    let other = descriptor::read_directory(wasi, guest.dir.borrow()).unwrap().unwrap();
    let mut next = |stream: &Own<_>| {
        directory_entry_stream::read_directory_entry(wasi, stream.borrow())
            .unwrap()
            .unwrap()
            .map(|entry| entry.name)
    };
    let mut names = Vec::new();
    assert!(next(&other).is_some());
    while let Some(name) = next(&one) {
        names.push(name);
    }
    assert_eq!(next(&one), None, "the end stays the end");
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 3000);
    assert_eq!(std::iter::from_fn(|| next(&other)).count(), 2999);
}

#[test]
fn a_name_that_is_not_unicode_is_an_error_and_not_a_lie() {
    use std::os::unix::ffi::OsStrExt;
    let sandbox = Sandbox::new();
    fs::write(sandbox.inside("").join(std::ffi::OsStr::from_bytes(b"\xff\xfe")), "").unwrap();
    std::os::unix::fs::symlink(std::ffi::OsStr::from_bytes(b"\xff"), sandbox.inside("link")).unwrap();
    let mut guest = guest(&sandbox);
    assert_eq!(guest.list("."), Err(ErrorCode::IllegalByteSequence));
    assert_eq!(guest.readlink("link"), Err(ErrorCode::IllegalByteSequence));
}

// GHSA-j2g9-4prp-pf6h, GHSA-mr2v-56j5-cmfc.
#[test]
fn times_that_no_system_has_are_refused_and_times_before_1970_are_not_told() {
    both(|sandbox, resolution| {
        let mut guest = sandbox.guest(resolution, false);
        guest.write("file", b"").unwrap();
        let file = guest.open("file", NONE, WRITE).unwrap();
        let at = |seconds, nanoseconds| NewTimestamp::Timestamp(Datetime { seconds, nanoseconds });
        let keep = NewTimestamp::NoChange;
        let set = |wasi: &mut Wasi, time| {
            let by_handle = descriptor::set_times(wasi, file.borrow(), time, keep).unwrap();
            assert_eq!(descriptor::set_times(wasi, file.borrow(), keep, time).unwrap(), by_handle);
            let dir = guest.dir.borrow();
            let by_path = descriptor::set_times_at(wasi, dir, FOLLOW, "file".into(), time, time).unwrap();
            assert_eq!(by_handle, by_path);
            by_handle
        };
        let wasi = &mut guest.wasi;
        for time in [
            at(0, 1_000_000_000),
            at(0, u32::MAX),
            // Numbers that mean "now" and "keep" to the system.
            at(0, 0x3fff_ffff),
            at(0, 0x3fff_fffe),
            at(u64::MAX, 0),
            at(i64::MAX as u64 + 1, 0),
            at(u64::MAX, u32::MAX),
        ] {
            assert_eq!(set(wasi, time), Err(ErrorCode::Invalid), "{time:?}");
        }
        // The largest the system can be asked for must not panic, whatever it makes of it.
        let _ = set(wasi, at(i64::MAX as u64, 999_999_999));
        assert_eq!(set(wasi, at(0, 0)), Ok(()));
        assert_eq!(set(wasi, at(1_000_000_000, 5)), Ok(()));
        let stat = guest.stat(FOLLOW, "file").unwrap();
        let time = Some(Datetime { seconds: 1_000_000_000, nanoseconds: 5 });
        assert_eq!((stat.data_access_timestamp, stat.data_modification_timestamp), (time, time));
        let before = std::time::SystemTime::UNIX_EPOCH - std::time::Duration::from_secs(1000);
        fs::File::options().write(true).open(sandbox.inside("file")).unwrap().set_modified(before).unwrap();
        let stat = guest.stat(FOLLOW, "file").unwrap();
        assert_eq!(stat.data_modification_timestamp, None);
        assert!(stat.status_change_timestamp.is_some());
    });
}

#[test]
fn times_are_set_on_the_link_or_on_its_target_as_asked() {
    both(|sandbox, resolution| {
        let mut guest = sandbox.guest(resolution, false);
        guest.write("file", b"").unwrap();
        guest.symlink("file", "link").unwrap();
        guest.symlink("../outside/canary", "out").unwrap();
        let at = |seconds| NewTimestamp::Timestamp(Datetime { seconds, nanoseconds: 0 });
        let keep = NewTimestamp::NoChange;
        let set = |guest: &mut Guest, flags, path: &str, time| {
            let dir = guest.dir.borrow();
            descriptor::set_times_at(&mut guest.wasi, dir, flags, path.into(), keep, time).unwrap()
        };
        assert_eq!(set(&mut guest, FOLLOW, "link", at(100)), Ok(()));
        assert_eq!(set(&mut guest, NO_FOLLOW, "link", at(200)), Ok(()));
        assert_eq!(set(&mut guest, NO_FOLLOW, "out", at(300)), Ok(()));
        assert_eq!(set(&mut guest, FOLLOW, "out", at(300)), Err(ErrorCode::NotPermitted));
        assert_eq!(set(&mut guest, NO_FOLLOW, ".", at(400)), Ok(()));
        assert_eq!(fs::symlink_metadata(sandbox.inside("file")).unwrap().mtime(), 100);
        assert_eq!(fs::symlink_metadata(sandbox.inside("link")).unwrap().mtime(), 200);
        assert_eq!(fs::symlink_metadata(sandbox.inside("out")).unwrap().mtime(), 300);
        assert_eq!(fs::symlink_metadata(sandbox.inside("")).unwrap().mtime(), 400);
        assert_ne!(fs::metadata(sandbox.outside("canary")).unwrap().mtime(), 300);
    });
}

#[test]
fn an_object_is_the_same_under_each_of_its_names_and_its_hash_survives_writing() {
    both(|sandbox, resolution| {
        let mut guest = sandbox.guest(resolution, false);
        guest.write("one", b"text").unwrap();
        guest.write("two", b"text").unwrap();
        guest.link(NO_FOLLOW, "one", "same").unwrap();
        let [one, two, same] = ["one", "two", "same"].map(|name| guest.open(name, NONE, READ).unwrap());
        let is_same = |wasi: &mut Wasi, a: &Own<_>, b: &Own<_>| {
            descriptor::is_same_object(wasi, a.borrow(), b.borrow()).unwrap()
        };
        assert!(is_same(&mut guest.wasi, &one, &same));
        assert!(!is_same(&mut guest.wasi, &one, &two));
        let hash = |guest: &mut Guest, name: &str| {
            let dir = guest.dir.borrow();
            descriptor::metadata_hash_at(&mut guest.wasi, dir, FOLLOW, name.into()).unwrap().unwrap()
        };
        let before = hash(&mut guest, "one");
        assert_eq!(before, hash(&mut guest, "same"));
        assert_ne!(before, hash(&mut guest, "two"));
        assert_eq!(before, descriptor::metadata_hash(&mut guest.wasi, one.borrow()).unwrap().unwrap());
        guest.write("one", b"longer text").unwrap();
        assert_eq!(before, hash(&mut guest, "one"), "libraries use it as the inode number");
        assert_eq!(guest.stat(FOLLOW, "one").unwrap().link_count, 2);
    });
}

#[test]
fn advice_is_taken_and_impossible_ranges_are_refused() {
    let sandbox = Sandbox::new();
    let mut guest = guest(&sandbox);
    guest.write("file", b"text").unwrap();
    let file = guest.open("file", NONE, READ).unwrap();
    let all = [
        Advice::Normal,
        Advice::Sequential,
        Advice::Random,
        Advice::WillNeed,
        Advice::DontNeed,
        Advice::NoReuse,
    ];
    for advice in all {
        assert_eq!(descriptor::advise(&mut guest.wasi, file.borrow(), 0, 0, advice).unwrap(), Ok(()));
        let huge = descriptor::advise(&mut guest.wasi, file.borrow(), u64::MAX, u64::MAX, advice).unwrap();
        assert_eq!(huge, Err(ErrorCode::Invalid));
    }
}

// Class F and GHSA-852m-cvvp-9p4w: handles are counted, and come back when they are dropped.
#[test]
fn a_guest_that_never_closes_runs_into_its_limit_and_not_into_the_hosts() {
    let sandbox = Sandbox::new();
    let mut builder = Wasi::builder();
    builder.max_resources(100).preopen(sandbox.inside(""), "/", false).unwrap();
    let mut guest = Guest::of(builder.build());
    guest.write("file", b"").unwrap();
    let count = |_: ()| fs::read_dir("/proc/self/fd").unwrap().count();
    let opened: Vec<_> =
        (guest.wasi.resources()..100).map(|_| guest.open("file", NONE, READ).unwrap()).collect();
    let message = trap(descriptor::open_at(
        &mut guest.wasi,
        guest.dir.borrow(),
        FOLLOW,
        "made".into(),
        CREATE | TRUNCATE,
        WRITE,
    ));
    assert!(message.contains("100 resources"), "{message}");
    assert!(!sandbox.inside("made").exists(), "the limit comes before the effect");
    let before = count(());
    drop(opened);
    drop(guest);
    // Other tests open and close files meanwhile, so this is a rough figure.
    assert!(count(()) < before.saturating_sub(40), "the host's handles were not given back");
}

// Class F: CVE-2026-54786 leaked a handle each time.
#[test]
fn opening_and_dropping_a_hundred_thousand_times_leaves_no_handle() {
    let sandbox = Sandbox::new();
    let mut guest = guest(&sandbox);
    guest.write("file", b"").unwrap();
    let before = guest.wasi.resources();
    // More than a process may have open at once.
    for _ in 0..100_000 {
        let file = guest.open("file", NONE, READ).unwrap();
        guest.wasi.resource_drop(file).unwrap();
    }
    let dir = guest.dir.borrow();
    for _ in 0..2000 {
        let entries = descriptor::read_directory(&mut guest.wasi, dir).unwrap().unwrap();
        guest.wasi.resource_drop(entries).unwrap();
    }
    assert_eq!(guest.wasi.resources(), before);
}
