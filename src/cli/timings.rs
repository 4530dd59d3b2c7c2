//! How long a generation took.

use std::time::{Duration, Instant};

/// A clock for one generation.
pub struct Timings {
    start: Instant,
    loaded: Duration,
    first: Option<Duration>,
}

impl Timings {
    /// Starts the clock, before anything is opened.
    pub fn start() -> Self {
        Self { start: Instant::now(), loaded: Duration::ZERO, first: None }
    }

    /// The model is on the GPU.
    pub fn loaded(&mut self) {
        self.loaded = self.start.elapsed();
    }

    /// A token is there.
    pub fn token(&mut self) {
        self.first.get_or_insert(self.start.elapsed());
    }

    /// What to show after `prompt` tokens were read and `generated` made.
    ///
    /// The first token comes with the prompt, so the rate of generation counts the others.
    pub fn report(&self, prompt: usize, generated: usize, seed: u64) -> String {
        let end = self.start.elapsed();
        let first = self.first.unwrap_or(end);
        let (reading, writing) = (first - self.loaded.min(first), end - first);
        let rate = |tokens: usize, time: Duration| tokens as f64 / time.as_secs_f64().max(1e-9);
        let after = generated.saturating_sub(1);
        format!(
            "load        {:>10.1} ms\n\
             prompt      {:>10.1} ms  {prompt:>6} tokens  {:>10.2} tokens/s  (time to first token)\n\
             generation  {:>10.1} ms  {after:>6} tokens  {:>10.2} tokens/s\n\
             total       {:>10.1} ms, seed {seed}\n",
            ms(self.loaded),
            ms(reading),
            rate(prompt, reading),
            ms(writing),
            rate(after, writing),
            ms(end),
        )
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
