//! Running one test on an engine, and taking the time.

use crate::Result;
use crate::engine::{Engine, SamplerOptions, Session};
use crate::kernels::random::{self, Numbers};
use std::fmt;
use std::time::{Duration, Instant};

/// What is measured: a prompt, an answer, or both one after the other.
///
/// ```
/// use quernel::bench::Test;
/// assert_eq!(Test { prompt: 512, generated: 0, depth: 0 }.to_string(), "pp512");
/// assert_eq!(Test { prompt: 4096, generated: 128, depth: 512 }.to_string(), "pp4096+tg128 @ d512");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Test {
    /// Tokens of the prompt.
    pub prompt: usize,
    /// Tokens of the answer.
    pub generated: usize,
    /// Tokens that the cache holds before.
    pub depth: usize,
}

impl Test {
    /// Tokens whose time is taken.
    pub fn tokens(&self) -> usize {
        self.prompt.saturating_add(self.generated)
    }

    /// Tokens that the context must hold: the last one chosen is kept too.
    pub fn context(&self) -> usize {
        self.depth.saturating_add(self.tokens()).saturating_add(1)
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.prompt, self.generated) {
            (prompt, 0) => write!(f, "pp{prompt}")?,
            (0, generated) => write!(f, "tg{generated}")?,
            (prompt, generated) => write!(f, "pp{prompt}+tg{generated}")?,
        }
        if self.depth > 0 {
            write!(f, " @ d{}", self.depth)?;
        }
        Ok(())
    }
}

/// How often, and how carefully.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protocol {
    /// Samples of each test.
    pub repetitions: usize,
    /// Run the test before, so that shaders are compiled and memory is there: once, and again while the engine still learns
    /// how much of a prompt to take at a time.
    pub warmup: bool,
    /// Rest before each test, for a device that gets hot.
    pub delay: Duration,
}

/// Runs before a test at most: the engine soon knows how many tokens of a prompt to take at a time.
pub(super) const WARM_UPS: usize = 8;

/// One run of a test.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sample {
    /// From the first token's being handed over to the last one's being there.
    pub whole: Duration,
    /// Until the first new token was there.
    pub first: Duration,
    /// From token to token after that.
    pub steps: Vec<Duration>,
    /// Most tokens that a call of [`Engine::step`] took until the first new token was there: as many as the options allow,
    /// or as the device computes in the time that a step may take.
    pub step_tokens: usize,
}

/// A test with what was measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    /// The test.
    pub test: Test,
    /// Its runs.
    pub samples: Vec<Sample>,
    /// Bytes of all buffers on the device afterwards; none is given back while an engine lives.
    pub gpu_bytes: u64,
}

impl Measured {
    /// Tokens per second of each sample.
    pub fn rates(&self) -> Vec<f64> {
        let tokens = self.test.tokens() as f64;
        self.samples.iter().map(|sample| tokens / sample.whole.as_secs_f64().max(1e-9)).collect()
    }
}

/// Runs `test` on `engine`, telling `told` what it is about to do.
///
/// The tokens are made up, and the next one is the likeliest, chosen on the device: neither a tokenizer nor a sampler
/// takes part.
///
/// # Errors
/// As [`Engine::step`].
pub async fn measure(
    engine: &mut Engine,
    test: Test,
    protocol: Protocol,
    told: &mut dyn FnMut(&str),
) -> Result<Measured> {
    std::thread::sleep(protocol.delay);
    if test.depth > 0 {
        told("filling the cache");
    }
    let mut session = fill(engine, test.depth).await?;
    if protocol.warmup {
        told("warming up");
        let short = Test { generated: test.generated.min(2), ..test };
        for _ in 0..WARM_UPS {
            let before = engine.pace().tokens(usize::MAX);
            run(engine, &mut session, short).await?;
            if engine.pace().tokens(usize::MAX) == before {
                break;
            }
        }
    }
    let mut samples = Vec::with_capacity(protocol.repetitions);
    for repetition in 1..=protocol.repetitions {
        told(&format!("run {repetition} of {}", protocol.repetitions));
        samples.push(run(engine, &mut session, test).await?);
    }
    Ok(Measured { test, samples, gpu_bytes: engine.gpu().allocated() })
}

/// A session with the keys and values of `depth` tokens.
pub(super) async fn fill(engine: &mut Engine, depth: usize) -> Result<Session> {
    let mut session = engine.session(SamplerOptions::greedy(), 0)?;
    session.push(&tokens(engine, 0, depth))?;
    while session.computed() < depth {
        engine.step(&mut [&mut session]).await?;
    }
    Ok(session)
}

/// One run, after `test.depth` tokens.
async fn run(engine: &mut Engine, session: &mut Session, test: Test) -> Result<Sample> {
    let prompt = rewind(engine, session, test).await?;
    let mut sample = Sample::default();
    let begin = Instant::now();
    session.push(&prompt)?;
    let given = session.tokens().len();
    while session.tokens().len() == given {
        let computed = session.computed();
        engine.step(&mut [&mut *session]).await?;
        sample.step_tokens = sample.step_tokens.max(session.computed() - computed);
    }
    sample.first = begin.elapsed();
    // Without a prompt the first token was the answer's.
    let rest = test.generated.saturating_sub(usize::from(test.prompt == 0));
    let mut before = sample.first;
    for _ in 0..rest {
        engine.step(&mut [&mut *session]).await?;
        let now = begin.elapsed();
        sample.steps.push(now - before);
        before = now;
    }
    sample.whole = before;
    Ok(sample)
}

/// Takes a session back to where `test` begins, with nothing left to do for the device. The tokens to be pushed there.
pub(super) async fn rewind(engine: &Engine, session: &mut Session, test: Test) -> Result<Vec<u32>> {
    // A session may keep its last token to compute it again, so that one more than the depth is as good.
    session.truncate(test.depth + 1);
    if session.computed() > test.depth {
        session.truncate(test.depth);
    }
    engine.gpu().finished().await?;
    let waiting = session.waiting();
    Ok(tokens(engine, test.depth + waiting, test.prompt.max(1).saturating_sub(waiting)))
}

/// Made-up tokens for the positions from `first` on.
fn tokens(engine: &Engine, first: usize, count: usize) -> Vec<u32> {
    // Two bytes a token; a vocabulary larger than that is met in part.
    let numbers = Numbers { seed: 1, exponent: 0 };
    let bytes = random::reference(numbers, first..first + count, 2);
    let byte = |odd: f64| ((odd + 255.0) / 2.0) as usize;
    bytes.chunks(2).map(|two| ((byte(two[0]) << 8 | byte(two[1])) % engine.model().vocab()) as u32).collect()
}
