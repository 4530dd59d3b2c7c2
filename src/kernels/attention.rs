//! `attention`: y = softmax(scale · q Kᵀ) V over the paged cache: causal, grouped-query, with an optional window.

use super::kv_write::place;
use super::{KvFormat, Launch, NOTHING, PAGE_TOKENS, Rung, WORKGROUP, fold, launch as make, params};

params! {
    /// The shader's `Params`.
    pub struct Params {
        /// How many tokens.
        tokens: u32,
        /// Query heads of a token.
        heads: u32,
        /// Key and value heads of a token.
        kv_heads: u32,
        /// Keys that a token sees, itself included; 0 for all.
        window: u32,
        /// Pages from one sequence's table to the next.
        table_pitch: u32,
        /// What scores are multiplied by.
        scale: f32,
    }
}

/// The largest `head_dim`: one thread of a workgroup for each quad of a head.
pub const MAX_HEAD_DIM: usize = 4 * WORKGROUP as usize;

/// Steps of more tokens than this take several tokens in one workgroup, which then share the keys they read.
const ALONE: usize = 8;

/// What an attention layer is made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Heads {
    /// Query heads; a multiple of `kv_heads`.
    pub heads: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Elements of a head: a multiple of 8, [`MAX_HEAD_DIM`] at most.
    pub head_dim: usize,
    /// What scores are multiplied by, 1/√head_dim as a rule.
    pub scale: f32,
    /// Keys that a token sees, itself included; `None` for all.
    pub window: Option<usize>,
}

/// Attends `tokens` tokens to a cache of `format`, with `table_pitch` pages from one sequence's table to the next.
/// Binds `q`, `positions`, `sequences`, `pages`, `k_cache`, `v_cache`, `y`.
pub fn launch(tokens: usize, heads: Heads, table_pitch: usize, format: KvFormat, rung: Rung) -> Launch {
    let params = Params {
        tokens: tokens as u32,
        heads: heads.heads as u32,
        kv_heads: heads.kv_heads as u32,
        window: heads.window.unwrap_or(0) as u32,
        table_pitch: table_pitch as u32,
        scale: heads.scale,
    };
    let queries = if tokens > ALONE { 4 } else { 1 };
    let constants = vec![
        ("WORKGROUP", WORKGROUP),
        ("QUERIES", queries as u32),
        ("HEAD_QUADS", (heads.head_dim / 4) as u32),
        ("PAGE_TOKENS", PAGE_TOKENS as u32),
    ];
    let grid = fold(heads.heads * tokens.div_ceil(queries));
    make("attention", "attention", vec![rung.reduce(), format.slot()], constants, params, grid)
}

/// One step's tokens, and where their sequences lie in the cache.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    /// The position of each token.
    pub positions: &'a [u32],
    /// The sequence of each token; [`NOTHING`] where a bucket is filled up.
    pub sequences: &'a [u32],
    /// The page of each 32 positions: (sequence, position / 32).
    pub pages: &'a [u32],
    /// Pages from one sequence's table to the next.
    pub table_pitch: usize,
}

/// The definition; a token of no sequence gives zeros. The caches are those that [`kv_write::reference`] fills.
///
/// [`kv_write::reference`]: super::kv_write::reference
pub fn reference(q: &[f64], k_cache: &[f64], v_cache: &[f64], step: Step<'_>, heads: Heads) -> Vec<f64> {
    let mut y = vec![0.0; q.len()];
    let width = heads.heads * heads.head_dim;
    for (token, out) in y.chunks_mut(width).enumerate() {
        if step.sequences[token] == NOTHING {
            continue;
        }
        let position = step.positions[token] as usize;
        let first = heads.window.map_or(0, |window| (position + 1).saturating_sub(window));
        let table = &step.pages[step.sequences[token] as usize * step.table_pitch..];
        for (head, out) in out.chunks_mut(heads.head_dim).enumerate() {
            let query = &q[token * width + head * heads.head_dim..][..heads.head_dim];
            let kv_head = head / (heads.heads / heads.kv_heads);
            let at = |key: usize| {
                let row = table[key / PAGE_TOKENS] as usize * PAGE_TOKENS + key % PAGE_TOKENS;
                place(row, kv_head, heads.kv_heads, heads.head_dim)
            };
            let scores: Vec<f64> = (first..=position)
                .map(|key| {
                    let key = &k_cache[at(key)..][..heads.head_dim];
                    f64::from(heads.scale) * query.iter().zip(key).map(|(q, k)| q * k).sum::<f64>()
                })
                .collect();
            let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let total: f64 = scores.iter().map(|score| (score - largest).exp()).sum();
            for (key, score) in (first..=position).zip(&scores) {
                let chance = (score - largest).exp() / total;
                let value = &v_cache[at(key)..][..heads.head_dim];
                out.iter_mut().zip(value).for_each(|(out, value)| *out += chance * value);
            }
        }
    }
    y
}
