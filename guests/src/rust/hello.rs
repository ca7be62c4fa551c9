//! Arguments, environment, stdin, clocks, sleeping, random, heap, formatting of floats and text, exit codes.
//! A native WASI 0.2 component (wasm32-wasip2). What differs from run to run is tested and printed as a verdict.
//!
//! `exit=N` leaves with code N (any N but 0 arrives as 1), `panic` panics (a trap after the message on stderr).

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, Write};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    println!("arguments: {args:?}");
    let env: BTreeMap<String, String> = std::env::vars().collect();
    println!("environment: {env:?}");

    let mut words: HashMap<String, usize> = HashMap::new();
    let mut lines = 0;
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else {
            println!("line {} is not UTF-8", lines + 1);
            break;
        };
        lines += 1;
        for word in line.split_whitespace() {
            *words.entry(word.to_lowercase()).or_default() += 1;
        }
    }
    let mut words: Vec<_> = words.into_iter().collect();
    words.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    println!("stdin: {lines} lines, words {words:?}");

    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    println!("wall clock past 2024: {}", wall > Duration::from_secs(1_704_067_200));
    let start = Instant::now();
    std::thread::sleep(Duration::from_millis(15));
    let slept = start.elapsed();
    println!("slept: {}", slept >= Duration::from_millis(15) && slept < Duration::from_secs(20));
    let (first, second) = (random(), random());
    println!("random: {}", first.is_some() && second.is_some() && first != second && first != Some([0; 32]));

    let mut heap: Vec<Vec<u8>> = (1..=64).map(|i| vec![i as u8; i * 1000]).collect();
    heap.retain(|block| block[0] % 3 == 0);
    println!(
        "heap: {}",
        heap.iter().map(|block| block.iter().map(|&b| u64::from(b)).sum::<u64>()).sum::<u64>()
    );
    println!("float: {} {:?} {:e} {}", 0.1 + 0.2, 1.0f32 / 3.0, 6.02e23, f64::NAN.max(1.0));
    println!("text: {} {}", "naïve ☃".to_uppercase(), "☃".escape_unicode());

    std::io::stdout().flush().expect("stdout can be flushed");
    if args.iter().any(|a| a == "panic") {
        innermost_panic();
    }
    let code = args.iter().find_map(|a| a.strip_prefix("exit=")?.parse().ok()).unwrap_or(0);
    std::process::exit(code);
}

/// 32 bytes from `wasi:random`; the C library under std is asked, since std itself only seeds its hash maps.
fn random() -> Option<[u8; 32]> {
    unsafe extern "C" {
        fn getentropy(buffer: *mut u8, length: usize) -> i32;
    }
    let mut bytes = [0; 32];
    // SAFETY: the buffer is as long as said, and getentropy writes nothing beyond it.
    (unsafe { getentropy(bytes.as_mut_ptr(), bytes.len()) } == 0).then_some(bytes)
}

#[inline(never)]
fn innermost_panic() {
    panic!("as the argument asked");
}
