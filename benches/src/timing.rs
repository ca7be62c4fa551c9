//! Taking turns, and what comes of it.

use rustix::time::{ClockId, clock_gettime};

/// CPU seconds of this thread so far.
fn cpu() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

/// CPU seconds of this process so far, threads included.
pub(crate) fn process_cpu() -> f64 {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

/// CPU seconds that `work` takes on this thread.
pub(crate) fn time(work: &mut dyn FnMut()) -> f64 {
    let start = cpu();
    work();
    cpu() - start
}

/// Lets two contenders take turns. Returns the seconds of each, turn by turn.
pub(crate) fn pairs(
    rounds: usize,
    ours: &mut dyn FnMut() -> f64,
    theirs: &mut dyn FnMut() -> f64,
) -> Vec<(f64, f64)> {
    (0..rounds)
        .map(|round| {
            // Whoever comes second finds warmer caches: take that in turns too.
            if round % 2 == 0 {
                let a = ours();
                (a, theirs())
            } else {
                let b = theirs();
                (ours(), b)
            }
        })
        .collect()
}

/// The middle of some figures.
pub(crate) fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.into_iter().collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The geometric mean.
pub(crate) fn geomean(ratios: &[f64]) -> f64 {
    (ratios.iter().map(|r| r.ln()).sum::<f64>() / ratios.len() as f64).exp()
}

/// Prints a table row and returns how often faster we are: the median over pairs of theirs / ours.
pub(crate) fn row(name: &str, pairs: &[(f64, f64)]) -> f64 {
    let speed = median(pairs.iter().map(|(ours, theirs)| theirs / ours));
    let (ours, theirs) = (median(pairs.iter().map(|p| p.0)), median(pairs.iter().map(|p| p.1)));
    println!("| {name:16} | {:10.3} | {:10.3} | {speed:6.2} |", ours * 1e3, theirs * 1e3);
    speed
}

/// Prints the head of a table of [`row`]s.
pub(crate) fn head(ours: &str, theirs: &str) {
    println!(
        "| {:16} | {:>10} | {:>10} | {:>6} |",
        "workload",
        format!("{ours} ms"),
        format!("{theirs} ms"),
        "speed"
    );
    println!("|{:-<18}|{:-<12}|{:-<12}|{:-<8}|", "", "", "", "");
}
