//! Kernels that take tokens at positions.

use crate::doctor::cache::Cache;
use crate::doctor::data::{Matrix, POISON, Rng};
use crate::doctor::work::{Output, Work};
use crate::kernels::attention::{Chunks, Heads};
use crate::kernels::rope::{self, Angles};
use crate::kernels::{KvFormat, NOTHING, PAGE_TOKENS, Policy, attention_merge, kv_write};

/// Two products and a sum, with cosines and sines from the host's table.
const ROPE: f64 = 1e-10;
/// Sums of a few dozen terms.
const MERGE: f64 = 1e-11;

/// `rope` at random positions.
pub fn rope(seed: &str, tokens: usize, shape: rope::Heads, angles: &Angles) -> Work {
    const CONTEXT: usize = 3000;
    let mut rng = Rng::new(seed);
    let x = Matrix::random(&mut rng, tokens, shape.heads * shape.head_dim);
    let table = Matrix::new(shape.rotary_dim, angles.table(0..CONTEXT));
    let mut positions: Vec<u32> = (0..tokens).map(|_| rng.below(CONTEXT) as u32).collect();
    positions[0] = (CONTEXT - 1) as u32;
    let y = rope::reference(&x.exact(), &positions, &table.exact(), shape);
    Work {
        launches: vec![(rope::launch(tokens, shape), vec![])],
        inputs: vec![
            ("x", x.bytes()),
            ("positions", bytemuck::cast_slice(&positions).to_vec()),
            ("table", table.bytes()),
        ],
        outputs: vec![Output::near("y", shape.heads * shape.head_dim, y, ROPE)],
    }
}

/// `kv_write` of keys and values that are hard to round.
pub fn kv_write(rng: &mut Rng, tokens: usize, heads: usize, head_dim: usize, format: KvFormat) -> Work {
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

/// `attention_merge` of tokens that have all the chunks there is room for, one, and some; chunks beyond hold NaN.
pub fn attention_merge(rng: &mut Rng, tokens: usize, heads: Heads, chunks: Chunks, policy: Policy) -> Work {
    let last = match heads.window {
        None => chunks.room * chunks.least - 1,
        Some(_) => 40 * chunks.least + 17,
    };
    let positions: Vec<u32> = (0..tokens).map(|token| [last, 0, rng.below(last)][token % 3] as u32).collect();
    let mut sequences = vec![0; tokens];
    sequences.iter_mut().skip(3).step_by(4).for_each(|sequence| *sequence = NOTHING);
    let mut partials = Vec::new();
    for token in 0..tokens {
        let count = chunks.count(positions[token] as usize, heads.window);
        debug_assert!((1..=chunks.room).contains(&count), "{count} chunks at {}", positions[token]);
        let count = if sequences[token] == NOTHING { 0 } else { count };
        for chunk in (0..heads.heads).flat_map(|_| 0..chunks.room) {
            if chunk >= count {
                partials.extend(vec![f32::from_bits(POISON); heads.head_dim + 4]);
                continue;
            }
            partials.extend(rng.numbers(heads.head_dim, 3.0));
            // Scores far apart and near, and a total that is the largest's own at least.
            partials.extend([rng.spread() * [1.0, 30.0][chunk % 2], 1.0 + rng.unit() as f32 * 100.0, 0.0, 0.0]);
        }
    }
    let exact: Vec<f64> = partials.iter().map(|&x| f64::from(x)).collect();
    let y = attention_merge::reference(&exact, &positions, &sequences, heads, chunks);
    let bytes = |words: &[u32]| bytemuck::cast_slice(words).to_vec();
    Work {
        launches: vec![(attention_merge::launch(tokens, heads, chunks, policy), vec![])],
        inputs: vec![
            ("partials", bytemuck::cast_slice(&partials).to_vec()),
            ("positions", bytes(&positions)),
            ("sequences", bytes(&sequences)),
        ],
        outputs: vec![Output::near("y", heads.heads * heads.head_dim, y, MERGE)],
    }
}
