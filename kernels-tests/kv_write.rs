//! Cases of `kv_write`: exact to the bit in every format, and every other place of the cache stays as it was.

use crate::case::{Case, Output, Work};
use crate::data::{Matrix, Rng};
use crate::kv::Cache;
use quernel::kernels::{KvFormat, NOTHING, PAGE_TOKENS, kv_write};

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
    let case = |format, (tokens, heads, head_dim)| {
        let name = format!("{format}/{tokens}x{heads}x{head_dim}");
        Case::new("kv_write", true, name, move |seed| work(&mut Rng::new(seed), tokens, heads, head_dim, format))
    };
    let shapes = |format| SHAPES.into_iter().map(move |shape| case(format, shape));
    KvFormat::ALL.into_iter().flat_map(shapes).collect()
}

fn work(rng: &mut Rng, tokens: usize, heads: usize, head_dim: usize, format: KvFormat) -> Work {
    let (mut k, mut v) = (Matrix::random(rng, tokens, heads * head_dim), Matrix::random(rng, tokens, heads * head_dim));
    for x in [&mut k, &mut v] {
        x.values.chunks_mut(8).for_each(|part| disturb(rng, part));
        *x = Matrix::new(x.columns, std::mem::take(&mut x.values));
    }
    let places = (tokens + 40).next_multiple_of(PAGE_TOKENS);
    // Every fifth token fills the bucket up.
    let mut rows = rng.shuffled(places);
    rows.truncate(tokens);
    rows.iter_mut().skip(4).step_by(5).for_each(|row| *row = NOTHING);
    let mut cache = Cache::new(format, places / PAGE_TOKENS, heads, head_dim);
    for (token, &row) in rows.iter().enumerate().filter(|(_, row)| **row != NOTHING) {
        for head in 0..heads {
            let part = (token * heads + head) * head_dim..(token * heads + head + 1) * head_dim;
            cache.put(row as usize, head, &k.values[part.clone()], &v.values[part]);
        }
    }
    Work {
        launches: vec![(kv_write::launch(tokens, heads, head_dim, format), vec![])],
        outputs: vec![Output::words("k_cache", cache.key_words), Output::words("v_cache", cache.value_words)],
        inputs: vec![("k", k.bytes()), ("v", v.bytes()), ("kv_rows", bytemuck::cast_slice(&rows).to_vec())],
    }
}

/// Makes some parts of a row hard to round: beyond the range of halves, below it, halfway between two, all zeros.
fn disturb(rng: &mut Rng, part: &mut [f32]) {
    match rng.below(12) {
        0 => part.iter_mut().for_each(|x| *x *= 1e5),
        1 => part.iter_mut().for_each(|x| *x *= 1e-6),
        2 => part.fill(0.0),
        // Halves of whole numbers up to 127, which are ties where the scale is 1.
        3 => {
            part.iter_mut().for_each(|x| *x = rng.below(255) as f32 / 2.0 - 63.0);
            part[0] = 127.0;
        }
        // Halfway between two neighbouring halves.
        4 => part.iter_mut().for_each(|x| *x = (2 * rng.below(1024) + 2049) as f32 / 2048.0),
        _ => {}
    }
}
