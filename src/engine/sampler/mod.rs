//! Which token comes next.
//!
//! The chain is llama.cpp's default chain without the links that this house does not have, in the same order: logit
//! bias, penalties, top-k, top-p, min-p, temperature, draw. Temperature comes last, so top-p and min-p see the model's
//! own probabilities. (llama.cpp's is: penalties, DRY, top-nσ, top-k, typical-p, top-p, min-p, XTC, temperature, with
//! the bias before them.)
//!
//! Probabilities are [odds](crate::kernels::sample), in integers: the same logits, seed and position give the same token on
//! any machine, and the token that the kernel `sample` draws, which has no biases and penalties. This module knows of no
//! model or text.

mod options;
#[cfg(test)]
mod tests;

pub use options::SamplerOptions;

use super::Rng;
use crate::kernels::sample::{Draw, ONE, Rate, odds};
use crate::{Error, Result};

/// Chooses tokens, and keeps the room that it needs to do so.
///
/// ```
/// use quernel::engine::{Sampler, SamplerOptions};
/// let mut sampler = Sampler::new(SamplerOptions { top_k: 2, ..SamplerOptions::default() }, 42)?;
/// let token = sampler.sample(&mut [0.1, 2.0, 1.5, -3.0], &[], 0)?;
/// assert!(token == 1 || token == 2);
/// # Ok::<(), quernel::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Sampler {
    options: SamplerOptions,
    rng: Rng,
    candidates: Vec<Candidate>,
    /// The recent tokens in the order of their ids.
    recent: Vec<u32>,
}

/// The logit of a token that must not be chosen.
const FORBIDDEN: f32 = f32::NEG_INFINITY;

/// More than the odds of a lower logit may exceed those of a higher one.
const ERROR: u32 = 4;

/// A token that may still be chosen.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    id: u32,
    logit: f32,
    /// Its probability by that of the likeliest.
    odds: u32,
}

impl Sampler {
    /// A sampler whose draws `seed` determines.
    ///
    /// # Errors
    /// [`Error::Option`], where an option is out of its range.
    pub fn new(options: SamplerOptions, seed: u64) -> Result<Self> {
        options.validate()?;
        Ok(Self { options, rng: Rng::new(seed), candidates: Vec::new(), recent: Vec::new() })
    }

    /// The options.
    pub fn options(&self) -> &SamplerOptions {
        &self.options
    }

    /// How the kernel `sample` is to draw the token at `position`, where neither biases nor penalties change logits.
    pub fn draw(&self, position: u64) -> Draw {
        let SamplerOptions { temperature, top_k, top_p, min_p, .. } = self.options;
        match self.options.is_greedy() {
            true => Draw::LIKELIEST,
            false => Draw::new(temperature, top_k, top_p, min_p, self.rng.bits(position)),
        }
    }

    /// The token that follows `history` (prompt and answer so far), given the `logits` of the whole vocabulary.
    ///
    /// `position` picks the draw: the same seed, position and logits give the same token. Of equal logits the lowest id
    /// counts as the likeliest. Biases and penalties are applied to `logits` in place. Allocates nothing once it has
    /// seen a vocabulary and a history as large.
    ///
    /// # Errors
    /// [`Error::NotFinite`] where a logit is a NaN or an infinity; [`Error::Option`] where a biased token is not in the
    /// vocabulary, or where no token is allowed.
    pub fn sample(&mut self, logits: &mut [f32], history: &[u32], position: u64) -> Result<u32> {
        let count = logits.iter().filter(|logit| !logit.is_finite()).count();
        if count > 0 {
            return Err(Error::NotFinite { count });
        }
        self.bias(logits)?;
        self.penalize(logits, history);
        let Some(best) = likeliest(logits) else {
            return Err(Error::option("--logit-bias", format!("all {} tokens are forbidden", logits.len())));
        };
        if self.options.is_greedy() {
            return Ok(best.id);
        }
        let draw = self.draw(position);
        self.top_k(logits, draw);
        self.top_p_and_min_p(best.logit, draw);
        Ok(self.choose(best, draw))
    }

    fn bias(&self, logits: &mut [f32]) -> Result<()> {
        let vocabulary = logits.len();
        for &(token, bias) in &self.options.logit_bias {
            let Some(logit) = logits.get_mut(token as usize) else {
                let reason = format!("token {token} is not in the model's vocabulary of {vocabulary}");
                return Err(Error::option("--logit-bias", reason));
            };
            *logit = if bias == FORBIDDEN { FORBIDDEN } else { shifted(*logit, |logit| logit + bias) };
        }
        Ok(())
    }

    /// Keskar et al. 2019 (arXiv 1909.05858) for repetition, with llama.cpp's care for negative logits.
    fn penalize(&mut self, logits: &mut [f32], history: &[u32]) {
        if !self.options.penalizes() {
            return;
        }
        self.recent.clear();
        self.recent.extend_from_slice(self.options.recent(history));
        self.recent.sort_unstable();
        let SamplerOptions { repeat_penalty, frequency_penalty, presence_penalty, .. } = self.options;
        for occurrences in self.recent.chunk_by(|a, b| a == b) {
            if let Some(logit) = logits.get_mut(occurrences[0] as usize) {
                let taken = occurrences.len() as f32 * frequency_penalty + presence_penalty;
                *logit = shifted(*logit, |x| if x > 0.0 { x / repeat_penalty } else { x * repeat_penalty });
                *logit = shifted(*logit, |x| x - taken);
            }
        }
    }

    /// Gathers the allowed tokens, or the `top_k` likeliest of them, in the order of their ids.
    fn top_k(&mut self, logits: &[f32], draw: Draw) {
        self.candidates.clear();
        self.candidates.reserve(logits.len());
        let all = (0u32..).zip(logits).map(|(id, &logit)| Candidate { id, logit, odds: 0 });
        self.candidates.extend(all.filter(|candidate| candidate.logit > FORBIDDEN));
        let k = draw.top_k(self.candidates.len());
        if k < self.candidates.len() {
            self.candidates.select_nth_unstable_by(k - 1, likelier);
            self.candidates.truncate(k);
            self.candidates.sort_unstable_by_key(|candidate| candidate.id);
        }
    }

    /// Drops candidates outside the nucleus (Holtzman et al. 2020, arXiv 1904.09751), and those less than `min_p` times
    /// as likely as the likeliest (Nguyen et al. 2024, arXiv 2407.01082).
    ///
    /// Top-p needs the odds of all and then an order, which is spared those that min-p drops anyway. Odds may be off by a
    /// little, and of two logits next to each other the lower one's be the larger.
    fn top_p_and_min_p(&mut self, best: f32, draw: Draw) {
        for candidate in &mut self.candidates {
            candidate.odds = odds(best, candidate.logit, Rate::new(1.0));
        }
        let whole = self.candidates.iter().map(|candidate| u64::from(candidate.odds)).sum();
        if draw.has_top_p() {
            self.candidates.retain(|candidate| draw.min_p(candidate.odds.saturating_add(ERROR)));
            self.candidates.sort_unstable_by(likelier);
            let nucleus = self.reaching(draw.nucleus(whole));
            self.candidates.truncate(nucleus + 1);
            self.candidates.sort_unstable_by_key(|candidate| candidate.id);
        }
        self.candidates.retain(|candidate| draw.min_p(candidate.odds));
    }

    /// One of the candidates, by chance; `best` is among them.
    fn choose(&mut self, best: Candidate, draw: Draw) -> u32 {
        for candidate in &mut self.candidates {
            candidate.odds = draw.odds(best.logit, candidate.logit);
        }
        let whole = self.candidates.iter().map(|candidate| u64::from(candidate.odds)).sum();
        let chosen = self.candidates.get(self.reaching(draw.target(whole)));
        chosen.map_or(best.id, |candidate| candidate.id)
    }

    /// The first candidate at which the sum of odds is `target` at least.
    fn reaching(&self, target: u64) -> usize {
        let mut sum = 0;
        let reaches = |candidate: &Candidate| {
            sum += u64::from(candidate.odds);
            sum >= target
        };
        self.candidates.iter().position(reaches).unwrap_or(self.candidates.len())
    }
}

/// The first of the largest logits; `None` where every token is forbidden.
fn likeliest(logits: &[f32]) -> Option<Candidate> {
    let mut best = None;
    let mut largest = FORBIDDEN;
    for (id, &logit) in (0u32..).zip(logits) {
        if logit > largest {
            largest = logit;
            best = Some(Candidate { id, logit, odds: ONE });
        }
    }
    best
}

/// The order of candidates: larger logits first, of equal ones (0 and -0 among them) the lower id.
fn likelier(a: &Candidate, b: &Candidate) -> std::cmp::Ordering {
    b.logit.partial_cmp(&a.logit).unwrap_or(std::cmp::Ordering::Equal).then(a.id.cmp(&b.id))
}

/// `change(logit)`, kept finite where that overflows; a forbidden token stays forbidden.
fn shifted(logit: f32, change: impl Fn(f32) -> f32) -> f32 {
    if logit == FORBIDDEN { FORBIDDEN } else { change(logit).clamp(f32::MIN, f32::MAX) }
}
