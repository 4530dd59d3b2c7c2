//! Which token comes next.
//!
//! The chain is llama.cpp's default chain without the links that this house does not have, in the same order: logit
//! bias, penalties, top-k, top-p, min-p, temperature, draw. Temperature comes last, so top-p and min-p see the model's
//! own probabilities. (llama.cpp's is: penalties, DRY, top-nσ, top-k, typical-p, top-p, min-p, XTC, temperature, with
//! the bias before them.)
//!
//! Every sum is in `f64` and in an order that the ids or the logits determine, and [`exp`] is plain arithmetic: the same
//! logits, seed and position give the same token on any machine. This module knows of no model, GPU or text.

mod exp;
mod options;
#[cfg(test)]
mod tests;

pub use options::SamplerOptions;

use super::Rng;
use crate::{Error, Result};
use exp::exp;

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

/// A token that may still be chosen.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    id: u32,
    logit: f32,
    /// Its probability by that of the likeliest.
    weight: f64,
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
        self.top_k(logits);
        self.top_p_and_min_p(best.logit);
        Ok(self.draw(best, position))
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
    fn top_k(&mut self, logits: &[f32]) {
        self.candidates.clear();
        self.candidates.reserve(logits.len());
        let all = (0u32..).zip(logits).map(|(id, &logit)| Candidate { id, logit, weight: 0.0 });
        self.candidates.extend(all.filter(|candidate| candidate.logit > FORBIDDEN));
        let k = self.options.top_k;
        if k > 0 && k < self.candidates.len() {
            self.candidates.select_nth_unstable_by(k - 1, likelier);
            self.candidates.truncate(k);
            self.candidates.sort_unstable_by_key(|candidate| candidate.id);
        }
    }

    /// Drops candidates outside the nucleus (Holtzman et al. 2020, arXiv 1904.09751), and those less than `min_p` times
    /// as likely as the likeliest (Nguyen et al. 2024, arXiv 2407.01082).
    ///
    /// Both keep a prefix of the candidates from the likeliest down, so that which comes first is of no consequence once
    /// the mass of all is known; and the one that needs no order goes first.
    fn top_p_and_min_p(&mut self, best: f32) {
        let (top_p, min_p) = (f64::from(self.options.top_p), f64::from(self.options.min_p));
        if top_p >= 1.0 && min_p <= 0.0 {
            return;
        }
        for candidate in &mut self.candidates {
            candidate.weight = exp(f64::from(candidate.logit) - f64::from(best));
        }
        let mass: f64 = self.candidates.iter().map(|candidate| candidate.weight).sum();
        self.candidates.retain(|candidate| candidate.weight >= min_p);
        if top_p < 1.0 {
            self.candidates.sort_unstable_by(likelier);
            let mut sum = 0.0;
            let nucleus = self.candidates.iter().position(|candidate| {
                sum += candidate.weight;
                sum >= top_p * mass
            });
            self.candidates.truncate(nucleus.map_or(usize::MAX, |last| last + 1));
        }
    }

    /// One of the candidates, by chance; `best` is among them.
    fn draw(&mut self, best: Candidate, position: u64) -> u32 {
        let temperature = f64::from(self.options.temperature);
        let mut mass = 0.0;
        for candidate in &mut self.candidates {
            candidate.weight = exp((f64::from(candidate.logit) - f64::from(best.logit)) / temperature);
            mass += candidate.weight;
        }
        let target = self.rng.uniform(position) * mass;
        let mut sum = 0.0;
        let chosen = self.candidates.iter().find(|candidate| {
            sum += candidate.weight;
            sum > target
        });
        // Rounding can put the target on the whole mass, by one chance in 2⁵³.
        chosen.map_or(best.id, |candidate| candidate.id)
    }
}

/// The first of the largest logits; `None` where every token is forbidden.
fn likeliest(logits: &[f32]) -> Option<Candidate> {
    let mut best = None;
    let mut largest = FORBIDDEN;
    for (id, &logit) in (0u32..).zip(logits) {
        if logit > largest {
            largest = logit;
            best = Some(Candidate { id, logit, weight: 1.0 });
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
