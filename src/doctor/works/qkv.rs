//! `linear` whose products are queries, keys and values: what becomes of each, and where it goes.

use crate::doctor::cache::Cache;
use crate::doctor::data::{Matrix, Rng};
use crate::doctor::work::{Output, Work};
use crate::kernels::linear::{self, Form, Qkv, Shape};
use crate::kernels::rope::{self, Angles, Pairing};
use crate::kernels::{KvFormat, NOTHING, PAGE_TOKENS, Policy, rms_norm};
use crate::tensor::DType;

/// As `linear`: a product, then a rotation, which keeps lengths.
const TOLERANCE: f64 = 1e-9;
/// Stored as halves: numbers that are nearly halfway between two may go to either.
const TOLERANCE_F16: f64 = 1e-6;

/// Positions of the table of angles.
const CONTEXT: usize = 700;

/// Queries, keys and values of `tokens` of so many `columns`; `form` has this output.
pub fn qkv(
    rng: &mut Rng,
    (tokens, columns): (usize, usize),
    (form, qkv): (Form, Qkv),
    dtype: DType,
    policy: Policy,
) -> Work {
    let Qkv { heads, kv_heads, head_dim, kv } = qkv;
    let widths = [heads * head_dim, kv_heads * head_dim, kv_heads * head_dim];
    let x = Matrix::random(rng, tokens, columns);
    let norm = Matrix::random(rng, 1, columns);
    let weight = Matrix::random(rng, widths.iter().sum(), columns).stored(dtype);
    let bias = Matrix::random(rng, 1, widths.iter().sum());
    let angles = Matrix::new(head_dim, Angles::plain(10_000.0, head_dim).table(0..CONTEXT));
    let positions: Vec<u32> = (0..tokens).map(|_| rng.below(CONTEXT) as u32).collect();
    let places = (tokens + 40).next_multiple_of(PAGE_TOKENS);
    let rows = rows(rng, tokens, places);

    let mut normed = x.exact();
    if let Some(epsilon) = form.norm {
        normed = rms_norm::reference(&normed, &norm.exact(), f64::from(epsilon));
    }
    let (weight_exact, bias_exact) = (weight.exact(), bias.exact());
    let product = |first: usize, width: usize| {
        let rows = &weight_exact[first * columns..(first + width) * columns];
        linear::reference(&normed, rows, form.bias.then_some(&bias_exact[first..first + width]), columns)
    };
    let turn = |x: &[f64], heads: usize| {
        let heads = rope::Heads { heads, head_dim, rotary_dim: head_dim, pairing: Pairing::Halves };
        rope::reference(x, &positions, &angles.exact(), heads)
    };
    let q = turn(&product(0, widths[0]), heads);
    let k = turn(&product(widths[0], widths[1]), kv_heads);
    let v = product(widths[0] + widths[1], widths[2]);
    let cache = cache(qkv, places / PAGE_TOKENS, &rows, &k, &v);

    let (rows_bytes, positions) = (bytemuck::cast_slice(&rows).to_vec(), bytemuck::cast_slice(&positions).to_vec());
    let mut inputs =
        vec![("x", x.bytes()), ("angles", angles.bytes()), ("positions", positions), ("kv_rows", rows_bytes)];
    inputs.extend(form.norm.map(|_| ("norm", norm.bytes())));
    inputs.extend(form.bias.then(|| ("bias", bias.bytes())));
    let (rows, halves) = (widths[0], kv == KvFormat::F16);
    let shape = Shape { tokens, columns, first_row: 0, rows, all_rows: rows, w_first: 0, bias_first: 0 };
    let launch = linear::launch(shape, form, dtype, policy);
    let tolerance = if halves { TOLERANCE_F16 } else { TOLERANCE };
    Work {
        launches: launch.into_iter().map(|launch| (launch, vec![("weight", weight.bytes())])).collect(),
        inputs,
        outputs: vec![
            Output::near("y", rows, q, TOLERANCE),
            Output::near_words("k_cache", cache.key_words, halves, tolerance),
            Output::near_words("v_cache", cache.value_words, halves, tolerance),
        ],
    }
}

/// Where each token goes in the cache; every fourth fills the step up.
fn rows(rng: &mut Rng, tokens: usize, places: usize) -> Vec<u32> {
    let mut rows = rng.shuffled(places);
    rows.truncate(tokens);
    rows.iter_mut().skip(2).step_by(4).for_each(|row| *row = NOTHING);
    rows
}

/// The cache that must come of `k` and `v`.
fn cache(qkv: Qkv, pages: usize, rows: &[u32], k: &[f64], v: &[f64]) -> Cache {
    let Qkv { kv_heads, head_dim, kv, .. } = qkv;
    let mut cache = Cache::new(kv, pages, kv_heads, head_dim);
    for (token, &row) in rows.iter().enumerate().filter(|(_, row)| **row != NOTHING) {
        for head in 0..kv_heads {
            let begin = (token * kv_heads + head) * head_dim;
            let part = |x: &[f64]| -> Vec<f32> { x[begin..begin + head_dim].iter().map(|&x| x as f32).collect() };
            cache.put(row as usize, head, &part(k), &part(v));
        }
    }
    cache
}
