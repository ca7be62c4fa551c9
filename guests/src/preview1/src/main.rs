//! All 46 functions of preview 1. Run as `preview1 all` with `KEY=value`, the input `in the pipe`, an empty directory as `/` (3) and a socket
//! that listens (4), to which somebody connects who says `hello`, hears `good bye` and goes; `preview1 raise` raises a signal.

use std::mem::{size_of, zeroed};

use wasi::*;

const ROOT: Fd = 3;
const LISTENER: Fd = 4;
const ALL: Rights = RIGHTS_FD_READ
    | RIGHTS_FD_WRITE
    | RIGHTS_FD_SEEK
    | RIGHTS_FD_TELL
    | RIGHTS_FD_ADVISE
    | RIGHTS_FD_ALLOCATE
    | RIGHTS_FD_SYNC
    | RIGHTS_FD_DATASYNC
    | RIGHTS_FD_FDSTAT_SET_FLAGS
    | RIGHTS_FD_FILESTAT_GET
    | RIGHTS_FD_FILESTAT_SET_SIZE
    | RIGHTS_FD_FILESTAT_SET_TIMES
    | RIGHTS_POLL_FD_READWRITE;

fn main() {
    // SAFETY: every address that is handed over is one of a buffer of the length that goes with it.
    unsafe {
        let arguments = strings(args_sizes_get().unwrap(), |array, bytes| args_get(array, bytes).unwrap());
        if arguments[1] == "raise" {
            let _ = proc_raise(SIGNAL_ABRT);
        }
        assert_eq!(arguments[1..], ["all"]);
        let variables = strings(environ_sizes_get().unwrap(), |array, bytes| environ_get(array, bytes).unwrap());
        assert_eq!(variables, ["KEY=value"]);
        clocks();
        granted();
        data();
        descriptors();
        names();
        directory();
        streams();
        socket();
        proc_raise(SIGNAL_NONE).unwrap();
        proc_exit(0);
    }
}

/// Arguments or variables, as they are laid out.
unsafe fn strings((count, size): (Size, Size), get: impl FnOnce(*mut *mut u8, *mut u8)) -> Vec<String> {
    let (mut array, mut bytes) = (vec![std::ptr::null_mut(); count], vec![0; size]);
    get(array.as_mut_ptr(), bytes.as_mut_ptr());
    let start = bytes.as_ptr() as usize;
    assert_eq!(array.first().map(|&at| at as usize), Some(start));
    bytes.split_inclusive(|&byte| byte == 0).map(|one| String::from_utf8(one[..one.len() - 1].to_vec()).unwrap()).collect()
}

unsafe fn clocks() {
    for clock in [CLOCKID_REALTIME, CLOCKID_MONOTONIC, CLOCKID_PROCESS_CPUTIME_ID, CLOCKID_THREAD_CPUTIME_ID] {
        assert!((1..1_000_000_000).contains(&clock_res_get(clock).unwrap()));
        let one = clock_time_get(clock, 1).unwrap();
        assert!(clock_time_get(clock, u64::MAX).unwrap() >= one);
    }
    assert!(clock_time_get(CLOCKID_REALTIME, 0).unwrap() > 1_577_836_800_000_000_000);
    sched_yield().unwrap();
    let (mut one, mut other) = ([0; 32], [0; 32]);
    random_get(one.as_mut_ptr(), one.len()).unwrap();
    random_get(other.as_mut_ptr(), other.len()).unwrap();
    random_get(other.as_mut_ptr(), 0).unwrap();
    assert_ne!(one, other);

    let before = clock_time_get(CLOCKID_MONOTONIC, 0).unwrap();
    let timer = |userdata, id, timeout, flags| Subscription {
        userdata,
        u: SubscriptionU { tag: EVENTTYPE_CLOCK.raw(), u: SubscriptionUU { clock: SubscriptionClock { id, timeout, precision: 0, flags } } },
    };
    let subscriptions = [
        timer(1, CLOCKID_MONOTONIC, u64::MAX, 0),
        timer(2, CLOCKID_MONOTONIC, before + 5_000_000, SUBCLOCKFLAGS_SUBSCRIPTION_CLOCK_ABSTIME),
    ];
    let events = poll(&subscriptions);
    assert_eq!(events.iter().map(|event| (event.userdata, event.error)).collect::<Vec<_>>(), [(2, ERRNO_SUCCESS)]);
    assert!(clock_time_get(CLOCKID_MONOTONIC, 0).unwrap() >= before + 5_000_000);
    assert_eq!(poll(&[timer(3, CLOCKID_REALTIME, 0, 0)])[0].userdata, 3);
    assert_eq!(poll_oneoff(subscriptions.as_ptr(), std::ptr::null_mut(), 0), Err(ERRNO_INVAL));
}

unsafe fn poll(subscriptions: &[Subscription]) -> Vec<Event> {
    let mut events: Vec<Event> = vec![zeroed(); subscriptions.len()];
    let count = poll_oneoff(subscriptions.as_ptr(), events.as_mut_ptr(), subscriptions.len()).unwrap();
    events.truncate(count);
    events
}

fn ready(userdata: Userdata, kind: Eventtype, file_descriptor: Fd) -> Subscription {
    let fd_read = SubscriptionFdReadwrite { file_descriptor };
    Subscription { userdata, u: SubscriptionU { tag: kind.raw(), u: SubscriptionUU { fd_read } } }
}

unsafe fn granted() {
    let prestat = fd_prestat_get(ROOT).unwrap();
    assert_eq!((prestat.tag, prestat.u.dir.pr_name_len), (PREOPENTYPE_DIR.raw(), 1));
    let mut name = [0; 1];
    fd_prestat_dir_name(ROOT, name.as_mut_ptr(), 1).unwrap();
    assert_eq!(&name, b"/");
    assert_eq!(fd_prestat_dir_name(ROOT, name.as_mut_ptr(), 0), Err(ERRNO_NAMETOOLONG));
    assert_eq!(fd_prestat_get(0).err(), Some(ERRNO_BADF));
    assert_eq!(fd_prestat_get(LISTENER + 1).err(), Some(ERRNO_BADF));
    let stat = fd_fdstat_get(ROOT).unwrap();
    assert_eq!(stat.fs_filetype, FILETYPE_DIRECTORY);
    assert_ne!(stat.fs_rights_base & RIGHTS_PATH_OPEN, 0);
    assert_eq!(stat.fs_rights_inheriting & ALL, ALL);
}

unsafe fn open(path: &str, oflags: Oflags, fdflags: Fdflags) -> Fd {
    path_open(ROOT, LOOKUPFLAGS_SYMLINK_FOLLOW, path, oflags, ALL, 0, fdflags).unwrap()
}

fn out(bytes: &[u8]) -> Ciovec {
    Ciovec { buf: bytes.as_ptr(), buf_len: bytes.len() }
}

fn into(bytes: &mut [u8]) -> Iovec {
    Iovec { buf: bytes.as_mut_ptr(), buf_len: bytes.len() }
}

unsafe fn data() {
    let file = open("data", OFLAGS_CREAT | OFLAGS_EXCL, 0);
    assert_eq!(path_open(ROOT, 0, "data", OFLAGS_CREAT | OFLAGS_EXCL, ALL, 0, 0), Err(ERRNO_EXIST));
    assert_eq!(fd_write(file, &[out(b"01234"), out(b""), out(b"56789")]), Ok(10));
    assert_eq!(fd_tell(file), Ok(10));
    assert_eq!(fd_seek(file, -4, WHENCE_END), Ok(6));
    assert_eq!(fd_seek(file, -1, WHENCE_CUR), Ok(5));
    assert_eq!(fd_seek(file, -6, WHENCE_CUR), Err(ERRNO_INVAL));
    let (mut one, mut other) = ([0; 2], [0; 9]);
    assert_eq!(fd_read(file, &[into(&mut one), into(&mut other)]), Ok(5));
    assert_eq!((&one, &other[..3]), (b"56", &b"789"[..]));
    assert_eq!(fd_read(file, &[into(&mut one)]), Ok(0));
    assert_eq!(fd_pread(file, &[into(&mut one)], 3), Ok(2));
    assert_eq!(&one, b"34");
    assert_eq!(fd_pwrite(file, &[out(b"x")], 12), Ok(1));
    assert_eq!(fd_tell(file), Ok(10), "neither of the two moves it");
    assert_eq!(fd_filestat_get(file).unwrap().size, 13);
    fd_filestat_set_size(file, 4).unwrap();
    fd_allocate(file, 2, 6).unwrap();
    let stat = fd_filestat_get(file).unwrap();
    assert_eq!((stat.size, stat.filetype, stat.nlink), (8, FILETYPE_REGULAR_FILE, 1));
    fd_advise(file, 0, 0, ADVICE_SEQUENTIAL).unwrap();
    fd_datasync(file).unwrap();
    fd_sync(file).unwrap();
    fd_filestat_set_times(file, 1_000_000_000, 2_000_000_000, FSTFLAGS_ATIM | FSTFLAGS_MTIM).unwrap();
    let stat = fd_filestat_get(file).unwrap();
    assert_eq!((stat.atim, stat.mtim), (1_000_000_000, 2_000_000_000));
    assert_eq!(fd_filestat_set_times(file, 0, 0, FSTFLAGS_ATIM | FSTFLAGS_ATIM_NOW), Err(ERRNO_INVAL));
    path_filestat_set_times(ROOT, LOOKUPFLAGS_SYMLINK_FOLLOW, "data", 0, 3_000_000_000, FSTFLAGS_ATIM_NOW | FSTFLAGS_MTIM).unwrap();
    let stat = path_filestat_get(ROOT, LOOKUPFLAGS_SYMLINK_FOLLOW, "data").unwrap();
    assert!(stat.atim > 1_577_836_800_000_000_000 && stat.mtim == 3_000_000_000);
    let events = poll(&[ready(1, EVENTTYPE_FD_READ, file), ready(2, EVENTTYPE_FD_WRITE, file), ready(3, EVENTTYPE_FD_READ, 99)]);
    let events: Vec<_> = events.iter().map(|event| (event.userdata, event.error)).collect();
    assert_eq!(events, [(1, ERRNO_SUCCESS), (2, ERRNO_SUCCESS), (3, ERRNO_BADF)]);
    fd_close(file).unwrap();
    assert_eq!(fd_close(file), Err(ERRNO_BADF));
}

unsafe fn descriptors() {
    let append = open("data", OFLAGS_TRUNC, FDFLAGS_APPEND);
    assert_eq!(fd_fdstat_get(append).unwrap().fs_flags, FDFLAGS_APPEND);
    fd_write(append, &[out(b"ab")]).unwrap();
    fd_seek(append, 0, WHENCE_SET).unwrap();
    fd_write(append, &[out(b"cd")]).unwrap();
    fd_fdstat_set_flags(append, 0).unwrap();
    fd_seek(append, 0, WHENCE_SET).unwrap();
    fd_write(append, &[out(b"x")]).unwrap();
    let mut bytes = [0; 9];
    assert_eq!(fd_pread(append, &[into(&mut bytes)], 0), Ok(4));
    assert_eq!(&bytes[..4], b"xbcd");

    // A right that is given up is gone.
    fd_fdstat_set_rights(append, ALL & !RIGHTS_FD_WRITE, 0).unwrap();
    assert_eq!(fd_write(append, &[out(b"y")]), Err(ERRNO_NOTCAPABLE));
    assert_eq!(fd_fdstat_set_rights(append, ALL, 0), Err(ERRNO_NOTCAPABLE));
    let second = open("data", 0, 0);
    fd_renumber(second, append).unwrap();
    assert_eq!(fd_tell(second), Err(ERRNO_BADF));
    assert_eq!(fd_write(append, &[out(b"y")]), Ok(1));
    assert_eq!(fd_renumber(append, 1000), Err(ERRNO_BADF));
    fd_close(append).unwrap();
}

unsafe fn names() {
    path_create_directory(ROOT, "dir").unwrap();
    assert_eq!(path_create_directory(ROOT, "dir"), Err(ERRNO_EXIST));
    path_link(ROOT, 0, "data", ROOT, "dir/second").unwrap();
    path_symlink("dir/second", ROOT, "link").unwrap();
    let mut target = [0; 20];
    assert_eq!(path_readlink(ROOT, "link", target.as_mut_ptr(), 4), Ok(4));
    assert_eq!(path_readlink(ROOT, "link", target.as_mut_ptr(), target.len()), Ok(10));
    assert_eq!(&target[..10], b"dir/second");
    assert_eq!(path_filestat_get(ROOT, 0, "link").unwrap().filetype, FILETYPE_SYMBOLIC_LINK);
    assert_eq!(path_filestat_get(ROOT, LOOKUPFLAGS_SYMLINK_FOLLOW, "link").unwrap().nlink, 2);
    assert_eq!(path_open(ROOT, 0, "link", 0, ALL, 0, 0), Err(ERRNO_LOOP));
    assert_eq!(path_open(ROOT, 0, "../outside", 0, ALL, 0, 0), Err(ERRNO_PERM));
    assert_eq!(path_remove_directory(ROOT, "dir"), Err(ERRNO_NOTEMPTY));
    path_rename(ROOT, "dir/second", ROOT, "moved").unwrap();
    assert_eq!(path_unlink_file(ROOT, "dir"), Err(ERRNO_ISDIR));
    assert_eq!(path_remove_directory(ROOT, "moved"), Err(ERRNO_NOTDIR));
}

unsafe fn directory() {
    let mut buffer = [0; 512];
    let used = fd_readdir(ROOT, buffer.as_mut_ptr(), buffer.len(), 0).unwrap();
    let (mut at, mut found, mut cookies) = (0, Vec::new(), Vec::new());
    while at < used {
        let entry = std::ptr::read_unaligned(buffer[at..].as_ptr().cast::<Dirent>());
        at += size_of::<Dirent>();
        let name = &buffer[at..at + entry.d_namlen as usize];
        at += name.len();
        found.push((String::from_utf8(name.to_vec()).unwrap(), entry.d_type));
        cookies.push(entry.d_next);
    }
    let last = found.last().unwrap().0.clone();
    found.sort_by(|one, other| one.0.cmp(&other.0));
    let expected = [
        (".", FILETYPE_DIRECTORY),
        ("..", FILETYPE_DIRECTORY),
        ("data", FILETYPE_REGULAR_FILE),
        ("dir", FILETYPE_DIRECTORY),
        ("link", FILETYPE_SYMBOLIC_LINK),
        ("moved", FILETYPE_REGULAR_FILE),
    ];
    assert_eq!(found, expected.map(|(name, kind)| (name.to_owned(), kind)));
    // From a cookie on there is only what follows.
    let again = fd_readdir(ROOT, buffer.as_mut_ptr(), buffer.len(), cookies[cookies.len() - 2]).unwrap();
    assert_eq!(again, size_of::<Dirent>() + last.len());
    assert_eq!(fd_readdir(ROOT, buffer.as_mut_ptr(), buffer.len(), cookies[cookies.len() - 1]), Ok(0));
    for name in ["data", "link", "moved"] {
        path_unlink_file(ROOT, name).unwrap();
    }
    path_remove_directory(ROOT, "dir").unwrap();
    assert_eq!(path_filestat_get(ROOT, 0, "dir").err(), Some(ERRNO_NOENT));
}

unsafe fn streams() {
    let mut bytes = [0; 20];
    assert_eq!(poll(&[ready(7, EVENTTYPE_FD_READ, 0)])[0].userdata, 7);
    assert_eq!(fd_read(0, &[into(&mut bytes)]), Ok(11));
    assert_eq!(&bytes[..11], b"in the pipe");
    assert_eq!(fd_read(0, &[into(&mut bytes)]), Ok(0));
    assert_eq!(fd_write(1, &[out(b"out: "), out(b"pipe\n")]), Ok(10));
    assert_eq!(fd_write(2, &[out(b"err\n")]), Ok(4));
    assert_eq!(fd_seek(1, 0, WHENCE_CUR), Err(ERRNO_SPIPE));
    assert_eq!(fd_write(0, &[out(b"x")]), Err(ERRNO_BADF));
}

unsafe fn socket() {
    assert_eq!(fd_fdstat_get(LISTENER).unwrap().fs_filetype, FILETYPE_SOCKET_STREAM);
    poll(&[ready(1, EVENTTYPE_FD_READ, LISTENER)]);
    let peer = sock_accept(LISTENER, 0).unwrap();
    let mut bytes = [0; 5];
    let (read, flags) = sock_recv(peer, &[into(&mut bytes)], RIFLAGS_RECV_WAITALL).unwrap();
    assert_eq!((read, flags, &bytes), (5, 0, b"hello"));
    assert_eq!(sock_send(peer, &[out(b"good "), out(b"bye")], 0), Ok(8));
    sock_shutdown(peer, SDFLAGS_WR).unwrap();
    let event = poll(&[ready(2, EVENTTYPE_FD_READ, peer)])[0];
    assert_eq!((event.userdata, event.error, event.fd_readwrite.nbytes), (2, ERRNO_SUCCESS, 0));
    assert_ne!(event.fd_readwrite.flags & EVENTRWFLAGS_FD_READWRITE_HANGUP, 0, "it has gone");
    assert_eq!(sock_recv(peer, &[into(&mut bytes)], 0), Ok((0, 0)));
    assert_eq!(sock_accept(0, 0), Err(ERRNO_NOTSOCK));
    fd_close(peer).unwrap();
}
