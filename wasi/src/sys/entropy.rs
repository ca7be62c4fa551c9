//! Random bytes from the system.

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

/// Fills `bytes` from the system's cryptographic generator.
pub(crate) fn fill(mut bytes: &mut [u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match getrandom(&mut *bytes, GetRandomFlags::empty()) {
            Ok(filled) => bytes = &mut bytes[filled..],
            Err(Errno::INTR) => {}
            // Before Linux 3.17, or a filter of system calls forbids it.
            Err(Errno::NOSYS | Errno::PERM) => return fill_from_device(bytes),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// [`fill`] from the device that the same generator has.
fn fill_from_device(mut bytes: &mut [u8]) -> Result<(), Errno> {
    let device = rustix::fs::open("/dev/urandom", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    while !bytes.is_empty() {
        match rustix::io::read(&device, &mut *bytes) {
            // A file that ends is not that device.
            Ok(0) => return Err(Errno::IO),
            Ok(filled) => bytes = &mut bytes[filled..],
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
