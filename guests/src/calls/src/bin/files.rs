//! `wasi:filesystem` and the streams of files, in the directory that is granted as `/`, which is empty.

use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::{
    filesystem_error_code, Advice, Descriptor, DescriptorFlags, DescriptorType, ErrorCode, MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use wasip2::clocks::wall_clock::Datetime;
use wasip2::io::streams::StreamError;

const FOLLOW: PathFlags = PathFlags::SYMLINK_FOLLOW;
const NO_FOLLOW: PathFlags = PathFlags::empty();

fn main() {
    let mut granted = get_directories();
    assert_eq!(granted.len(), 1);
    let (root, name) = granted.remove(0);
    assert_eq!(name, "/");
    assert_eq!(root.get_type(), Ok(DescriptorType::Directory));
    assert_eq!(root.get_flags(), Ok(DescriptorFlags::READ | DescriptorFlags::MUTATE_DIRECTORY));
    data(&root);
    times(&root);
    names(&root);
    streams(&root);
    root.unlink_file_at("data").unwrap();
}

fn make(root: &Descriptor, path: &str) -> Descriptor {
    root.open_at(FOLLOW, path, OpenFlags::CREATE, DescriptorFlags::READ | DescriptorFlags::WRITE).unwrap()
}

fn data(root: &Descriptor) {
    let file = make(root, "data");
    assert_eq!(file.get_type(), Ok(DescriptorType::RegularFile));
    assert_eq!(file.get_flags(), Ok(DescriptorFlags::READ | DescriptorFlags::WRITE));
    assert_eq!(file.write(b"0123456789", 0), Ok(10));
    assert_eq!(file.read(4, 3), Ok((b"3456".to_vec(), false)));
    assert_eq!(file.read(4, 10), Ok((vec![], true)));
    assert_eq!(file.read(4, u64::MAX), Err(ErrorCode::Invalid));
    assert_eq!(file.write(b"!", 12), Ok(1));
    assert_eq!(file.read(9, 8).unwrap().0, b"89\0\0!");
    file.set_size(4).unwrap();
    assert_eq!(file.stat().unwrap().size, 4);
    assert_eq!(file.set_size(u64::MAX), Err(ErrorCode::FileTooLarge));
    file.advise(0, 0, Advice::Sequential).unwrap();
    file.advise(1, 2, Advice::DontNeed).unwrap();
    file.sync_data().unwrap();
    file.sync().unwrap();

    let reader = root.open_at(FOLLOW, "data", OpenFlags::empty(), DescriptorFlags::READ).unwrap();
    assert_eq!(reader.write(b"x", 0), Err(ErrorCode::BadDescriptor));
    assert_eq!(reader.set_size(0), Err(ErrorCode::BadDescriptor));
    assert!(reader.is_same_object(&file) && !reader.is_same_object(root));
    let hash = |hash: Result<MetadataHashValue, ErrorCode>| hash.map(|hash| (hash.lower, hash.upper)).unwrap();
    assert_eq!(hash(reader.metadata_hash()), hash(root.metadata_hash_at(FOLLOW, "data")));
    assert_ne!(hash(reader.metadata_hash()), hash(root.metadata_hash()));
    let excluded = root.open_at(FOLLOW, "data", OpenFlags::CREATE | OpenFlags::EXCLUSIVE, DescriptorFlags::WRITE);
    assert_eq!(excluded.err(), Some(ErrorCode::Exist));
    let emptied = root.open_at(FOLLOW, "data", OpenFlags::TRUNCATE, DescriptorFlags::WRITE).unwrap();
    assert_eq!(emptied.stat().unwrap().size, 0);
}

fn times(root: &Descriptor) {
    let at = |seconds| NewTimestamp::Timestamp(Datetime { seconds, nanoseconds: 5 });
    let seconds = |time: Option<Datetime>| time.unwrap().seconds;
    let file = make(root, "data");
    file.set_times(at(1_000), at(2_000)).unwrap();
    let stat = file.stat().unwrap();
    assert_eq!((seconds(stat.data_access_timestamp), seconds(stat.data_modification_timestamp)), (1_000, 2_000));
    root.set_times_at(FOLLOW, "data", NewTimestamp::NoChange, at(3_000)).unwrap();
    let stat = root.stat_at(FOLLOW, "data").unwrap();
    assert_eq!((seconds(stat.data_access_timestamp), seconds(stat.data_modification_timestamp)), (1_000, 3_000));
    file.set_times(NewTimestamp::Now, NewTimestamp::NoChange).unwrap();
    let stat = file.stat().unwrap();
    assert!(seconds(stat.data_access_timestamp) > 1_577_836_800);
    assert_eq!(stat.link_count, 1);
    let beyond = NewTimestamp::Timestamp(Datetime { seconds: 1, nanoseconds: 1_000_000_000 });
    assert_eq!(file.set_times(beyond, NewTimestamp::NoChange), Err(ErrorCode::Invalid));
}

fn names(root: &Descriptor) {
    root.create_directory_at("dir").unwrap();
    assert_eq!(root.create_directory_at("dir"), Err(ErrorCode::Exist));
    root.link_at(NO_FOLLOW, "data", root, "dir/second").unwrap();
    assert_eq!(root.stat_at(FOLLOW, "data").unwrap().link_count, 2);
    root.symlink_at("dir/second", "link").unwrap();
    assert_eq!(root.symlink_at("/etc/passwd", "bad"), Err(ErrorCode::NotPermitted));
    assert_eq!(root.readlink_at("link").unwrap(), "dir/second");
    assert_eq!(root.stat_at(NO_FOLLOW, "link").unwrap().type_, DescriptorType::SymbolicLink);
    assert_eq!(root.stat_at(FOLLOW, "link").unwrap().type_, DescriptorType::RegularFile);
    let refused = root.open_at(NO_FOLLOW, "link", OpenFlags::empty(), DescriptorFlags::READ);
    assert_eq!(refused.err(), Some(ErrorCode::Loop));
    for path in ["..", "/", "dir/../..", "../outside"] {
        assert_eq!(root.stat_at(FOLLOW, path).err(), Some(ErrorCode::NotPermitted), "{path}");
    }

    let mut found = Vec::new();
    let entries = root.read_directory().unwrap();
    while let Some(entry) = entries.read_directory_entry().unwrap() {
        found.push((entry.name, entry.type_));
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    let expected = [
        ("data", DescriptorType::RegularFile),
        ("dir", DescriptorType::Directory),
        ("link", DescriptorType::SymbolicLink),
    ];
    assert_eq!(found, expected.map(|(name, kind)| (name.to_owned(), kind)));

    assert_eq!(root.remove_directory_at("dir"), Err(ErrorCode::NotEmpty));
    let dir = root.open_at(FOLLOW, "dir", OpenFlags::DIRECTORY, DescriptorFlags::READ).unwrap();
    root.rename_at("link", &dir, "moved").unwrap();
    dir.unlink_file_at("moved").unwrap();
    dir.unlink_file_at("second").unwrap();
    assert_eq!(root.unlink_file_at("dir"), Err(ErrorCode::IsDirectory));
    root.remove_directory_at("dir").unwrap();
    assert_eq!(root.stat_at(FOLLOW, "dir").err(), Some(ErrorCode::NoEntry));
    assert_eq!(dir.stat().unwrap().type_, DescriptorType::Directory, "open is open");
}

fn streams(root: &Descriptor) {
    let file = make(root, "data");
    let out = file.write_via_stream(2).unwrap();
    out.subscribe().block();
    let permit = out.check_write().unwrap();
    assert!(permit >= 4096);
    out.write(b"abc").unwrap();
    out.flush().unwrap();
    out.blocking_flush().unwrap();
    out.check_write().unwrap();
    out.write_zeroes(2).unwrap();
    out.blocking_write_zeroes_and_flush(1).unwrap();
    out.blocking_write_and_flush(b"def").unwrap();
    file.append_via_stream().unwrap().blocking_write_and_flush(b"end").unwrap();
    assert_eq!(file.read(99, 0).unwrap().0, b"\0\0abc\0\0\0defend");

    let input = file.read_via_stream(2).unwrap();
    let arrives = input.subscribe();
    assert!(arrives.ready());
    assert_eq!(input.read(2).unwrap(), b"ab");
    assert_eq!(input.skip(2).unwrap(), 2);
    assert_eq!(input.blocking_skip(2).unwrap(), 2);
    assert_eq!(input.blocking_read(3).unwrap(), b"def");
    let copy = make(root, "copy");
    let to = copy.write_via_stream(0).unwrap();
    assert_eq!(to.splice(&input, 0).unwrap(), 0);
    assert_eq!(to.splice(&input, 1).unwrap(), 1);
    assert_eq!(to.blocking_splice(&input, u64::MAX).unwrap(), 2);
    assert!(matches!(to.blocking_splice(&input, 1), Err(StreamError::Closed)));
    assert!(matches!(input.blocking_read(1), Err(StreamError::Closed)));
    assert_eq!(copy.read(99, 0).unwrap().0, b"end");
    root.unlink_file_at("copy").unwrap();

    // No file is as long as that.
    let beyond = file.write_via_stream(u64::MAX - 1).unwrap();
    let Err(StreamError::LastOperationFailed(error)) = beyond.blocking_write_and_flush(b"x") else {
        panic!("written at the end of the numbers");
    };
    assert!(!error.to_debug_string().is_empty());
    assert_eq!(filesystem_error_code(&error), Some(ErrorCode::FileTooLarge));
    assert!(matches!(beyond.check_write(), Err(StreamError::Closed)), "a stream that failed is closed");
}
