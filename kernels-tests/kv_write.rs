//! Cases of `kv_write`: exact, and every other place of the cache stays as it was.

use crate::case::{Case, Output, Work};
use crate::data::{Matrix, POISON, Rng};
use quernel::kernels::{NOTHING, PAGE_TOKENS, kv_write};

/// Tokens, heads, head_dim; the last is past the fold of a dispatch.
const SHAPES: [(usize, usize, usize); 24] = [
    (1, 1, 8),
    (1, 1, 16),
    (1, 2, 24),
    (1, 4, 64),
    (1, 8, 128),
    (1, 3, 256),
    (2, 1, 8),
    (2, 3, 40),
    (3, 5, 72),
    (4, 2, 80),
    (5, 1, 96),
    (7, 4, 16),
    (8, 8, 64),
    (9, 2, 112),
    (16, 1, 256),
    (31, 4, 8),
    (32, 4, 16),
    (33, 4, 32),
    (64, 2, 64),
    (65, 1, 128),
    (100, 3, 24),
    (127, 7, 8),
    (300, 2, 48),
    (1031, 32, 256),
];

pub fn cases() -> Vec<Case> {
    let case = |(tokens, heads, head_dim)| {
        let name = format!("{tokens}x{heads}x{head_dim}");
        Case::new("kv_write", true, name, move |seed| work(&mut Rng::new(seed), tokens, heads, head_dim))
    };
    SHAPES.into_iter().map(case).collect()
}

fn work(rng: &mut Rng, tokens: usize, heads: usize, head_dim: usize) -> Work {
    let (k, v) = (Matrix::random(rng, tokens, heads * head_dim), Matrix::random(rng, tokens, heads * head_dim));
    let places = (tokens + 40).next_multiple_of(PAGE_TOKENS);
    // Every fifth token fills the bucket up.
    let mut rows = rng.shuffled(places);
    rows.truncate(tokens);
    rows.iter_mut().skip(4).step_by(5).for_each(|row| *row = NOTHING);
    let cache = |x: &Matrix| {
        let mut cache = vec![f64::NAN; places * heads * head_dim];
        kv_write::reference(&x.exact(), &rows, &mut cache, heads, head_dim);
        cache.iter().map(|&value| if value.is_nan() { POISON } else { (value as f32).to_bits() }).collect()
    };
    Work {
        launches: vec![(kv_write::launch(tokens, heads, head_dim), vec![])],
        outputs: vec![Output::words("k_cache", cache(&k)), Output::words("v_cache", cache(&v))],
        inputs: vec![("k", k.bytes()), ("v", v.bytes()), ("kv_rows", bytemuck::cast_slice(&rows).to_vec())],
    }
}
