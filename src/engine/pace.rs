//! How much of a prompt a step takes, and how a step is divided into submissions, so that none keeps the device for long.
//!
//! Drivers stop a program that keeps a GPU for seconds, and screens stand still meanwhile. Where a processor runs the
//! shaders nobody watches, and steps are as large as the options allow. Elsewhere there are two bounds. A submission's is
//! for the screen: a step that is foreseen to take longer is submitted in parts, between dispatches. A step's is for
//! whoever waits, with a Ctrl-C or a word for another session, and lets a fast device have steps as large as it is fast
//! with: prompts begin with a small one, and the next are as large as the speed that was seen allows. The time comes from
//! a clock that is handed in: the engine needs none to run.
//!
//! A processor's driver takes about a second to build the kernels of steps of many tokens. So a first short prompt is
//! computed there token by token, by the kernels that its answer needs anyway, as long as that takes less.

use super::EngineOptions;
use crate::gpu::Done;
use crate::graph::Cost;
use crate::kernels::linear::MATVEC_TOKENS;
use crate::runtime::Ticket;
use crate::tensor::Caps;
use std::time::Duration;

/// Reads a clock: the time since any fixed moment.
pub type Now = Box<dyn Fn() -> Duration + Send + Sync>;

/// How long a submission may keep the device, and what is known of its speed.
///
/// ```
/// use quernel::engine::Pace;
/// use std::time::{Duration, Instant};
/// let begin = Instant::now();
/// let pace = Pace::new(Duration::from_millis(50), Some(Box::new(move || begin.elapsed())));
/// assert_eq!(pace.tokens(512), Pace::FIRST);
/// assert_eq!(Pace::unbounded().tokens(512), 512);
/// ```
pub struct Pace {
    /// `None` for no bound.
    bound: Option<Duration>,
    now: Option<Now>,
    /// Tokens of a step that has a part of a prompt.
    tokens: usize,
    /// Multiplications and additions of a prompt in a second.
    speed: f64,
    /// The step of a prompt that was submitted last, where its end was not seen yet.
    under_way: Option<UnderWay>,
    /// When the one before it ended.
    ended: Duration,
    /// Bytes that prompts may still read token by token.
    single: u64,
}

/// A step of a prompt that was submitted.
pub(super) struct UnderWay {
    pub(super) ticket: Ticket,
    /// Tells that it has run.
    pub(super) done: Done,
    pub(super) work: Work,
}

/// What a step had to do, and since when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Work {
    pub(super) began: Duration,
    /// Its tokens, with those that fill it up.
    pub(super) tokens: usize,
    pub(super) flops: f64,
}

/// How the end of a step was met.
#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    /// It was awaited, and came just now.
    Awaited,
    /// It had come when it was to be awaited, in the call that it was submitted in or in the next.
    Passed,
    /// It had come when the next call was made: some time ago.
    Unseen,
}

impl End {
    /// Of a step that is awaited now, and had `ended` before.
    pub(super) fn awaited(ended: bool) -> Self {
        if ended { Self::Passed } else { Self::Awaited }
    }
}

/// How long a step took.
#[derive(Debug, Clone, Copy)]
enum Took {
    /// So long, or a little less.
    Exactly(Duration),
    /// No longer, and perhaps far less.
    AtMost(Duration),
}

impl Pace {
    /// What a submission may take by default: a frame or three of a screen, and far from what drivers allow.
    pub const BOUND: Duration = Duration::from_millis(50);

    /// Tokens of a prompt's first step.
    pub const FIRST: usize = 128;

    /// Tokens below which no step is made shorter: each reads all weights.
    pub const LEAST: usize = 64;

    /// Times that a step may take as long as a submission may: half a second by default.
    const SUBMISSIONS: u32 = 10;

    /// What prompts may read token by token: a tenth of a second of a processor's time.
    const SINGLE: u64 = 1 << 30;

    /// What a token takes besides its weights, as the bytes that are read in that time.
    const TOKEN: u64 = 16 << 20;

    /// The speed of a small integrated GPU, for what is submitted before anything was measured.
    const CAUTIOUS: f64 = 2e11;

    /// Submissions of at most `bound`, by what `now` tells. Without a clock steps stay small, and their parts too.
    pub fn new(bound: Duration, now: Option<Now>) -> Self {
        let (bound, ended) = (Some(bound), Duration::ZERO);
        Self { bound, now, tokens: Self::FIRST, speed: Self::CAUTIOUS, under_way: None, ended, single: 0 }
    }

    /// Steps as large as the options allow, each one submission.
    pub fn unbounded() -> Self {
        Self { bound: None, ..Self::new(Duration::MAX, None) }
    }

    /// [`BOUND`](Self::BOUND) by the system's clock, if it has one; where a processor runs the shaders no bound, and
    /// short prompts token by token until there is a longer one.
    pub fn of(caps: &Caps) -> Self {
        match caps.processor {
            true => Self { single: Self::SINGLE, ..Self::unbounded() },
            false => Self::new(Self::BOUND, system_clock()),
        }
    }

    /// Takes all prompts by the kernels that are made for them, from the first on.
    #[must_use]
    pub fn eager(self) -> Self {
        Self { single: 0, ..self }
    }

    /// Whether a prompt of so many tokens, of a model with so many bytes of weights, is computed token by token: asked
    /// before each of its steps.
    pub(super) fn single(&mut self, tokens: usize, weights: u64) -> bool {
        let token = weights.saturating_add(Self::TOKEN);
        match self.single.checked_sub(token.saturating_mul(tokens as u64)) {
            Some(_) => self.single -= token,
            // Now the kernels of longer steps are built, and serve every prompt.
            None => self.single = 0,
        }
        self.single > 0
    }

    /// Tokens that a step may have, of `most` that the options allow.
    pub fn tokens(&self, most: usize) -> usize {
        if self.bound.is_some() { self.tokens.min(most) } else { most }
    }

    /// Where a step is divided: the dispatches that a submission begins with, after the first. `dispatches` are what each
    /// costs. Decoding is bound by memory and short: such steps are not divided.
    pub fn cuts(&self, tokens: usize, dispatches: impl Iterator<Item = Cost>) -> Vec<usize> {
        let Some(bound) = self.bound.filter(|_| tokens > MATVEC_TOKENS) else { return Vec::new() };
        let (most, mut part, mut cuts) = (self.speed * bound.as_secs_f64(), 0.0, Vec::new());
        for (index, cost) in dispatches.enumerate() {
            if index > 0 && part + cost.flops > most {
                cuts.push(index);
                part = 0.0;
            }
            part += cost.flops;
        }
        cuts
    }

    /// The time, where steps of prompts are to be measured.
    pub(super) fn now(&self) -> Option<Duration> {
        self.bound.and(self.now.as_ref()).map(|now| now())
    }

    /// Notes that a step of a prompt was submitted; the one before it, whose end is to be awaited now: the device has more to
    /// do meanwhile.
    pub(super) fn submitted(&mut self, step: Option<UnderWay>) -> Option<UnderWay> {
        let measured = step.filter(|step| step.work.tokens > MATVEC_TOKENS);
        std::mem::replace(&mut self.under_way, measured)
    }

    /// The step whose end was not seen yet.
    pub(super) fn under_way(&mut self) -> &mut Option<UnderWay> {
        &mut self.under_way
    }

    /// Learns from a step that has ended.
    pub(super) fn learn(&mut self, work: Work, end: End) {
        if let (Some(now), Some(bound)) = (self.now(), self.bound) {
            let whole = now.saturating_sub(work.began);
            let took = match end {
                // Until the one before had ended, it waited.
                End::Awaited => Took::Exactly(whole.min(now.saturating_sub(self.ended))),
                End::Passed => Took::Exactly(whole),
                End::Unseen => Took::AtMost(whole),
            };
            if let End::Awaited = end {
                self.ended = now;
            }
            self.adapt(bound, took, work.tokens, work.flops);
            tracing::debug!(tokens = work.tokens, ?took, next = self.tokens, "a step of a prompt");
        }
    }

    /// Adapts to a step of `tokens` tokens that took so long.
    fn adapt(&mut self, bound: Duration, took: Took, tokens: usize, flops: f64) {
        let (Took::Exactly(time) | Took::AtMost(time)) = took;
        let seconds = time.as_secs_f64().max(1e-9);
        let step = bound.saturating_mul(Self::SUBMISSIONS).as_secs_f64();
        // A power of two that takes this share of a step's bound, where each token takes what one of these did.
        let tokens_in = |share: f64| 1 << ((share * step / seconds * tokens as f64) as usize).max(1).ilog2();
        let known = if matches!(took, Took::AtMost(_)) { self.speed } else { 0.0 };
        self.speed = known.max(flops / seconds);
        if matches!(took, Took::Exactly(_)) && seconds > step {
            self.tokens = self.tokens.min(tokens_in(1.0)).max(Self::LEAST);
        } else if tokens >= self.tokens {
            // Twice as many take a little more than twice as long; no step is to grow only to shrink again.
            self.tokens = self.tokens.max(tokens_in(0.8)).min(EngineOptions::MAX_BATCH);
        }
    }
}

#[cfg(not(target_family = "wasm"))]
fn system_clock() -> Option<Now> {
    let begin = std::time::Instant::now();
    Some(Box::new(move || begin.elapsed()))
}

/// A browser's is coarse on purpose, and comes from outside.
#[cfg(target_family = "wasm")]
fn system_clock() -> Option<Now> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: Duration = Duration::from_millis(50);

    /// A model of a hundred dispatches, alike.
    fn dispatches(tokens: usize) -> Vec<Cost> {
        vec![Cost { bytes: 0.0, flops: 2e7 * tokens as f64 }; 100]
    }

    fn flops(tokens: usize) -> f64 {
        dispatches(tokens).iter().map(|dispatch| dispatch.flops).sum()
    }

    /// Steps on a device that computes so many flops a second: what they had of tokens and of submissions.
    fn steps(pace: &mut Pace, speed: f64, count: usize) -> Vec<(usize, usize)> {
        let step = |_| {
            let tokens = pace.tokens(2048);
            let parts = 1 + pace.cuts(tokens, dispatches(tokens).into_iter()).len();
            let took = Took::Exactly(Duration::from_secs_f64(flops(tokens) / speed));
            pace.adapt(BOUND, took, tokens, flops(tokens));
            (tokens, parts)
        };
        (0..count).map(step).collect()
    }

    #[test]
    fn a_fast_device_gets_large_steps_at_once() {
        let mut pace = Pace::new(BOUND, None);
        // Nothing is known at first: 256 G of flops are no moment for a small device. Then 2048 tokens take 37 ms.
        let grown = steps(&mut pace, 1.1e14, 3);
        assert!(grown[0].0 == 128 && grown[0].1 > 10 && grown[1..] == [(2048, 1); 2], "{grown:?}");
        // A device that is a fifth as fast keeps them, as parts of 50 ms; they shrink where they take over half a second.
        assert_eq!(steps(&mut pace, 2.2e13, 3), [(2048, 1), (2048, 4), (2048, 4)]);
        assert_eq!(steps(&mut pace, 5e12, 3), [(2048, 4), (1024, 9), (1024, 9)]);
    }

    #[test]
    fn a_slow_device_gets_small_steps_in_parts_that_keep_the_bound() {
        let mut pace = Pace::new(BOUND, None);
        // 128 tokens take 256 ms: twice as many would take more than the bound when attention is counted.
        assert_eq!(steps(&mut pace, 1e12, 4)[1..], [(128, 6); 3]);
        // 2.56 s: fewer than 64 do not make up for reading all weights.
        let slow = steps(&mut pace, 1e11, 4);
        assert_eq!(slow.iter().map(|step| step.0).collect::<Vec<_>>(), [128, 64, 64, 64]);
        assert_eq!(pace.cuts(64, vec![Cost { bytes: 0.0, flops: 1.28e9 }; 100].into_iter())[..3], [3, 6, 9]);
        // A dispatch is never divided.
        assert_eq!(pace.cuts(64, vec![Cost { bytes: 0.0, flops: 1e15 }; 3].into_iter()), [1, 2]);
        // Nor is decoding, whose time its flops do not tell.
        assert!(pace.cuts(1, vec![Cost { bytes: 0.0, flops: 1e15 }; 3].into_iter()).is_empty());
    }

    /// Two steps are on their way, and the host stands still until both have ended: nobody knows how long the second took.
    #[test]
    fn a_step_that_ended_unseen_is_not_taken_for_a_fast_one() {
        let time = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
        let clock = std::sync::Arc::clone(&time);
        let now = move || Duration::from_millis(clock.load(std::sync::atomic::Ordering::Relaxed));
        let mut pace = Pace::new(BOUND, Some(Box::new(now)));
        let at = |milliseconds| time.store(milliseconds, std::sync::atomic::Ordering::Relaxed);
        let step = |began| Work { began: Duration::from_millis(began), tokens: 128, flops: flops(128) };
        at(5000);
        pace.learn(step(0), End::Awaited);
        pace.learn(step(1), End::Unseen);
        assert_eq!(pace.tokens, Pace::LEAST);
        assert!(pace.speed < 1e11, "{}", pace.speed);
        // A step that was awaited began when the one before it was seen to end.
        at(5100);
        pace.learn(step(4900), End::Awaited);
        assert!((pace.speed / (flops(128) / 0.1) - 1.0).abs() < 1e-9);
        // Of one that ended meanwhile nobody knows when it began: too long is better than too short.
        at(5101);
        pace.learn(step(4901), End::Passed);
        assert!((pace.speed / (flops(128) / 0.2) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_pause_of_the_caller_slows_nothing_down() {
        let mut pace = Pace::new(BOUND, None);
        steps(&mut pace, 1.1e14, 2);
        let (tokens, speed) = (pace.tokens, pace.speed);
        pace.adapt(BOUND, Took::AtMost(Duration::from_secs(60)), 2048, flops(2048));
        assert_eq!((pace.tokens, pace.speed), (tokens, speed));
        // What ended early all the same is fast.
        let mut pace = Pace::new(BOUND, None);
        pace.adapt(BOUND, Took::AtMost(Duration::from_millis(10)), 128, flops(128));
        assert_eq!(pace.tokens, EngineOptions::MAX_BATCH);
        assert!(pace.speed > Pace::CAUTIOUS);
    }

    #[test]
    fn without_a_bound_steps_are_whole() {
        let pace = Pace::of(&Caps { processor: true, ..Caps::baseline() });
        assert_eq!(pace.tokens(4096), 4096);
        assert!(pace.cuts(512, vec![Cost { bytes: 0.0, flops: 1e15 }; 9].into_iter()).is_empty());
        assert!(pace.now().is_none());
        assert_eq!(Pace::of(&Caps::baseline()).tokens(4096), Pace::FIRST);
    }

    #[test]
    fn a_processor_takes_short_prompts_of_small_models_token_by_token_until_one_is_long() {
        let processor = Caps { processor: true, ..Caps::baseline() };
        let mut pace = Pace::of(&processor);
        let prompt =
            |pace: &mut Pace, tokens: usize, weights| (1..=tokens).rev().all(|left| pace.single(left, weights));
        assert!(prompt(&mut pace, 12, 4 << 20) && prompt(&mut pace, 12, 4 << 20));
        assert!(!prompt(&mut pace, 1000, 4 << 20));
        assert!(!prompt(&mut pace, 2, 4 << 20), "the kernels for many are there now");
        assert!(!prompt(&mut Pace::of(&processor), 12, 1 << 30) && !Pace::of(&processor).single(usize::MAX, u64::MAX));
        assert!(!prompt(&mut Pace::of(&processor).eager(), 2, 0) && !prompt(&mut Pace::of(&Caps::baseline()), 2, 0));
    }
}
