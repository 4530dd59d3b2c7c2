//! `attention`, with `attention_merge` where keys are divided.

use crate::doctor::cache::Cache;
use crate::doctor::data::{Matrix, POISON, Rng};
use crate::doctor::work::{Output, Work};
use crate::kernels::attention::{self, Chunks, Extent, Heads, Step};
use crate::kernels::{KvFormat, NOTHING, PAGE_TOKENS, Policy, Rung, attention_merge};

/// Rounding of the scores, which the exponential makes relative, and of sums over keys.
const TOLERANCE: f64 = 1e-9;
/// Of the chances alone: the same without the sums.
const TOLERANCE_SOFTMAX: f64 = 1e-10;

/// A step to attend.
#[derive(Debug, Clone)]
pub struct Attention {
    /// Query heads.
    pub heads: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Elements of a head.
    pub head_dim: usize,
    /// Keys that a token sees.
    pub window: Option<usize>,
    /// How the cache stores elements.
    pub format: KvFormat,
    /// How the kernel is chosen.
    pub policy: Policy,
    /// For each sequence, tokens in the cache and new ones.
    pub sequences: Vec<(usize, usize)>,
    /// Tokens that fill the bucket up.
    pub filling: usize,
    /// The tokens of different sequences follow one another in no order.
    pub scattered: bool,
    /// The value of key i is 1 in element i and 0 elsewhere, so that the result is the softmax itself.
    pub one_hot: bool,
    /// A factor on queries: 1 for scores like a model's.
    pub steepness: f32,
}

/// A spec's data: the step, what it attends to, and its queries.
#[derive(Debug)]
pub struct Scene {
    /// The position of each token.
    pub positions: Vec<u32>,
    sequences: Vec<u32>,
    /// The pages of each sequence.
    pub pages: Vec<u32>,
    /// Pages from one sequence's table to the next.
    pub table_pitch: usize,
    q: Matrix,
    cache: Cache,
}

impl Attention {
    /// One sequence's heads without groups, and nothing else out of the ordinary.
    pub const PLAIN: Self = Self {
        heads: 1,
        kv_heads: 1,
        head_dim: 8,
        window: None,
        format: KvFormat::F32,
        policy: Policy { rung: Rung::Portable, deterministic: false, processor: false, int8: false },
        sequences: Vec::new(),
        filling: 0,
        scattered: false,
        one_hot: false,
        steepness: 1.0,
    };

    fn heads(&self) -> Heads {
        let Self { heads, kv_heads, head_dim, window, .. } = *self;
        Heads { heads, kv_heads, head_dim, scale: 1.0 / (head_dim as f32).sqrt(), window }
    }

    /// Places in the cache that no token may look at hold NaN, and table entries that none may follow lead nowhere.
    pub fn scene(&self, rng: &mut Rng) -> Scene {
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
        let width = self.heads * self.head_dim;
        let mut q = rng.numbers(tokens.len() * width, self.steepness);
        q.extend(vec![f32::from_bits(POISON); self.filling * width]);
        let q = Matrix::new(width, q);
        tokens.extend((0..self.filling).map(|_| (0, NOTHING)));
        let (positions, sequences) = tokens.into_iter().unzip();
        Scene { positions, sequences, pages, table_pitch, q, cache }
    }

    /// The launches for `tokens` of the scene's tokens from `first` on, without what they must give.
    pub fn work(&self, scene: &Scene, first: usize, tokens: usize) -> Work {
        let bytes = |words: &[u32]| bytemuck::cast_slice(words).to_vec();
        let extent = Extent { tokens, sequences: 1, table_pitch: scene.table_pitch };
        let chunks = Chunks::new(extent, self.heads(), self.policy);
        let mut launches = vec![(attention::launch(extent, self.heads(), self.format, self.policy), vec![])];
        let mut outputs = Vec::new();
        if chunks.split() {
            launches.push((attention_merge::launch(tokens, self.heads(), chunks, self.policy), vec![]));
            let left = chunks.bytes(tokens, self.heads()) as usize / 4;
            outputs.push(Output::near("partials", 4, vec![f64::NAN; left], 0.0));
            outputs[0].pitch = 4;
        }
        Work {
            launches,
            inputs: vec![
                ("q", scene.q.part(first, tokens).bytes()),
                ("positions", bytes(&scene.positions[first..first + tokens])),
                ("sequences", bytes(&scene.sequences[first..first + tokens])),
                ("pages", bytes(&scene.pages)),
                ("k_cache", bytes(&scene.cache.key_words)),
                ("v_cache", bytes(&scene.cache.value_words)),
            ],
            outputs,
        }
    }

    /// The whole step, and what it must give.
    pub fn whole(&self, scene: &Scene) -> Work {
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
