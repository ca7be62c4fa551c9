//! A second thread swaps a directory and a symbolic link that points out, all the time; nothing outside is touched.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mini_wasm_wasi::Resolution;
use mini_wasm_wasi::filesystem::descriptor;
use mini_wasm_wasi::filesystem::types::NewTimestamp;
use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::sandbox::{CREATE, FOLLOW, NO_FOLLOW, NONE, READ, Sandbox, TRUNCATE, WRITE};

/// Ends the other thread, also when an assertion fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn raced(resolution: Resolution) {
    let sandbox = Sandbox::new();
    // `d` is a directory and `link` points out; the other thread exchanges them.
    fs::create_dir_all(sandbox.inside("d/dir")).unwrap();
    fs::write(sandbox.inside("d/canary"), "inside").unwrap();
    symlink("../outside", sandbox.inside("link")).unwrap();
    let stop = AtomicBool::new(false);
    let canary = fs::metadata(sandbox.outside("canary")).unwrap().modified().unwrap();
    let mut opened = 0_u32;
    let mut refused = 0_u32;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let (d, link) = (sandbox.inside("d"), sandbox.inside("link"));
                renameat_with(CWD, d, CWD, link, RenameFlags::EXCHANGE).unwrap();
            }
        });
        let _stop = Stop(&stop);
        let mut guest = sandbox.guest(resolution, false);
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_millis(700) {
            for path in ["d/canary", "d/./canary", "d/dir/../canary", "d/dir/../../d/canary"] {
                match guest.read(path) {
                    Ok(text) => {
                        assert_eq!(text, b"inside", "the canary outside was read by {path}");
                        opened += 1;
                    }
                    Err(_) => refused += 1,
                }
                let _ = guest.open(path, TRUNCATE, READ | WRITE).map(|file| {
                    let _ = descriptor::write(&mut guest.wasi, file.borrow(), b"inside".to_vec(), 0).unwrap();
                    guest.wasi.resource_drop(file).unwrap();
                });
            }
            for (path, open, flags) in [("d/new", CREATE, WRITE), ("d/", NONE, READ)] {
                let _ = guest.open(path, open, flags).map(|opened| guest.wasi.resource_drop(opened).unwrap());
            }
            let _ = guest.unlink("d/new");
            let _ = guest.mkdir("d/made");
            let _ = guest.rmdir("d/made");
            let _ = guest.rmdir("d/dir/");
            let _ = guest.mkdir("d/dir");
            let _ = guest.symlink("x", "d/soft");
            let _ = guest.unlink("d/soft");
            let _ = guest.link(FOLLOW, "d/canary", "hard");
            let _ = guest.unlink("hard");
            let _ = guest.rename("d/canary", "moved");
            let _ = guest.rename("moved", "d/canary");
            let _ = guest.rename("moved", "link/canary");
            let dir = guest.dir.borrow();
            let now = NewTimestamp::Now;
            let _ =
                descriptor::set_times_at(&mut guest.wasi, dir, FOLLOW, "d/canary".into(), now, now).unwrap();
            let dir = guest.dir.borrow();
            let _ = descriptor::set_times_at(&mut guest.wasi, dir, NO_FOLLOW, "d/canary".into(), now, now)
                .unwrap();
            sandbox.check_canary();
            if !sandbox.inside("d/canary").exists() && !sandbox.inside("link/canary").exists() {
                let _ = guest.write("moved", b"inside");
                let _ = guest.rename("moved", "d/canary");
            }
        }
    });
    sandbox.check_canary();
    assert_eq!(fs::metadata(sandbox.outside("canary")).unwrap().modified().unwrap(), canary);
    assert!(opened > 0 && refused > 0, "the race never happened: {opened} opened, {refused} refused");
}

#[test]
fn a_racing_rename_never_leads_the_kernels_resolution_outside() {
    raced(Resolution::Kernel);
}

#[test]
fn a_racing_rename_never_leads_the_walk_outside() {
    raced(Resolution::Walk);
}
