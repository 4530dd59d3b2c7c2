//! How well a model foretells a text, and how far narrower weights or a narrower cache lead it from the model itself.
//!
//! Perplexity is e to the mean of −ln p over the text's tokens, p being what the model gave the token that comes. Its
//! change tells little: errors in both directions cancel. So two engines may be run side by side on the same tokens,
//! and what is compared is the whole distribution: the Kullback-Leibler divergence Σ p ln(p / q) of q, the engine
//! measured, from p, the reference. Distributions are computed in `f64` from the logits.

mod tally;
mod windows;

pub use tally::{Comparison, Mean, Perplexity};
pub use windows::Windows;

use super::{Engine, SamplerOptions, Session};
use crate::{Error, Result};
use std::ops::Range;
use tally::Tally;

impl Engine {
    /// Measures this engine on a text, beside a reference engine of the same model where one is given. `progress` is
    /// told the tokens done and the tokens in all.
    ///
    /// # Errors
    /// [`Error::Option`] where a window is longer than an engine's context, or the reference has another vocabulary;
    /// and what [`Engine::next_logits`] returns.
    pub async fn perplexity(
        &mut self,
        windows: &Windows,
        mut reference: Option<&mut Self>,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Perplexity> {
        for engine in [Some(&*self), reference.as_deref()].into_iter().flatten() {
            if windows.context() > engine.context() {
                let reason = format!("a window of {} tokens in a context of {}", windows.context(), engine.context());
                return Err(Error::option("--ctx-size", reason));
            }
        }
        let vocab = self.model().vocab();
        if let Some(other) = reference.as_deref().map(|engine| engine.model().vocab()).filter(|&other| other != vocab) {
            let reason = format!("has {other} tokens in its vocabulary, and the model measured has {vocab}");
            return Err(Error::option("--against", reason));
        }
        let mut tally = Tally::default();
        for window in 0..windows.len() {
            let done = window * windows.context();
            let mut progress = |tokens| progress(done + tokens, windows.len() * windows.context());
            self.score(&windows.tokens(window), windows.scored_positions(), &mut reference, &mut tally, &mut progress)
                .await?;
        }
        Ok(tally.result())
    }

    /// Adds one window to `tally`, block by block, so that only a block's logits are on the host.
    async fn score(
        &mut self,
        tokens: &[u32],
        scored: Range<usize>,
        reference: &mut Option<&mut Self>,
        tally: &mut Tally,
        progress: &mut dyn FnMut(usize),
    ) -> Result<()> {
        let vocab = self.model().vocab();
        let most = reference.as_ref().map_or(usize::MAX, |engine| engine.logits_at_once()).min(self.logits_at_once());
        let mut mine = self.session(SamplerOptions::greedy(), 0)?;
        let mut others = match reference {
            Some(engine) => Some(engine.session(SamplerOptions::greedy(), 0)?),
            None => None,
        };
        // The last token foretells nothing that is known.
        for first in (0..tokens.len() - 1).step_by(most) {
            let block = &tokens[first..(first + most).min(tokens.len() - 1)];
            let logits = self.block(&mut mine, block).await?;
            let other: &[f32] = match (&mut *reference, &mut others) {
                (Some(engine), Some(session)) => engine.block(session, block).await?,
                _ => &[],
            };
            for index in (0..block.len()).filter(|index| scored.contains(&(first + index + 1))) {
                let row = index * vocab..(index + 1) * vocab;
                tally.add(&logits[row.clone()], other.get(row), tokens[first + index + 1])?;
            }
            progress(first + block.len());
        }
        Ok(())
    }

    /// The logits of each of `tokens`, which come after what `session` has.
    async fn block(&mut self, session: &mut Session, tokens: &[u32]) -> Result<&[f32]> {
        session.push(tokens)?;
        self.next_logits(session).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::Checkpoint;
    use crate::engine::EngineOptions;
    use crate::gpu::{Choice, Gpu};
    use crate::kernels::KvFormat;

    /// Windows of a golden checkpoint, in blocks of 8 tokens, beside the logits that transformers gives.
    #[test]
    fn a_golden_checkpoint_is_measured_as_its_logits_say() -> Result<()> {
        let folder = "assets/golden/llama";
        let gpu = pollster::block_on(Gpu::open(&Choice::default()))?;
        let open = |options: EngineOptions| {
            let options = EngineOptions { batch: 8, context: Some(64), ..options };
            pollster::block_on(Engine::open(folder, gpu.clone(), options, &mut |_, _| ()))
        };
        let exact = EngineOptions { kv: KvFormat::F32, ..EngineOptions::default() };
        let (mut halves, mut exact) = (open(EngineOptions::default())?, open(exact)?);
        let expected: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string("assets/golden/llama/expected.json").unwrap()).unwrap();
        let tokens: Vec<u32> = serde_json::from_value(expected["tokens"].clone()).unwrap();
        let golden = Checkpoint::open("assets/golden/llama/expected.safetensors")?;
        let mut bytes = Vec::new();
        golden.read_rows("logits", 0..tokens.len(), &mut bytes)?;
        let logits: Vec<f32> = bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        let mut by_hand = Tally::default();
        for (row, &next) in logits.chunks(exact.model().vocab()).zip(&tokens[1..]) {
            by_hand.add(row, None, next)?;
        }
        let by_hand = by_hand.result();

        // One token more than there are, so that the whole text is one window and all of it is scored.
        let windows = Windows::new(tokens.clone(), None, tokens.len() + 1, None)?;
        let mut done = (0, 0);
        let measured =
            pollster::block_on(halves.perplexity(&windows, Some(&mut exact), &mut |now, all| done = (now, all)))?;
        let against = measured.against.unwrap();
        assert_eq!((measured.scored, by_hand.scored, done.1), (tokens.len() - 1, tokens.len() - 1, tokens.len()));
        assert!((against.perplexity.value / by_hand.perplexity.value - 1.0).abs() < 1e-4, "{against:?} {by_hand:?}");
        assert!(against.divergence.value > 0.0 && against.divergence.value < 1e-3, "{against:?}");
        let itself = pollster::block_on(exact.perplexity(
            &windows,
            Some(&mut open(EngineOptions { kv: KvFormat::F32, ..EngineOptions::default() })?),
            &mut |_, _| (),
        ))?;
        let itself = itself.against.unwrap();
        assert_eq!((itself.divergence_max, itself.top1_agreement), (0.0, 1.0));
        let long = Windows::new(vec![1; 100], None, 65, None)?;
        assert!(pollster::block_on(exact.perplexity(&long, None, &mut |_, _| ())).is_err());
        Ok(())
    }
}
