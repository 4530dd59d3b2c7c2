//! Cases of `attention_merge`.

use crate::case::Case;
use crate::data::Rng;
use quernel::doctor::works;
use quernel::kernels::attention::{Chunks, Heads};
use quernel::kernels::{Policy, Rung};

/// Tokens, heads, head_dim.
const SHAPES: [(usize, usize, usize); 10] = [
    (1, 1, 8),
    (1, 9, 64),
    (2, 3, 24),
    (3, 4, 40),
    (1, 8, 128),
    (5, 7, 72),
    (8, 2, 136),
    (1, 32, 64),
    (2, 1, 256),
    (4, 5, 200),
];

/// Keys of a chunk, chunks at most, chunks that there is room for, window.
const CHUNKS: [(usize, usize, usize, Option<usize>); 7] = [
    (128, 64, 2, None),
    (128, 64, 33, None),
    (128, 64, 64, None),
    (512, 4, 4, None),
    (512, 16, 5, Some(1200)),
    (32, 8, 8, Some(1)),
    (128, 2, 2, None),
];

pub fn cases(rungs: &[Rung]) -> Vec<Case> {
    let mut cases = Vec::new();
    for (&rung, processor) in rungs.iter().flat_map(|rung| [(rung, false), (rung, true)]) {
        let policy = Policy { rung, deterministic: false, processor, int8: false };
        for (index, (tokens, heads, head_dim)) in SHAPES.into_iter().enumerate() {
            for (least, most, room, window) in [CHUNKS[index % 7], CHUNKS[(index + 3) % 7]] {
                let heads = Heads { heads, kv_heads: 1, head_dim, scale: 1.0, window };
                cases.push(case("", tokens, heads, Chunks { least, most, room }, policy));
            }
        }
    }
    // Past the fold of a dispatch: one workgroup a head of a token.
    let heads = Heads { heads: 4099, kv_heads: 1, head_dim: 8, scale: 1.0, window: None };
    let policy = Policy { rung: Rung::Portable, deterministic: false, processor: false, int8: false };
    cases.push(case("folded/", 9, heads, Chunks { least: 128, most: 2, room: 2 }, policy));
    cases
}

fn case(what: &'static str, tokens: usize, heads: Heads, chunks: Chunks, policy: Policy) -> Case {
    let Chunks { least, most, room } = chunks;
    let runner = if policy.processor { "processor" } else { "gpu" };
    let name = format!(
        "{}/{runner}/{what}{tokens}x{}x{}/{room}of{most}x{least}/window{}",
        format!("{:?}", policy.rung).to_lowercase(),
        heads.heads,
        heads.head_dim,
        heads.window.unwrap_or(0),
    );
    Case::new("attention_merge", policy.rung == Rung::Portable, name, move |seed| {
        let work = works::attention_merge(&mut Rng::new(seed), tokens, heads, chunks, policy);
        if what.is_empty() {
            return work;
        }
        work.begin_folds(|token, column| token * heads.heads + column / heads.head_dim)
    })
}
