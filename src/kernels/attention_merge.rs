//! `attention_merge`: y = Σ e^(mᵢ − m) sᵢ / Σ e^(mᵢ − m) tᵢ over the chunks of a token's keys, m the largest mᵢ.
//!
//! What [`attention`](super::attention) makes of chunk i is the largest score mᵢ, the total tᵢ of e^(score − mᵢ), and the
//! sums sᵢ of e^(score − mᵢ) times the values: Dao et al. 2023, "Flash-Decoding".

use super::attention::{Chunks, Heads};
use super::{Launch, NOTHING, Policy, WORKGROUP, fold, launch as make, params};

params! {
    /// The shader's `Params`.
    pub struct Params {
        /// How many tokens.
        tokens: u32,
        /// Query heads of a token.
        heads: u32,
        /// Keys that a token sees, itself included; 0 for all.
        window: u32,
        /// Chunks of a head of a token that there is room for.
        chunks: u32,
    }
}

/// Threads where a processor runs them.
const FEW: u32 = 8;

/// Merges what attention with these chunks has left of `tokens` tokens. Binds `partials`, `positions`, `sequences`, `y`.
pub fn launch(tokens: usize, heads: Heads, chunks: Chunks, policy: Policy) -> Launch {
    let params = Params {
        tokens: tokens as u32,
        heads: heads.heads as u32,
        window: heads.window.unwrap_or(0) as u32,
        chunks: chunks.room as u32,
    };
    let threads = if policy.processor { FEW } else { WORKGROUP };
    let mut constants = vec![("WORKGROUP", threads), ("HEAD_QUADS", (heads.head_dim / 4) as u32)];
    constants.extend(chunks.constants());
    let grid = fold(tokens * heads.heads);
    make("attention_merge", "attention_merge", vec![policy.rung.reduce()], constants, params, grid)
}

/// The definition; a token of no sequence gives zeros. `partials` is (token, head, chunk, head_dim + 4): the sums, the
/// largest score, the total, and two numbers more.
pub fn reference(partials: &[f64], positions: &[u32], sequences: &[u32], heads: Heads, chunks: Chunks) -> Vec<f64> {
    let row = heads.head_dim + 4;
    let mut y = Vec::with_capacity(positions.len() * heads.heads * heads.head_dim);
    for (item, partials) in partials.chunks(chunks.room * row).enumerate() {
        let token = item / heads.heads;
        if sequences[token] == NOTHING {
            y.extend(vec![0.0; heads.head_dim]);
            continue;
        }
        let count = chunks.count(positions[token] as usize, heads.window);
        let parts = || partials.chunks(row).take(count);
        let largest = parts().map(|part| part[heads.head_dim]).fold(f64::NEG_INFINITY, f64::max);
        let weight = |part: &[f64]| (part[heads.head_dim] - largest).exp();
        let total: f64 = parts().map(|part| weight(part) * part[heads.head_dim + 1]).sum();
        y.extend((0..heads.head_dim).map(|i| parts().map(|part| weight(part) * part[i]).sum::<f64>() / total));
    }
    y
}
