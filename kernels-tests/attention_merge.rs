//! Cases of `attention_merge`.

use crate::case::{Case, Output, Work};
use crate::data::{POISON, Rng};
use quernel::kernels::attention::{Chunks, Heads};
use quernel::kernels::{NOTHING, Policy, Rung, attention_merge};

/// Sums of a few dozen terms.
const TOLERANCE: f64 = 1e-11;

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
        let work = work(&mut Rng::new(seed), tokens, heads, chunks, policy);
        if what.is_empty() {
            return work;
        }
        work.begin_folds(|token, column| token * heads.heads + column / heads.head_dim)
    })
}

/// Tokens that have all the chunks there is room for, one, and some; chunks beyond hold NaN.
fn work(rng: &mut Rng, tokens: usize, heads: Heads, chunks: Chunks, policy: Policy) -> Work {
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
        assert!((1..=chunks.room).contains(&count), "{count} chunks at {}", positions[token]);
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
        outputs: vec![Output::near("y", heads.heads * heads.head_dim, y, TOLERANCE)],
    }
}
