//! How many cases the random tests try.

/// Cases of a random test: `CASES` in the environment, or else `few`, which keeps a plain `cargo test` short.
///
/// # Panics
/// When `CASES` is no number.
pub fn cases(few: u32) -> u32 {
    match std::env::var("CASES") {
        Ok(text) => text.parse().expect("CASES is a number"),
        Err(_) => few,
    }
}
