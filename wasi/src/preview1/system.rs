//! Arguments, environment, clocks, randomness and the end of the process.

use crate::Stop;
use crate::preview1::memory::offset;
use crate::preview1::types::timestamp;
use crate::preview1::{Call, Errno, Outcome};
use crate::random::STRIDE;
use crate::sys::{clock, entropy};

/// Writes strings one after the other, each with a NUL, and their addresses into an array.
fn put_strings(call: &mut Call<'_>, strings: &[Vec<u8>], array: u32, mut buf: u32) -> Outcome<()> {
    let mut at = array;
    for string in strings {
        call.guest.put_u32(at, buf)?;
        call.guest.put(buf, string)?;
        buf = offset(buf, string.len() as u32)?;
        call.guest.put(buf, &[0])?;
        buf = offset(buf, 1)?;
        at = offset(at, 4)?;
    }
    Ok(())
}

fn put_sizes(call: &mut Call<'_>, strings: &[Vec<u8>], count: u32, size: u32) -> Outcome<()> {
    let bytes: usize = strings.iter().map(|string| string.len() + 1).sum();
    call.guest.put_u32(count, u32::try_from(strings.len()).map_err(|_| Errno::Overflow)?)?;
    call.guest.put_u32(size, u32::try_from(bytes).map_err(|_| Errno::Overflow)?)
}

fn args(call: &Call<'_>) -> Vec<Vec<u8>> {
    call.wasi.args.iter().map(|arg| arg.as_bytes().to_vec()).collect()
}

fn environ(call: &Call<'_>) -> Vec<Vec<u8>> {
    call.wasi.env.iter().map(|(name, value)| format!("{name}={value}").into_bytes()).collect()
}

/// `args_get`.
pub(super) fn args_get(call: &mut Call<'_>, argv: u32, argv_buf: u32) -> Outcome<()> {
    let args = args(call);
    put_strings(call, &args, argv, argv_buf)
}

/// `args_sizes_get`.
pub(super) fn args_sizes_get(call: &mut Call<'_>, argc: u32, argv_buf_size: u32) -> Outcome<()> {
    let args = args(call);
    put_sizes(call, &args, argc, argv_buf_size)
}

/// `environ_get`.
pub(super) fn environ_get(call: &mut Call<'_>, environ_at: u32, environ_buf: u32) -> Outcome<()> {
    let environ = environ(call);
    put_strings(call, &environ, environ_at, environ_buf)
}

/// `environ_sizes_get`.
pub(super) fn environ_sizes_get(call: &mut Call<'_>, environc: u32, environ_buf_size: u32) -> Outcome<()> {
    let environ = environ(call);
    put_sizes(call, &environ, environc, environ_buf_size)
}

/// `clock_res_get`.
pub(super) fn clock_res_get(call: &mut Call<'_>, id: u32, resolution: u32) -> Outcome<()> {
    let nanoseconds = match id {
        0 => timestamp(clock::wall_resolution()),
        1 => clock::monotonic_resolution(),
        2 | 3 => clock::cpu_resolution(),
        _ => return Err(Errno::Inval.into()),
    };
    call.guest.put_u64(resolution, nanoseconds)
}

/// `clock_time_get`: whatever precision is asked for, the best there is.
pub(super) fn clock_time_get(call: &mut Call<'_>, id: u32, _precision: u64, time: u32) -> Outcome<()> {
    let nanoseconds = now(call, id)?;
    call.guest.put_u64(time, nanoseconds)
}

/// What a clock shows: the time of day, what WASI 0.2 calls monotonic, and the two of processor time.
pub(super) fn now(call: &mut Call<'_>, id: u32) -> Outcome<u64> {
    Ok(match id {
        0 => timestamp(clock::wall()),
        1 => crate::clocks::monotonic_clock::now(call.wasi)?,
        2 => clock::process_cpu(),
        3 => clock::thread_cpu(),
        _ => return Err(Errno::Inval.into()),
    })
}

/// `proc_exit`: the lowest eight bits, as systems have it.
pub(super) fn proc_exit(_: &mut Call<'_>, code: u32) -> Outcome<()> {
    let [code, ..] = code.to_le_bytes();
    Err(Stop::Exit(code).into())
}

/// `proc_raise`: a signal that would end a process stops the guest.
pub(super) fn proc_raise(_: &mut Call<'_>, signal: u32) -> Outcome<()> {
    match signal {
        // None; and those that nobody notices: child, continue, urgent, window.
        0 | 16 | 17 | 22 | 27 => Ok(()),
        // Stop, and the likes of it.
        18..=21 => Err(Errno::NotSup.into()),
        1..=30 => Err(Stop::Trap(format!("the guest raised signal {signal}")).into()),
        _ => Err(Errno::Inval.into()),
    }
}

/// `sched_yield`.
pub(super) fn sched_yield(call: &mut Call<'_>) -> Outcome<()> {
    call.over()?;
    std::thread::yield_now();
    Ok(())
}

/// `random_get`: into the guest's memory at once, however much.
pub(super) fn random_get(call: &mut Call<'_>, buf: u32, buf_len: u32) -> Outcome<()> {
    let room = call.guest.range(buf, buf_len)?;
    let end = room.end;
    for at in room.step_by(STRIDE) {
        call.over()?;
        entropy::fill(call.guest.part_mut(at..end.min(at + STRIDE))?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preview1::Edition;
    use crate::preview1::memory::Guest;
    use crate::{Wasi, cli};

    #[test]
    fn both_editions_of_wasi_show_the_same_environment() {
        let mut wasi = Wasi::builder().arg("a").env("K", "V").build();
        let theirs = cli::environment::get_environment(&mut wasi).unwrap();
        let mut bytes = [0; 64];
        let mut call = Call { guest: Guest::new(&mut bytes), wasi: &mut wasi, edition: Edition::Snapshot };
        assert!(environ_get(&mut call, 0, 8).is_ok());
        assert!(environ_sizes_get(&mut call, 32, 36).is_ok());
        assert_eq!(call.guest.u32(36).ok(), Some(4));
        assert_eq!(theirs, [("K".to_owned(), "V".to_owned())]);
        assert_eq!(&bytes[8..12], b"K=V\0");
    }
}
