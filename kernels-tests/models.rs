//! Every architecture by definition alone, with no GPU: golden checkpoints computed in `f64` from the kernels'
//! references, and held against the logits and the text of transformers.
//!
//! What fails here is wrong in a model's file, in a checkpoint's reading or in a kernel's definition, and not in a
//! shader or a driver.

use quernel::checkpoint::{Checkpoint, Config};
use quernel::graph::{StepInput, StepShape};
use quernel::kernels::{KvFormat, PAGE_TOKENS};
use quernel::model::{Model, Outputs};
use quernel::runtime::{Reference, StepInputs};
use std::path::{Path, PathBuf};

/// transformers' own rounding in `f32` moves the logits by at most 1e-5 of their standard deviation (the golden script
/// refuses a fixture where it does not), and the angles differ in the last bit where a library's cosine does.
const ALLOWED: f64 = 2e-5;

/// The pages of the one sequence, out of order as they are when sequences come and go.
const PAGES: [u32; 3] = [2, 0, 1];

struct Golden {
    name: String,
    checkpoint: Checkpoint,
    model: Model,
    expected: serde_json::Value,
    /// (tokens, vocab).
    logits: Vec<f32>,
}

impl Golden {
    fn open(dir: &Path, config: Config) -> Self {
        let checkpoint = Checkpoint::open(dir).unwrap();
        let model = Model::open(&config, &checkpoint).unwrap();
        let expected = std::fs::read_to_string(dir.join("expected.json")).unwrap();
        let logits = Checkpoint::open(dir.join("expected.safetensors")).unwrap();
        let rows = logits.fact("logits").unwrap().shape.rows();
        let mut bytes = Vec::new();
        logits.read_rows("logits", 0..rows, &mut bytes).unwrap();
        let logits = bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        let name = config.path().strip_prefix(assets()).unwrap().display().to_string();
        Self { name, checkpoint, model, expected: serde_json::from_str(&expected).unwrap(), logits }
    }

    fn ids(&self, list: &str) -> Vec<u32> {
        let ids = self.expected[list].as_array().unwrap();
        ids.iter().map(|id| id.as_u64().unwrap() as u32).collect()
    }

    /// A reference whose caches are empty.
    fn reference(&self) -> Reference {
        Reference::new(self.model.caches(), PAGES.len())
    }

    /// What the model says of `ids` at positions from `first` on.
    fn step(&self, reference: &mut Reference, outputs: Outputs, ids: &[u32], first: usize) -> Vec<f64> {
        self.step_over(KvFormat::F32, reference, outputs, ids, first)
    }

    /// As `step`, over a cache of format `kv`.
    fn step_over(
        &self,
        kv: KvFormat,
        reference: &mut Reference,
        outputs: Outputs,
        ids: &[u32],
        first: usize,
    ) -> Vec<f64> {
        let shape = StepShape { tokens: ids.len(), outputs: ids.len(), sequences: 1, table_pitch: PAGES.len() };
        let context = self.model.context().min(PAGES.len() * PAGE_TOKENS);
        let graph = self.model.graph(shape, context, outputs, &self.checkpoint, None).unwrap().with_kv(kv);
        let mut inputs = StepInputs::new(shape, 4);
        let mut fill = |input, number: &dyn Fn(usize) -> u32| {
            inputs.list_mut(input).iter_mut().enumerate().for_each(|(index, slot)| *slot = number(index));
        };
        fill(StepInput::Ids, &|token| ids[token]);
        fill(StepInput::Positions, &|token| (first + token) as u32);
        fill(StepInput::Sequences, &|_| 0);
        fill(StepInput::OutputRows, &|token| token as u32);
        fill(StepInput::Pages, &|page| PAGES[page]);
        fill(StepInput::KvRows, &|token| {
            let position = first + token;
            PAGES[position / PAGE_TOKENS] * PAGE_TOKENS as u32 + (position % PAGE_TOKENS) as u32
        });
        reference.run(&graph, &self.checkpoint, &inputs).unwrap().remove(0)
    }

    /// As many tokens after the prompt as transformers was asked for.
    fn greedy(&self, kv: KvFormat) -> Vec<u32> {
        let mut reference = self.reference();
        let (mut ids, mut first, mut text) = (self.ids("prompt"), 0, Vec::new());
        for _ in self.ids("greedy") {
            let found = self.step_over(kv, &mut reference, Outputs::Argmax, &ids, first);
            let [.., next, not_finite] = found[..] else { panic!("no output") };
            assert_eq!(not_finite, 0.0, "{}", self.name);
            first += ids.len();
            ids = vec![next as u32];
            text.push(next as u32);
        }
        text
    }
}

fn assets() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/golden")
}

/// Every golden checkpoint, once for each of its configurations.
fn golden() -> Vec<Golden> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(assets()).unwrap() {
        let dir = entry.unwrap().path();
        for config in ["config.json", "config-classic.json"].map(|name| dir.join(name)) {
            if let Ok(text) = std::fs::read_to_string(&config) {
                all.push(Golden::open(&dir, Config::from_json(&config, &text).unwrap()));
            }
        }
    }
    all
}

fn deviation(logits: &[f32]) -> f64 {
    let mean = logits.iter().map(|&x| f64::from(x)).sum::<f64>() / logits.len() as f64;
    (logits.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / logits.len() as f64).sqrt()
}

fn largest_difference(a: impl Iterator<Item = f64>, b: &[f64]) -> f64 {
    a.zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

#[test]
fn logits_are_those_of_transformers() {
    let golden = golden();
    assert!(golden.len() >= 9, "{} golden configurations", golden.len());
    for golden in golden {
        let logits = golden.step(&mut golden.reference(), Outputs::Logits, &golden.ids("tokens"), 0);
        assert_eq!(logits.len(), golden.logits.len(), "{}", golden.name);
        let error = largest_difference(golden.logits.iter().map(|&x| f64::from(x)), &logits);
        let error = error / deviation(&golden.logits);
        println!("{:<28} {error:.2e} of the logits' deviation", golden.name);
        assert!(error <= ALLOWED, "{}: {error:e} of the logits' deviation", golden.name);
    }
}

/// The most that rounding keys and values may move a logit, in deviations: a half keeps 11 bits of each, a q8 7 of the
/// largest of 32, and these models' attention is steep.
const ALLOWED_OF_CACHE: [(KvFormat, f64); 2] = [(KvFormat::F16, 1e-2), (KvFormat::Q8, 2e-1)];

#[test]
fn a_narrower_cache_moves_logits_little() {
    for golden in golden() {
        let ids = golden.ids("tokens");
        let exact = golden.step(&mut golden.reference(), Outputs::Logits, &ids, 0);
        for (kv, allowed) in ALLOWED_OF_CACHE {
            let found = golden.step_over(kv, &mut golden.reference(), Outputs::Logits, &ids, 0);
            let error = largest_difference(exact.iter().copied(), &found) / deviation(&golden.logits);
            println!("{:<28} {kv} {error:.2e} of the logits' deviation", golden.name);
            assert!(error > 0.0 && error <= allowed, "{} {kv}: {error:e} of the logits' deviation", golden.name);
        }
    }
}

/// A token sees the tokens of earlier steps through the cache as it sees those of its own.
#[test]
fn a_prompt_may_come_in_pieces() {
    for golden in golden() {
        let ids = golden.ids("tokens");
        let whole = golden.step(&mut golden.reference(), Outputs::Logits, &ids, 0);
        let mut reference = golden.reference();
        let mut pieces = Vec::new();
        for (first, last) in [(0, 20), (20, 21), (21, ids.len())] {
            pieces.extend(golden.step(&mut reference, Outputs::Logits, &ids[first..last], first));
        }
        assert_eq!(whole, pieces, "{}", golden.name);
    }
}

#[test]
fn greedy_text_is_that_of_transformers() {
    for golden in golden() {
        assert_eq!(golden.greedy(KvFormat::F32), golden.ids("greedy"), "{}", golden.name);
    }
}

/// Where every token leads by more than a rounded cache can move two logits, the text stays.
#[test]
fn greedy_text_stays_in_a_narrower_cache() {
    let mut held = 0;
    for golden in golden() {
        let gap = golden.expected["min_gap"].as_f64().unwrap();
        for (kv, _) in ALLOWED_OF_CACHE.into_iter().filter(|(_, allowed)| 2.0 * allowed < gap) {
            assert_eq!(golden.greedy(kv), golden.ids("greedy"), "{} {kv}", golden.name);
            held += 1;
        }
    }
    assert!(held > 0, "no golden checkpoint's tokens lead by enough");
}
