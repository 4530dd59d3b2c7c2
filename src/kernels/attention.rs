//! `attention`: y = softmax(scale · q Kᵀ) V over the paged cache: causal, grouped-query, with an optional window.
//!
//! All query heads that share a key head are computed together, and of a prompt several tokens, so that keys and values
//! are read once for them. Where few tokens see many keys, the keys are divided into [`Chunks`] that other workgroups
//! take, and [`attention_merge`](super::attention_merge) makes the result of what they leave.

use super::{KvFormat, Launch, NOTHING, PAGE_TOKENS, Policy, fold, kv_write::place, launch as make, params};

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
        /// Chunks of a row that there is room for.
        chunks: u32,
    }
}

/// The largest `head_dim`.
pub const MAX_HEAD_DIM: usize = 256;

/// Rows, a query head of a token each, that one workgroup takes at most.
const MAX_ROWS: usize = 8;

/// Steps of more tokens than this, and than they have sequences, are taken for prompts: neighbouring tokens share the
/// keys that they read.
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

/// How large a step is, as far as attention is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Tokens, of one or more sequences.
    pub tokens: usize,
    /// Sequences that the step can hold.
    pub sequences: usize,
    /// Pages from one sequence's table to the next.
    pub table_pitch: usize,
}

/// How the keys that a token sees are divided among workgroups.
///
/// A chunk has `least` keys, or as often twice as many as it takes for `most` chunks at most. Chunks begin at multiples
/// of `least`, and follow from a token's position alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunks {
    /// Keys of a chunk at least: whole blocks of any variant.
    pub least: usize,
    /// Chunks at most.
    pub most: usize,
    /// Chunks that a token of the step may have.
    pub room: usize,
}

impl Chunks {
    /// The division for a step: none where other tokens keep the adapter busy, or where order matters.
    pub fn new(extent: Extent, heads: Heads, policy: Policy) -> Self {
        let (least, workgroups) = if policy.processor { (512, 64) } else { (128, 1024) };
        let whole = extent.tokens > ALONE.max(extent.sequences) || policy.deterministic;
        let busy = extent.tokens * heads.heads / tile(heads);
        let most = if whole { 1 } else { (workgroups / busy.max(1)).clamp(1, 64) };
        // As powers of two, so that equal pipelines serve many steps.
        let most = 1 << most.ilog2();
        let all = extent.table_pitch * PAGE_TOKENS;
        let keys = heads.window.map_or(all, |window| all.min(window.saturating_add(least)));
        Self { least, most, room: keys.div_ceil(least).clamp(1, most) }
    }

    /// Whether workgroups take parts of the keys, which are to be merged.
    pub fn split(self) -> bool {
        self.room > 1
    }

    /// How many chunks the token at `position` has.
    pub fn count(self, position: usize, window: Option<usize>) -> usize {
        let first = window.map_or(0, |window| (position + 1).saturating_sub(window)) / self.least * self.least;
        let keys = position + 1 - first;
        let mut chunk = self.least;
        while chunk * self.most < keys {
            chunk *= 2;
        }
        keys.div_ceil(chunk)
    }

    /// Bytes of what the chunks of a step leave: (token, head, chunk, head_dim + 4).
    pub fn bytes(self, tokens: usize, heads: Heads) -> u64 {
        4 * (tokens * heads.heads * self.room * (heads.head_dim + 4)) as u64
    }

    /// The shaders' constants.
    pub(super) fn constants(self) -> [(&'static str, u32); 2] {
        [("LEAST", self.least as u32), ("MOST", self.most as u32)]
    }
}

/// Query heads that one workgroup takes: as many as divide those that share a key head evenly.
fn tile(heads: Heads) -> usize {
    let group = heads.heads / heads.kv_heads.max(1);
    (1..=MAX_ROWS).rev().find(|tile| group.is_multiple_of(*tile)).unwrap_or(1)
}

/// Threads of a workgroup, and keys that each scores at a time.
fn threads(head_quads: usize, rows: usize, alone: bool, policy: Policy) -> (usize, usize) {
    if policy.processor {
        // As few as can weigh a head, since they take turns.
        return (head_quads.div_ceil(2).next_power_of_two().max(8), 4);
    }
    match alone && !policy.deterministic {
        // Many threads with a key each hide how long memory takes; with many rows of large heads they would not fit.
        true => (if rows > 4 && head_quads > 32 { 32 } else { 64 }, 1),
        false => (32, 4),
    }
}

/// Attends a step's tokens to a cache of `format`. Binds `q`, `positions`, `sequences`, `pages`, `k_cache`, `v_cache`, and
/// `y`; or `partials` in its place where [`Chunks::split`] says so.
pub fn launch(extent: Extent, heads: Heads, format: KvFormat, policy: Policy) -> Launch {
    let chunks = Chunks::new(extent, heads, policy);
    let params = Params {
        tokens: extent.tokens as u32,
        heads: heads.heads as u32,
        kv_heads: heads.kv_heads as u32,
        window: heads.window.unwrap_or(0) as u32,
        table_pitch: extent.table_pitch as u32,
        scale: heads.scale,
        chunks: chunks.room as u32,
    };
    let tile = tile(heads);
    let alone = extent.tokens <= ALONE.max(extent.sequences);
    let tokens = if alone { 1 } else { MAX_ROWS / tile };
    let head_quads = heads.head_dim / 4;
    let (threads, keys) = threads(head_quads, tile * tokens, alone, policy);
    let mut constants = vec![
        ("WORKGROUP", threads as u32),
        ("KEYS", keys as u32),
        ("HEADS", tile as u32),
        ("TOKENS", tokens as u32),
        ("HEAD_QUADS", head_quads as u32),
        ("PAGE_TOKENS", PAGE_TOKENS as u32),
    ];
    let result = if chunks.split() { "result/partial" } else { "result/whole" };
    if chunks.split() {
        constants.extend(chunks.constants());
    }
    let slots = vec![policy.rung.reduce(), format.slot(), ("result", result)];
    let [x, y, _] = fold(heads.heads / tile * extent.tokens.div_ceil(tokens));
    make("attention", "attention", slots, constants, params, [x, y, chunks.room as u32])
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
