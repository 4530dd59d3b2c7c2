//! Cases of `attention`.

use crate::case::{Case, Output, Work};
use crate::data::{Matrix, POISON, Rng};
use crate::device::Device;
use crate::kv::Cache;
use quernel::kernels::attention::{self, Heads, MAX_HEAD_DIM, Step};
use quernel::kernels::{KvFormat, NOTHING, PAGE_TOKENS, Rung};

/// Rounding of the scores, which the exponential makes relative, and of sums over keys.
const TOLERANCE: f64 = 1e-9;
/// Of the chances alone: the same without the sums.
const TOLERANCE_SOFTMAX: f64 = 1e-10;

/// Query heads, key heads: without groups, with groups of every size that models have, an odd one.
const GROUPS: [(usize, usize); 6] = [(1, 1), (4, 2), (8, 2), (3, 1), (6, 6), (7, 1)];

/// What a step holds: for each sequence how many tokens the cache has of it and how many are new.
const STEPS: [(&str, &[(usize, usize)]); 16] = [
    ("first", &[(0, 1)]),
    ("page-end", &[(31, 1)]),
    ("page-begin", &[(32, 1)]),
    ("block-end", &[(63, 1)]),
    ("block-begin", &[(64, 1)]),
    ("decode", &[(310, 1)]),
    ("decode-long", &[(1029, 1)]),
    ("prompt-of-5", &[(0, 5)]),
    ("prompt-of-9", &[(0, 9)]),
    ("prompt-of-33", &[(0, 33)]),
    ("prompt-of-131", &[(0, 131)]),
    ("chunk", &[(61, 34)]),
    ("batch", &[(3, 1), (100, 1), (0, 1), (64, 1), (31, 1)]),
    ("large-batch", &[(5, 1), (70, 1), (0, 1), (33, 1), (127, 1), (63, 1), (200, 1), (1, 1), (64, 1), (9, 1), (40, 1)]),
    ("mixed", &[(0, 7), (130, 1), (20, 6), (0, 1), (64, 5)]),
    ("two", &[(250, 2), (0, 2)]),
];

#[derive(Clone)]
struct Spec {
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    window: Option<usize>,
    format: KvFormat,
    rung: Rung,
    /// For each sequence, tokens in the cache and new ones.
    sequences: Vec<(usize, usize)>,
    /// Tokens that fill the bucket up.
    filling: usize,
    /// The tokens of different sequences follow one another in no order.
    scattered: bool,
    /// The value of key i is 1 in element i and 0 elsewhere, so that the result is the softmax itself.
    one_hot: bool,
    /// A factor on queries: 1 for scores like a model's.
    steepness: f32,
}

pub fn cases(rungs: &[Rung]) -> Vec<Case> {
    let mut cases = Vec::new();
    for &rung in rungs {
        for (index, head_dim) in DIMS.into_iter().enumerate() {
            for (number, (name, sequences)) in STEPS.into_iter().enumerate() {
                // All steps in all formats for three widths, every third in one format for the others.
                let formats = match [24, 64, 128].contains(&head_dim) {
                    true => &KvFormat::ALL[..],
                    false if (index + number) % 3 == 0 => &KvFormat::ALL[(index + number / 3) % 3..][..1],
                    false => &[],
                };
                let (heads, kv_heads) = GROUPS[(index + number) % GROUPS.len()];
                let window = [None, None, Some(1), Some(17), Some(64), Some(100)][(index * 5 + number) % 6];
                let filling = [0, 3, 1][(index + number / 3) % 3];
                let scattered = number % 2 == 1;
                let sequences = sequences.to_vec();
                let spec = Spec { heads, kv_heads, head_dim, window, rung, sequences, filling, scattered, ..PLAIN };
                cases.extend(formats.iter().map(|&format| accurate(name, Spec { format, ..spec.clone() })));
            }
        }
        for head_dim in [8, 24, 64, 128] {
            let steps = [STEPS[5], STEPS[10], STEPS[11], STEPS[12], STEPS[13], STEPS[14]];
            for (number, (name, sequences)) in steps.into_iter().enumerate() {
                for window in [None, Some(50)] {
                    let format = KvFormat::ALL[(number + head_dim / 8 + usize::from(window.is_some())) % 3];
                    let sequences = sequences.to_vec();
                    let scattered = window.is_some();
                    let spec = Spec {
                        heads: 4,
                        kv_heads: 2,
                        head_dim,
                        window,
                        format,
                        rung,
                        sequences,
                        filling: 2,
                        scattered,
                        ..PLAIN
                    };
                    cases.push(invariant(name, spec));
                }
            }
        }
        for (old, head_dim) in [(0, 8), (6, 8), (31, 40), (63, 64), (60, 72), (127, 128), (240, 256)] {
            for (steepness, format) in [(1.0, KvFormat::F32), (1.0, KvFormat::Q8), (30.0, KvFormat::F16)] {
                let sequences = vec![(old, 1), (old / 2, head_dim - old)];
                let spec = Spec { heads: 2, head_dim, format, rung, sequences, one_hot: true, steepness, ..PLAIN };
                cases.push(accurate(&format!("softmax{steepness}"), spec));
            }
        }
    }
    // Past the fold of a dispatch: one workgroup a head and four tokens.
    let sequences = (0..64).map(|i| (i % 5, 33)).collect();
    let spec = Spec { heads: 64, kv_heads: 4, head_dim: 8, sequences, ..PLAIN };
    cases.push(Case::new("attention", true, spec.name("folded"), move |seed| {
        let work = spec.whole(&spec.scene(&mut Rng::new(seed)));
        work.begin_folds(|token, column| token / 4 * 64 + column / 8)
    }));
    cases
}

/// One sequence's heads without groups, and nothing else out of the ordinary.
const PLAIN: Spec = Spec {
    heads: 1,
    kv_heads: 1,
    head_dim: 8,
    window: None,
    format: KvFormat::F32,
    rung: Rung::Portable,
    sequences: Vec::new(),
    filling: 0,
    scattered: false,
    one_hot: false,
    steepness: 1.0,
};

const DIMS: [usize; 15] = [8, 16, 24, 32, 40, 48, 64, 72, 80, 96, 112, 128, 160, 200, MAX_HEAD_DIM];

/// A spec's data: the step, what it attends to, and its queries.
struct Scene {
    positions: Vec<u32>,
    sequences: Vec<u32>,
    pages: Vec<u32>,
    table_pitch: usize,
    q: Matrix,
    cache: Cache,
}

impl Spec {
    fn heads(&self) -> Heads {
        let Self { heads, kv_heads, head_dim, window, .. } = *self;
        Heads { heads, kv_heads, head_dim, scale: 1.0 / (head_dim as f32).sqrt(), window }
    }

    fn name(&self, what: &str) -> String {
        let Self { heads, kv_heads, head_dim, format, .. } = self;
        let window = self.window.map_or(String::new(), |window| format!("/window{window}"));
        let order = if self.scattered { "/scattered" } else { "" };
        let rung = format!("{:?}", self.rung).to_lowercase();
        format!("{rung}/{format}/{what}/{heads}of{kv_heads}x{head_dim}{window}{order}/filled{}", self.filling)
    }

    /// Places in the cache that no token may look at hold NaN, and table entries that none may follow lead nowhere.
    fn scene(&self, rng: &mut Rng) -> Scene {
        let table_pitch =
            self.sequences.iter().map(|(old, new)| (old + new).div_ceil(PAGE_TOKENS)).max().unwrap_or(0) + 2;
        let slots = rng.shuffled(self.sequences.len() + 2);
        let mut free = rng.shuffled(slots.len() * table_pitch);
        let mut pages = vec![NOTHING; slots.len() * table_pitch];
        let mut cache = Cache::new(self.format, free.len(), self.kv_heads, self.head_dim);
        let mut tokens = Vec::new();
        for (&(old, new), &slot) in self.sequences.iter().zip(&slots) {
            let first = self.window.map_or(0, |window| (old + 1).saturating_sub(window));
            for key in first..old + new {
                let entry = &mut pages[slot as usize * table_pitch + key / PAGE_TOKENS];
                if *entry == NOTHING {
                    *entry = free.pop().unwrap_or(NOTHING);
                }
                let row = *entry as usize * PAGE_TOKENS + key % PAGE_TOKENS;
                for head in 0..self.kv_heads {
                    let (k, mut v) = (rng.numbers(self.head_dim, 1.0), rng.numbers(self.head_dim, 1.0));
                    if self.one_hot {
                        v.fill(0.0);
                        v[key % self.head_dim] = 1.0;
                    }
                    cache.put(row, head, &k, &v);
                }
            }
            tokens.extend((old..old + new).map(|position| (position as u32, slot)));
        }
        if self.scattered {
            let order = rng.shuffled(tokens.len());
            tokens = order.into_iter().map(|i| tokens[i as usize]).collect();
        }
        let mut q = Matrix::random(rng, tokens.len() + self.filling, self.heads * self.head_dim);
        q.values.iter_mut().for_each(|value| *value *= self.steepness);
        q.values[tokens.len() * self.heads * self.head_dim..].fill(f32::from_bits(POISON));
        let q = Matrix::new(q.columns, q.values);
        tokens.extend((0..self.filling).map(|_| (0, NOTHING)));
        let (positions, sequences) = tokens.into_iter().unzip();
        Scene { positions, sequences, pages, table_pitch, q, cache }
    }

    /// The launch for `tokens` of the scene's tokens from `first` on.
    fn work(&self, scene: &Scene, first: usize, tokens: usize) -> Work {
        let bytes = |words: &[u32]| bytemuck::cast_slice(words).to_vec();
        Work {
            launches: vec![(
                attention::launch(tokens, self.heads(), scene.table_pitch, self.format, self.rung),
                vec![],
            )],
            inputs: vec![
                ("q", scene.q.part(first, tokens).bytes()),
                ("positions", bytes(&scene.positions[first..first + tokens])),
                ("sequences", bytes(&scene.sequences[first..first + tokens])),
                ("pages", bytes(&scene.pages)),
                ("k_cache", bytes(&scene.cache.key_words)),
                ("v_cache", bytes(&scene.cache.value_words)),
            ],
            outputs: vec![],
        }
    }

    /// The whole step, and what it must give.
    fn whole(&self, scene: &Scene) -> Work {
        let step = Step {
            positions: &scene.positions,
            sequences: &scene.sequences,
            pages: &scene.pages,
            table_pitch: scene.table_pitch,
        };
        let cache = &scene.cache;
        let y = attention::reference(&scene.q.exact(), &cache.keys, &cache.values, step, self.heads());
        let mut work = self.work(scene, 0, scene.positions.len());
        let tolerance = if self.one_hot { TOLERANCE_SOFTMAX } else { TOLERANCE };
        work.outputs.push(Output::near("y", self.heads * self.head_dim, y, tolerance));
        work
    }
}

/// The result is what the definition says.
fn accurate(what: &str, spec: Spec) -> Case {
    Case::new("attention", spec.rung == Rung::Portable, spec.name(what), move |seed| {
        spec.whole(&spec.scene(&mut Rng::new(seed)))
    })
}

/// A token alone gets the bits that it gets among others.
fn invariant(what: &str, spec: Spec) -> Case {
    let name = format!("alone-or-not/{}", spec.name(what));
    let portable = spec.rung == Rung::Portable;
    let seed = format!("attention/{name}");
    let test = move |device: &Device| {
        let scene = spec.scene(&mut Rng::new(&seed));
        let whole = spec.whole(&scene);
        let error = whole.check(device)?;
        let found = device.run(&whole)?.swap_remove(0);
        let width = spec.heads * spec.head_dim;
        let last = scene.positions.len() - spec.filling - 1;
        for token in [0, 1.min(last), last / 2, last] {
            let mut alone = spec.work(&scene, token, 1);
            alone.outputs.push(Output::bits("y", width, found[token * width..][..width].to_vec()));
            alone
                .check(device)
                .map_err(|reason| format!("token {token} alone differs from it in the step: {reason}"))?;
        }
        Ok(error)
    };
    Case { kernel: "attention", name, portable, test: Box::new(test) }
}
