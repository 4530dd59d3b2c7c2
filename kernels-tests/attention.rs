//! Cases of `attention`.

use crate::case::{Case, Output};
use crate::data::{Rng, seed};
use crate::device::Device;
use quernel::doctor::works::Attention as Spec;
use quernel::kernels::attention::MAX_HEAD_DIM;
use quernel::kernels::{KvFormat, NOTHING, Policy, Rung};

const PLAIN: Spec = Spec::PLAIN;

/// Query heads, key heads: without groups, with groups of every size that models have, some that no workgroup takes whole.
const GROUPS: [(usize, usize); 8] = [(1, 1), (4, 2), (8, 2), (3, 1), (6, 6), (7, 1), (16, 1), (10, 2)];

/// What a step holds: for each sequence how many tokens the cache has of it and how many are new. Around pages, blocks of
/// 32, 64 and 128 keys, and chunks of 128 and 512.
const STEPS: [(&str, &[(usize, usize)]); 21] = [
    ("first", &[(0, 1)]),
    ("page-end", &[(31, 1)]),
    ("page-begin", &[(32, 1)]),
    ("block-end", &[(63, 1)]),
    ("block-begin", &[(64, 1)]),
    ("chunk-end", &[(127, 1)]),
    ("chunk-begin", &[(128, 1)]),
    ("decode", &[(310, 1)]),
    ("large-chunk-end", &[(511, 1)]),
    ("large-chunk-begin", &[(512, 1)]),
    ("decode-long", &[(1029, 1)]),
    ("prompt-of-5", &[(0, 5)]),
    ("prompt-of-9", &[(0, 9)]),
    ("prompt-of-33", &[(0, 33)]),
    ("prompt-of-131", &[(0, 131)]),
    ("part-of-a-prompt", &[(61, 34)]),
    ("batch", &[(3, 1), (100, 1), (0, 1), (64, 1), (31, 1)]),
    ("uneven-batch", &[(700, 1), (127, 1), (0, 1), (129, 1)]),
    ("large-batch", &[(5, 1), (70, 1), (0, 1), (33, 1), (127, 1), (63, 1), (200, 1), (1, 1), (64, 1), (9, 1), (40, 1)]),
    ("mixed", &[(0, 7), (130, 1), (20, 6), (0, 1), (64, 5)]),
    ("two", &[(250, 2), (0, 2)]),
];

/// The steps of which a token is computed alone as well.
const SHARED: [&str; 6] = ["decode", "prompt-of-131", "part-of-a-prompt", "batch", "large-batch", "mixed"];

pub fn cases(rungs: &[Rung]) -> Vec<Case> {
    let mut cases = Vec::new();
    for (&rung, processor) in rungs.iter().flat_map(|rung| [(rung, false), (rung, true)]) {
        let policy = Policy { rung, deterministic: false, processor, int8: false };
        for (index, head_dim) in DIMS.into_iter().enumerate() {
            // All steps for three widths, in all formats on one rung; every third step in one format for the others.
            let main = [24, 64, 128].contains(&head_dim);
            let turn = (index + usize::from(processor)) % 3;
            let formats = match rung {
                Rung::Portable if main => &KvFormat::ALL[..],
                Rung::Subgroup if !main => &[],
                _ => &KvFormat::ALL[turn..][..1],
            };
            for &format in formats {
                grid(&mut cases, index, if main { 1 } else { 3 }, Spec { head_dim, format, policy, ..PLAIN });
            }
            if index % 4 == 2 {
                let policy = Policy { deterministic: true, ..policy };
                shared(&mut cases, index, Spec { head_dim, format: KvFormat::ALL[turn], policy, ..PLAIN });
            }
        }
        for (old, head_dim) in [(0, 8), (6, 8), (31, 40), (63, 64), (60, 72), (127, 128), (240, 256)] {
            for (steepness, format) in [(1.0, KvFormat::F32), (30.0, KvFormat::F32)] {
                let sequences = vec![(old, 1), (old / 2, head_dim - old)];
                let spec = Spec { heads: 2, head_dim, format, policy, sequences, one_hot: true, steepness, ..PLAIN };
                cases.push(accurate(&format!("softmax{steepness}"), spec));
            }
        }
        for position in [0, 127, 128, 511, 512, 700] {
            let spec = Spec { heads: 3, head_dim: 64, format: KvFormat::F16, policy, ..PLAIN };
            cases.push(room(Spec { sequences: vec![(position, 1)], ..spec }));
        }
        // So many heads that chunks grow to keep their number small, and a window that begins within one.
        let heads = if processor { 16 } else { 64 };
        for window in [None, Some(1500)] {
            let sequences = vec![(2100, 1)];
            cases.push(accurate("grown", Spec { heads, kv_heads: heads, window, policy, sequences, ..PLAIN }));
        }
    }
    // Past the fold of a dispatch: one workgroup a head and eight tokens.
    let sequences = (0..8).map(|i| (i % 5, 264)).collect();
    let spec = Spec { heads: 128, kv_heads: 128, head_dim: 8, sequences, ..PLAIN };
    cases.push(Case::new("attention", true, name(&spec, "folded"), move |seed| {
        let work = spec.whole(&spec.scene(&mut Rng::new(seed)));
        work.begin_folds(|token, column| token / 8 * 128 + column / 8)
    }));
    cases
}

/// One in `every` of the steps, with windows and fillings taking turns. A width of a head has one number of heads, so that
/// few pipelines are compiled.
fn grid(cases: &mut Vec<Case>, index: usize, every: usize, spec: Spec) {
    let (heads, kv_heads) = GROUPS[index % GROUPS.len()];
    for (number, (name, sequences)) in STEPS.into_iter().enumerate() {
        if (index + number).is_multiple_of(every) {
            let window = [None, None, Some(1), Some(17), Some(64), Some(100), Some(400)][(index * 5 + number) % 7];
            let filling = [0, 3, 1][(index + number / 3) % 3];
            let (scattered, sequences) = (number % 2 == 1, sequences.to_vec());
            cases.push(accurate(name, Spec { heads, kv_heads, window, filling, scattered, sequences, ..spec.clone() }));
        }
    }
}

/// Steps of which tokens are computed alone as well.
fn shared(cases: &mut Vec<Case>, index: usize, spec: Spec) {
    let (heads, kv_heads) = GROUPS[index % GROUPS.len()];
    for (number, name) in SHARED.into_iter().enumerate() {
        let step = STEPS.into_iter().find(|(step, _)| *step == name);
        let sequences = step.map(|(_, sequences)| sequences.to_vec()).unwrap_or_default();
        let (window, scattered) = ((number % 2 == 1).then_some(50), number > 2);
        cases.push(invariant(name, Spec { heads, kv_heads, window, filling: 2, scattered, sequences, ..spec.clone() }));
    }
}

const DIMS: [usize; 15] = [8, 16, 24, 32, 40, 48, 64, 72, 80, 96, 112, 128, 160, 200, MAX_HEAD_DIM];

/// The result is what the definition says.
fn accurate(what: &str, spec: Spec) -> Case {
    Case::new("attention", spec.policy.rung == Rung::Portable, name(&spec, what), move |seed| {
        spec.whole(&spec.scene(&mut Rng::new(seed)))
    })
}

/// A token alone gets the bits that it gets among others.
fn invariant(what: &str, spec: Spec) -> Case {
    let name = format!("alone-or-not/{}", name(&spec, what));
    let portable = spec.policy.rung == Rung::Portable;
    let seed = seed("attention", &name);
    let test = move |device: &Device| {
        let scene = spec.scene(&mut Rng::new(&seed));
        let whole = spec.whole(&scene);
        let error = device.check(&whole)?;
        let found = device.run(&whole)?.swap_remove(0);
        let width = spec.heads * spec.head_dim;
        let last = scene.positions.len() - spec.filling - 1;
        for token in [0, 1.min(last), last / 2, last] {
            let mut alone = spec.work(&scene, token, 1);
            alone.outputs.push(Output::bits("y", width, found[token * width..][..width].to_vec()));
            device
                .check(&alone)
                .map_err(|reason| format!("token {token} alone differs from it in the step: {reason}"))?;
        }
        Ok(error)
    };
    Case { kernel: "attention", name, portable, test: Box::new(test) }
}

/// A token's bits do not depend on how long the step's page tables are, and so on whether its keys are divided.
fn room(spec: Spec) -> Case {
    let name = format!("room/{}", name(&spec, &format!("at-{}", spec.sequences[0].0)));
    let portable = spec.policy.rung == Rung::Portable;
    let seed = seed("attention", &name);
    let test = move |device: &Device| {
        let mut scene = spec.scene(&mut Rng::new(&seed));
        let tight = spec.whole(&scene);
        let error = device.check(&tight)?;
        let bits = device.run(&tight)?.pop().unwrap_or_default();
        let tables = scene.pages.chunks(scene.table_pitch);
        scene.pages = tables.flat_map(|table| [table, &[NOTHING; 70]].concat()).collect();
        scene.table_pitch += 70;
        let mut roomy = spec.work(&scene, 0, 1);
        assert_eq!(roomy.launches.len(), 2, "keys are divided where there is room for so many");
        roomy.outputs.push(Output::bits("y", spec.heads * spec.head_dim, bits));
        device.check(&roomy).map_err(|reason| format!("in longer page tables: {reason}"))?;
        Ok(error)
    };
    Case { kernel: "attention", name, portable, test: Box::new(test) }
}

fn name(spec: &Spec, what: &str) -> String {
    let Spec { heads, kv_heads, head_dim, format, .. } = spec;
    let window = spec.window.map_or(String::new(), |window| format!("/window{window}"));
    let order = if spec.scattered { "/scattered" } else { "" };
    let rung = format!("{:?}", spec.policy.rung).to_lowercase();
    let runner = if spec.policy.processor { "processor" } else { "gpu" };
    format!("{rung}/{runner}/{format}/{what}/{heads}of{kv_heads}x{head_dim}{window}{order}/filled{}", spec.filling)
}
