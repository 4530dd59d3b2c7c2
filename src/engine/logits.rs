//! Logits of every position of a text, for whoever judges texts instead of continuing them.
//!
//! They are many: brought to the host in blocks of a bounded size, whatever the vocabulary.

use super::schedule::Part;
use super::{Engine, SamplerOptions, Session};
use crate::Result;
use crate::model::Outputs;

/// Bytes of logits that are brought to the host at once, where those of every position are wanted.
const LOGITS_AT_ONCE: usize = 16 << 20;

impl Engine {
    /// Computes the logits of every position of `tokens`, handing `each` the first position of a block and its logits,
    /// (positions, vocabulary), in order.
    ///
    /// # Errors
    /// As [`step`](Self::step), and whatever `each` returns.
    pub async fn logits(&mut self, tokens: &[u32], each: &mut dyn FnMut(usize, &[f32]) -> Result<()>) -> Result<()> {
        let mut session = self.session(SamplerOptions::greedy(), 0)?;
        session.push(tokens)?;
        while session.waiting() > 0 {
            let first = session.computed();
            each(first, self.next_logits(&mut session).await?)?;
        }
        Ok(())
    }

    /// Computes waiting tokens of `session`, [`logits_at_once`](Self::logits_at_once) at most: the logits of each of
    /// them, (tokens, vocabulary).
    ///
    /// # Errors
    /// As [`step`](Self::step).
    pub async fn next_logits(&mut self, session: &mut Session) -> Result<&[f32]> {
        session.go_ahead(None);
        let count = session.waiting().min(self.pace.tokens(self.logits_at_once()));
        let parts = [Part { session: 0, tokens: count, last: count == session.waiting() }];
        let parts = if count == 0 { &[] } else { &parts[..] };
        if let Some(ticket) = self.run(&mut [&mut *session], parts, Outputs::Logits, true).await? {
            self.read(&ticket).await?;
            session.commit(count);
        }
        Ok(bytemuck::cast_slice(&self.words[..count * self.model.vocab()]))
    }

    /// Most tokens whose logits are brought to the host at once.
    pub fn logits_at_once(&self) -> usize {
        let most = (LOGITS_AT_ONCE / (4 * self.model.vocab())).clamp(1, self.options.step_tokens());
        // A power of two, so that no step is filled up.
        1 << most.ilog2()
    }
}
