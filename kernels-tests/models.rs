//! Every architecture by definition alone, with no GPU: golden checkpoints computed in `f64` from the kernels'
//! references, and held against the logits and the text of transformers.
//!
//! What fails here is wrong in a model's file, in a checkpoint's reading or in a kernel's definition, and not in a
//! shader or a driver.

mod fixtures;

use fixtures::{Golden, golden};
use quernel::checkpoint::Checkpoint;
use quernel::graph::{StepInput, StepShape};
use quernel::kernels::{KvFormat, PAGE_TOKENS};
use quernel::model::{Model, Outputs};
use quernel::runtime::{Reference, StepInputs};

/// transformers' own rounding in `f32` moves the logits by at most 1e-5 of their standard deviation (the golden script
/// refuses a fixture where it does not), and the angles differ in the last bit where a library's cosine does.
const ALLOWED: f64 = 2e-5;

/// The pages of the one sequence, out of order as they are when sequences come and go.
const PAGES: [u32; 3] = [2, 0, 1];

/// A golden checkpoint, read.
struct Opened {
    golden: Golden,
    checkpoint: Checkpoint,
    model: Model,
}

impl Opened {
    fn new(golden: Golden) -> Self {
        let checkpoint = Checkpoint::open(&golden.dir).unwrap();
        let model = Model::open(&checkpoint.config().unwrap(), &checkpoint).unwrap();
        Self { golden, checkpoint, model }
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
        let (mut ids, mut first, mut text) = (self.golden.ids("prompt"), 0, Vec::new());
        for _ in self.golden.ids("greedy") {
            let found = self.step_over(kv, &mut reference, Outputs::Argmax, &ids, first);
            let [.., next, not_finite] = found[..] else { panic!("no output") };
            assert_eq!(not_finite, 0.0, "{}", self.golden.name);
            first += ids.len();
            ids = vec![next as u32];
            text.push(next as u32);
        }
        text
    }
}

fn opened() -> impl Iterator<Item = Opened> {
    golden().into_iter().map(Opened::new)
}

#[test]
fn logits_are_those_of_transformers() {
    for opened in opened() {
        let Opened { golden, .. } = &opened;
        let logits = opened.step(&mut opened.reference(), Outputs::Logits, &golden.ids("tokens"), 0);
        let error = golden.error(logits.into_iter());
        println!("{:<20} {error:.1e} of the logits' deviation", golden.name);
        assert!(error <= ALLOWED, "{}: {error:e} of the logits' deviation", golden.name);
    }
}

/// The most that rounding keys and values may move a logit, in deviations: a half keeps 11 bits of each, a q8 7 of the
/// largest of 32, and these models' attention is steep.
const ALLOWED_OF_CACHE: [(KvFormat, f64); 2] = [(KvFormat::F16, 1e-2), (KvFormat::Q8, 2e-1)];

#[test]
fn a_narrower_cache_moves_logits_little() {
    for opened in opened() {
        let Opened { golden, .. } = &opened;
        for (kv, allowed) in ALLOWED_OF_CACHE {
            let reference = &mut opened.reference();
            let found = opened.step_over(kv, reference, Outputs::Logits, &golden.ids("tokens"), 0);
            let error = golden.error(found.into_iter());
            println!("{:<28} {kv} {error:.2e} of the logits' deviation", golden.name);
            assert!(error > 0.0 && error <= allowed, "{} {kv}: {error:e} of the logits' deviation", golden.name);
        }
    }
}

/// A token sees the tokens of earlier steps through the cache as it sees those of its own.
#[test]
fn a_prompt_may_come_in_pieces() {
    for opened in opened() {
        let ids = opened.golden.ids("tokens");
        let whole = opened.step(&mut opened.reference(), Outputs::Logits, &ids, 0);
        let mut reference = opened.reference();
        let mut pieces = Vec::new();
        for (first, last) in [(0, 20), (20, 21), (21, ids.len())] {
            pieces.extend(opened.step(&mut reference, Outputs::Logits, &ids[first..last], first));
        }
        assert_eq!(whole, pieces, "{}", opened.golden.name);
    }
}

#[test]
fn greedy_text_is_that_of_transformers() {
    for opened in opened() {
        assert_eq!(opened.greedy(KvFormat::F32), opened.golden.ids("greedy"), "{}", opened.golden.name);
    }
}

/// Where every token leads by more than a rounded cache can move two logits, the text stays.
#[test]
fn greedy_text_stays_in_a_narrower_cache() {
    let mut held = 0;
    for opened in opened() {
        let Opened { golden, .. } = &opened;
        let gap = golden.expected["min_gap"].as_f64().unwrap();
        for (kv, _) in ALLOWED_OF_CACHE.into_iter().filter(|(_, allowed)| 2.0 * allowed < gap) {
            assert_eq!(opened.greedy(kv), golden.ids("greedy"), "{} {kv}", golden.name);
            held += 1;
        }
    }
    assert!(held > 0, "no golden checkpoint's tokens lead by enough");
}
