//! Cases of `kv_write`: exact to the bit in every format, and every other place of the cache stays as it was.

use crate::case::Case;
use crate::data::Rng;
use quernel::doctor::works;
use quernel::kernels::KvFormat;

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
        Case::new("kv_write", true, name, move |seed| {
            works::kv_write(&mut Rng::new(seed), tokens, heads, head_dim, format)
        })
    };
    let shapes = |format| SHAPES.into_iter().map(move |shape| case(format, shape));
    KvFormat::ALL.into_iter().flat_map(shapes).collect()
}
