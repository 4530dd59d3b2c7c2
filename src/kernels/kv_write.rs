//! `kv_write`: puts the keys and values of a step's tokens into the pages of the cache, rounded to its format.

use super::{KvFormat, Launch, NOTHING, PAGE_TOKENS, WORKGROUP, grid, launch as make, params};

params! {
    /// The shader's `Params`.
    pub struct Params {
        /// How many tokens.
        tokens: u32,
        /// Key and value heads of a token.
        kv_heads: u32,
    }
}

/// Writes `tokens` tokens. Binds `k`, `v`, `kv_rows`, `k_cache`, `v_cache`; `head_dim` is a multiple of 8.
pub fn launch(tokens: usize, kv_heads: usize, head_dim: usize, format: KvFormat) -> Launch {
    let params = Params { tokens: tokens as u32, kv_heads: kv_heads as u32 };
    let quads = head_dim / 4;
    let constants = vec![("WORKGROUP", WORKGROUP), ("PAGE_TOKENS", PAGE_TOKENS as u32), ("HEAD_QUADS", quads as u32)];
    let threads = tokens * kv_heads * quads.div_ceil(format.owned_quads());
    make("kv_write", "kv_write", vec![format.slot()], constants, params, grid(threads))
}

/// Where a head's key or value of cache row `row` begins in the definitions' caches, in elements: (page, kv_head, place,
/// head_dim).
pub fn place(row: usize, head: usize, kv_heads: usize, head_dim: usize) -> usize {
    ((row / PAGE_TOKENS * kv_heads + head) * PAGE_TOKENS + row % PAGE_TOKENS) * head_dim
}

/// The definition, for keys or for values: `x` is (token, kv_head, head_dim), and `cache` gets what is read again.
pub fn reference(x: &[f64], kv_rows: &[u32], cache: &mut [f64], kv_heads: usize, head_dim: usize, format: KvFormat) {
    for (token, &row) in x.chunks(kv_heads * head_dim).zip(kv_rows) {
        if row == NOTHING {
            continue;
        }
        for (head, values) in token.chunks(head_dim).enumerate() {
            let begin = place(row as usize, head, kv_heads, head_dim);
            let stored = &mut cache[begin..begin + head_dim];
            stored.copy_from_slice(values);
            format.round(stored);
        }
    }
}
