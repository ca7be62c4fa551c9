//! What is waited for where a guest is suspended: a task that serves others too must go on meanwhile.

use std::any::Any;
use std::convert::Infallible;
use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mini_wasm_canonical_abi::typed::{LiftList, LowerOptional};
use mini_wasm_wasi::filesystem::descriptor::{self, Descriptor};
use mini_wasm_wasi::filesystem::types::{self, DescriptorFlags, ErrorCode, OpenFlags, PathFlags};
use mini_wasm_wasi::{Borrow, First, HostFunction, Resolution, Rows};

use crate::sandbox::{FOLLOW, NONE, READ, Sandbox, WRITE};

type Open = (Borrow<Descriptor>, PathFlags, String, OpenFlags, DescriptorFlags);

/// What `open-at` waits for.
#[derive(Default)]
struct Found(Option<First<Open>>);

impl Rows for Found {
    type Error = Infallible;

    fn interface(&mut self, _: &str) -> Result<(), Infallible> {
        Ok(())
    }

    fn resource<T: Send + 'static>(&mut self, _: &str) -> Result<(), Infallible> {
        Ok(())
    }

    fn function<P: LiftList + 'static, R: LowerOptional + 'static>(
        &mut self,
        _: &str,
        _: &[String],
        _: HostFunction<P, R>,
    ) -> Result<(), Infallible> {
        Ok(())
    }

    fn function_after<P: LiftList + Send + Sync + 'static, R: LowerOptional + 'static>(
        &mut self,
        name: &str,
        _: &[String],
        _: HostFunction<P, R>,
        first: First<P>,
    ) -> Result<(), Infallible> {
        if name == "[method]descriptor.open-at" {
            self.0 = (&first as &dyn Any).downcast_ref::<First<Open>>().copied();
        }
        Ok(())
    }
}

#[test]
fn a_fifo_that_nobody_reads_is_waited_for_by_its_guest_alone() {
    let mut found = Found::default();
    let Ok(()) = types::rows(&mut found);
    let first = found.0.expect("opening may wait");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for resolution in [Resolution::Kernel, Resolution::Walk] {
        let sandbox = Sandbox::new();
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mkfifoat(rustix::fs::CWD, sandbox.inside("fifo"), mode).unwrap();
        let mut guest = sandbox.guest(resolution, false);
        guest.wasi.deadline(Arc::new(Instant::now() + Duration::from_secs(60)));
        let params = |path: &str, flags| (guest.dir.borrow(), FOLLOW, path.to_owned(), NONE, flags);
        let (fifo, both, file) =
            (params("fifo", WRITE), params("fifo", READ | WRITE), params("nothing", WRITE));
        let path = sandbox.inside("fifo");
        let reader = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(150));
            File::open(path).unwrap()
        });
        let turns = runtime.block_on(async {
            // Neither of these has anything to wait for.
            for params in [&both, &file] {
                first(&mut guest.wasi, params).await.unwrap();
            }
            let (mut waits, mut turns) = (first(&mut guest.wasi, &fifo), 0);
            loop {
                match tokio::time::timeout(Duration::from_millis(10), &mut waits).await {
                    Ok(waited) => break waited.map(|()| turns),
                    Err(_) => turns += 1,
                }
            }
        });
        assert!(turns.unwrap() >= 5, "others had no turn");
        let open = |guest: &mut crate::sandbox::Guest, (dir, flags, path, open, how): Open| {
            descriptor::open_at(&mut guest.wasi, dir, flags, path, open, how).unwrap()
        };
        let opened = open(&mut guest, fifo).unwrap();
        let kept = descriptor::get_flags(&mut guest.wasi, opened.borrow()).unwrap();
        assert_eq!(kept, Ok(WRITE));
        // What was opened for that call is for no other.
        assert_eq!(open(&mut guest, file).unwrap_err(), ErrorCode::NoEntry);
        drop(reader.join().unwrap());
    }
}
