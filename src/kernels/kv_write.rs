//! `kv_write`: puts the keys and values of a step's tokens into the pages of the cache.

use super::{Launch, NOTHING, PAGE_TOKENS, WORKGROUP, grid, launch as make, params};

params! {
    /// The shader's `Params`.
    pub struct Params {
        /// How many tokens.
        tokens: u32,
        /// Key and value heads of a token.
        kv_heads: u32,
        /// Quads of a head.
        head_quads: u32,
    }
}

/// Writes `tokens` tokens. Binds `k`, `v`, `kv_rows`, `k_cache`, `v_cache`; `head_dim` is a multiple of 8.
pub fn launch(tokens: usize, kv_heads: usize, head_dim: usize) -> Launch {
    let head_quads = (head_dim / 4) as u32;
    let params = Params { tokens: tokens as u32, kv_heads: kv_heads as u32, head_quads };
    let constants = vec![("WORKGROUP", WORKGROUP), ("PAGE_TOKENS", PAGE_TOKENS as u32)];
    make("kv_write", "kv_write", vec![], constants, params, grid(tokens * kv_heads * head_dim / 4))
}

/// Where a head's key or value of cache row `row` begins, in elements: (page, kv_head, place, head_dim).
pub fn place(row: usize, head: usize, kv_heads: usize, head_dim: usize) -> usize {
    ((row / PAGE_TOKENS * kv_heads + head) * PAGE_TOKENS + row % PAGE_TOKENS) * head_dim
}

/// The definition, for keys or for values: `x` is (token, kv_head, head_dim).
pub fn reference(x: &[f64], kv_rows: &[u32], cache: &mut [f64], kv_heads: usize, head_dim: usize) {
    for (token, &row) in x.chunks(kv_heads * head_dim).zip(kv_rows) {
        if row == NOTHING {
            continue;
        }
        for (head, values) in token.chunks(head_dim).enumerate() {
            let begin = place(row as usize, head, kv_heads, head_dim);
            cache[begin..begin + head_dim].copy_from_slice(values);
        }
    }
}
