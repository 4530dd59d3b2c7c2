//! Where inputs come from.

pub use quernel::doctor::{Matrix, POISON, Rng, exact};

/// What `QUERNEL_TEST_SEED` says; 0 without it.
pub fn number() -> u64 {
    std::env::var("QUERNEL_TEST_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// What a case's random numbers are seeded with.
pub fn seed(kernel: &str, name: &str) -> String {
    match number() {
        0 => format!("{kernel}/{name}"),
        number => format!("{kernel}/{name}#{number}"),
    }
}
