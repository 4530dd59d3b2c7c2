//! Cases of `linear` whose products are queries, keys and values: what becomes of each, and where it goes.

use crate::case::{Case, Output, Work};
use crate::data::{Matrix, Rng};
use crate::kv::Cache;
use crate::runs::Runs;
use quernel::kernels::linear::{self, Form, MATVEC_TOKENS, Qkv, Shape};
use quernel::kernels::rope::{self, Angles, Pairing};
use quernel::kernels::{KvFormat, NOTHING, PAGE_TOKENS, rms_norm};
use quernel::tensor::DType;

/// As `linear`: a product, then a rotation, which keeps lengths.
const TOLERANCE: f64 = 1e-9;
/// Stored as halves: numbers that are nearly halfway between two may go to either.
const TOLERANCE_F16: f64 = 1e-6;

const EPSILON: f32 = 1e-6;
const CONTEXT: usize = 700;

/// Tokens, columns, query heads, key-value heads, head_dim.
const SHAPES: [(usize, usize, usize, usize, usize); 12] = [
    (1, 8, 1, 1, 8),
    (1, 64, 8, 4, 8),
    (2, 72, 3, 1, 24),
    (1, 576, 9, 3, 64),
    (3, 100, 4, 2, 16),
    (4, 128, 2, 2, 128),
    (5, 96, 6, 2, 40),
    (8, 64, 1, 1, 256),
    (7, 200, 5, 5, 32),
    (9, 96, 4, 4, 8),
    (33, 64, 8, 2, 16),
    (40, 31, 3, 3, 48),
];

pub fn cases(runners: &[Runs]) -> Vec<Case> {
    let mut cases = Vec::new();
    for &runs in runners {
        for (index, (tokens, columns, heads, kv_heads, head_dim)) in SHAPES.into_iter().enumerate() {
            for kv in [KvFormat::F32, KvFormat::F16] {
                let dtype = [DType::F32, DType::F16, DType::Q4][index % 3];
                let dtype = if columns % 32 == 0 || !dtype.is_grouped() { dtype } else { DType::BF16 };
                let (norm, bias) = ((index % 2 == 0).then_some(EPSILON), index % 4 > 1);
                let qkv = Qkv { heads, kv_heads, head_dim, kv };
                let form = Form { norm, bias, output: linear::Output::Qkv(qkv) };
                if tokens > MATVEC_TOKENS && !runs.processor() {
                    continue;
                }
                let about = [("/norm", norm.is_some()), ("/bias", bias)];
                let about: String = about.into_iter().filter(|(_, has)| *has).map(|(word, _)| word).collect();
                let name = format!(
                    "qkv/{}/{dtype}/{kv}/{tokens}x{columns}->{heads}+2x{kv_heads}x{head_dim}{about}",
                    runs.name()
                );
                // It binds more buffers than WebGPU guarantees.
                cases.push(Case::new("linear", false, name, move |seed| {
                    work(&mut Rng::new(seed), tokens, columns, qkv, form, dtype, runs)
                }));
            }
        }
    }
    cases
}

fn work(rng: &mut Rng, tokens: usize, columns: usize, qkv: Qkv, form: Form, dtype: DType, runs: Runs) -> Work {
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
    if form.norm.is_some() {
        normed = rms_norm::reference(&normed, &norm.exact(), f64::from(EPSILON));
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
    let launch = linear::launch(shape, form, dtype, runs.policy(false));
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
