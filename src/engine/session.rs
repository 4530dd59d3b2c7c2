//! One conversation: its tokens, its place in the cache, its sampler.

use super::{PagePool, PageTable, Sampler, SamplerOptions};
use crate::kernels::sample::Draw;
use crate::model::Outputs;
use crate::runtime::Ticket;
use crate::{Error, Result};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The pages of an engine, shared by its sessions.
pub(super) type Pool = Arc<Mutex<PagePool>>;

/// Bookkeeping in a pool is never left half done, so another thread's panic does not spoil it.
pub(super) fn lock(pool: &Pool) -> MutexGuard<'_, PagePool> {
    pool.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A sequence of tokens that an [`Engine`](super::Engine) moves forward.
///
/// Dropping it gives its pages of the cache back.
pub struct Session {
    tokens: Vec<u32>,
    computed: usize,
    table: PageTable,
    sampler: Sampler,
    pool: Pool,
    vocab: usize,
    /// Whether the host draws tokens.
    host: bool,
    logits: Option<Vec<f32>>,
    /// The step of the last token, where it is under way already.
    ahead: Option<Ticket>,
}

impl Session {
    /// Of a model with so many tokens in its vocabulary, on a device that is a `processor` or is not.
    pub(super) fn new(
        pool: &Pool,
        limit: usize,
        (vocab, processor): (usize, bool),
        options: SamplerOptions,
        seed: u64,
    ) -> Result<Self> {
        let sampler = Sampler::new(options, seed)?;
        let table = lock(pool).table(limit);
        let tokens = Vec::with_capacity(table.limit());
        let pool = Arc::clone(pool);
        // A processor's logits are in the host's memory already; there the host is as fast, and a kernel less is built.
        Ok(Self { tokens, computed: 0, table, sampler, pool, vocab, host: processor, logits: None, ahead: None })
    }

    /// Appends tokens, to be computed by the coming steps.
    ///
    /// # Errors
    /// [`Error::ContextFull`] where the context cannot hold them, [`Error::Tokenizer`] where an id is beyond the
    /// vocabulary; the session is then as before.
    pub fn push(&mut self, tokens: &[u32]) -> Result<()> {
        let len = self.tokens.len() + tokens.len();
        if len > self.table.limit() {
            return Err(Error::ContextFull { tokens: len, context: self.table.limit() });
        }
        if let Some(id) = tokens.iter().find(|&&id| id as usize >= self.vocab) {
            return Err(Error::Tokenizer(format!("token {id} is beyond the model's vocabulary of {}", self.vocab)));
        }
        self.tokens.extend_from_slice(tokens);
        self.ahead = self.ahead.take().filter(|_| tokens.is_empty());
        Ok(())
    }

    /// Forgets all tokens but the first `len`: to try another continuation, or to edit what was said.
    ///
    /// The last that is left waits to be computed again, since the next token is chosen from what the model says of it.
    pub fn truncate(&mut self, len: usize) {
        if len >= self.tokens.len() {
            return;
        }
        self.tokens.truncate(len);
        self.ahead = None;
        self.computed = self.computed.min(len.saturating_sub(1));
        lock(&self.pool).truncate(&mut self.table, self.computed);
    }

    /// Draws what is to come by another seed: to hear another answer to the same words.
    ///
    /// # Errors
    /// None that [`Engine::session`](super::Engine::session) would not have returned.
    pub fn reseed(&mut self, seed: u64) -> Result<()> {
        self.ahead = None;
        self.sampler = Sampler::new(self.sampler.options().clone(), seed)?;
        Ok(())
    }

    /// Every token, given and generated.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// Tokens whose keys and values are in the cache.
    pub fn computed(&self) -> usize {
        self.computed
    }

    /// Tokens that are still to be computed.
    pub fn waiting(&self) -> usize {
        self.tokens.len() - self.computed
    }

    /// Tokens that the session can hold.
    pub fn limit(&self) -> usize {
        self.table.limit()
    }

    /// Keeps the logits that each next token is chosen from, for [`logits`](Self::logits), or no longer does.
    ///
    /// They all come to the host then, where otherwise the device chooses.
    pub fn keep_logits(&mut self, keep: bool) {
        self.ahead = None;
        self.logits = keep.then(|| Vec::with_capacity(self.vocab));
    }

    /// What the model said of the last generated token, (vocabulary), before biases and penalties; empty where
    /// [`keep_logits`](Self::keep_logits) did not ask for it beforehand.
    pub fn logits(&self) -> &[f32] {
        self.logits.as_deref().unwrap_or_default()
    }

    /// What the host must read of a step to choose this session's next token.
    pub(super) fn outputs(&self) -> Outputs {
        let options = self.sampler.options();
        match self.logits.is_some() || options.needs_logits() {
            true => Outputs::Logits,
            false if options.is_greedy() => Outputs::Argmax,
            false if self.host => Outputs::Logits,
            false => Outputs::Sample,
        }
    }

    /// How the device draws the token at `position`.
    pub(super) fn draw(&self, position: usize) -> Draw {
        self.sampler.draw(position as u64)
    }

    /// Refuses where the next token could not be kept.
    pub(super) fn expect_room(&self) -> Result<()> {
        match self.tokens.len() < self.limit() {
            true => Ok(()),
            false => Err(Error::ContextFull { tokens: self.tokens.len() + 1, context: self.limit() }),
        }
    }

    /// The next `count` tokens to compute, with room for them in the cache.
    pub(super) fn reserve(&mut self, count: usize) -> Result<()> {
        let end = self.computed + count;
        let more = end.saturating_sub(self.table.len());
        lock(&self.pool).grow(&mut self.table, more)
    }

    /// The step that is under way for the last token, which is then the caller's.
    pub(super) fn take_ahead(&mut self) -> Option<Ticket> {
        self.ahead.take()
    }

    /// A step is under way for the last token, or none is.
    pub(super) fn go_ahead(&mut self, ticket: Option<Ticket>) {
        self.ahead = ticket;
    }

    pub(super) fn table(&self) -> &PageTable {
        &self.table
    }

    /// `count` tokens more are in the cache.
    pub(super) fn commit(&mut self, count: usize) {
        self.computed += count;
    }

    /// Chooses the next token from the logits of the last.
    pub(super) fn sample(&mut self, logits: &mut [f32]) -> Result<u32> {
        if let Some(kept) = &mut self.logits {
            kept.clear();
            kept.extend_from_slice(logits);
        }
        self.sampler.sample(logits, &self.tokens, self.tokens.len() as u64)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        lock(&self.pool).release(std::mem::take(&mut self.table));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_draws_where_it_must_and_where_a_processor_would() -> Result<()> {
        let pool = Arc::new(Mutex::new(PagePool::new(4)?));
        let chain = SamplerOptions::default();
        let penalty = SamplerOptions { repeat_penalty: 1.2, ..chain.clone() };
        for (options, card, processor) in [
            (SamplerOptions::greedy(), Outputs::Argmax, Outputs::Argmax),
            (chain, Outputs::Sample, Outputs::Logits),
            (penalty, Outputs::Logits, Outputs::Logits),
        ] {
            let outputs = |processor| {
                Session::new(&pool, 64, (10, processor), options.clone(), 0).map(|session| session.outputs())
            };
            assert_eq!((outputs(false)?, outputs(true)?), (card, processor));
        }
        Ok(())
    }
}
