//! The conformance set: every kind of variant that an engine would use on an adapter, at a few awkward sizes.

use super::data::{Matrix, Rng};
use super::work::Work;
use super::works::{self, Attention, Product, Runs};
use crate::kernels::activation::Act;
use crate::kernels::attention::{Chunks, Heads};
use crate::kernels::linear::{Form, MATVEC_TOKENS, Output, Qkv};
use crate::kernels::rope::{self, Angles, Pairing};
use crate::kernels::sample::Draw;
use crate::kernels::{KvFormat, Policy, Rung};
use crate::tensor::{Caps, DType};
use std::collections::BTreeSet;

/// One piece of the set: a kernel's word, and what is to be computed.
pub struct Trial {
    /// The kernel.
    pub kernel: &'static str,
    /// Makes the work, and what must come of it.
    pub work: Box<dyn Fn(&str) -> Work>,
}

/// The set for an adapter of `caps`.
pub fn trials(caps: &Caps) -> Vec<Trial> {
    let mut set = Set::default();
    set.elements();
    set.tokens();
    let policy = Policy::new(caps, false);
    for policy in policy.ladder() {
        set.rows(policy);
        set.attention(policy);
    }
    for policy in products(caps) {
        set.products(policy);
    }
    for policy in policy.ladder().filter(|_| caps.max_storage_buffers >= Qkv::buffers(true)) {
        set.qkv(caps, policy);
    }
    set.trials
}

/// The policies by which products are computed, those on demand among them, with the rungs below.
pub fn products(caps: &Caps) -> Vec<Policy> {
    let policy = Policy::new(caps, false);
    let mut all: Vec<_> = policy.ladder().collect();
    all.extend(Some(policy.with_matrices(caps)).filter(|policy| matches!(policy.rung, Rung::Cooperative { .. })));
    all.extend(Policy { int8: true, ..policy }.ladder());
    all
}

#[derive(Default)]
struct Set {
    trials: Vec<Trial>,
    /// Kinds of products that are there.
    kinds: BTreeSet<String>,
}

impl Set {
    fn add(&mut self, kernel: &'static str, work: impl Fn(&str) -> Work + 'static) {
        self.trials.push(Trial { kernel, work: Box::new(work) });
    }

    fn elements(&mut self) {
        for (rows, columns) in [(1, 1), (31, 33), (13, 257)] {
            self.add("add", move |seed| works::add(seed, rows, columns));
            self.add("scale", move |seed| works::scale(seed, rows, columns, -3.7));
            for act in Act::ALL {
                let x = move |seed: &str| works::wide(&mut Rng::new(seed), rows, columns);
                self.add("activation", move |seed| works::activation(&x(seed), act));
                self.add("gated", move |seed| works::gated(&mut Rng::new(seed), &x(seed), act));
            }
        }
    }

    fn tokens(&mut self) {
        for dtype in DType::WEIGHTS {
            for (rows, columns) in [(37, 96), (300, 544)] {
                let columns = if dtype.is_grouped() { columns } else { columns + 7 };
                self.add("embed", move |seed| {
                    let rng = &mut Rng::new(seed);
                    let table = Matrix::random(rng, rows, columns).stored(dtype);
                    let ids: Vec<u32> = (0..19).map(|_| rng.below(rows + rows / 8) as u32).collect();
                    works::embed(&table, &ids, rows.div_ceil(3))
                });
            }
        }
        for to in DType::WEIGHTS.into_iter().filter(|dtype| dtype.is_grouped()) {
            for (rows, columns, from) in [(1, 32, DType::F32), (13, 544, DType::F16), (7, 288, DType::BF16)] {
                self.add("quantize", move |seed| {
                    works::quantize(&Matrix::random(&mut Rng::new(seed), rows, columns).stored(from), to)
                });
            }
        }
        for pairing in [Pairing::Halves, Pairing::Interleaved] {
            for (tokens, heads, head_dim, rotary_dim) in [(1, 3, 64, 64), (13, 2, 40, 20)] {
                let shape = rope::Heads { heads, head_dim, rotary_dim, pairing };
                let angles = Angles::plain(10_000.0, rotary_dim);
                self.add("rope", move |seed| works::rope(seed, tokens, shape, &angles));
            }
        }
        for format in KvFormat::ALL {
            for (tokens, heads, head_dim) in [(1, 3, 64), (33, 2, 40)] {
                self.add("kv_write", move |seed| works::kv_write(&mut Rng::new(seed), tokens, heads, head_dim, format));
            }
        }
    }

    fn rows(&mut self, policy: Policy) {
        let rung = policy.rung;
        for (rows, columns) in [(1, 1), (3, 259), (33, 64), (2, 4099)] {
            self.add("rms_norm", move |seed| {
                let rng = &mut Rng::new(seed);
                let (x, weight) = (Matrix::random(rng, rows, columns), Matrix::random(rng, 1, columns));
                works::rms_norm(&x, &weight, 1e-5, rung)
            });
            for (bias, far) in [(true, false), (false, true)] {
                self.add("layer_norm", move |seed| works::layer_norm(seed, (rows, columns), bias, far, rung));
            }
            let logits = move |seed: &str| Matrix::new(columns, Rng::new(seed).numbers(rows * columns, 2.0));
            self.add("argmax", move |seed| works::argmax(&logits(seed), rung));
            for (temperature, top_k, top_p, min_p) in [(0.8, 40, 0.95, 0.05), (1.5, 300, 0.8, 0.0), (1.0, 0, 1.0, 0.0)]
            {
                self.add("sample", move |seed| {
                    let rng = &mut Rng::new(seed);
                    let mut random = || (rng.unit() * 64f64.exp2()) as u64;
                    let draws = (0..rows).flat_map(|_| Draw::new(temperature, top_k, top_p, min_p, random()).words());
                    works::sample(&logits(seed), &draws.collect::<Vec<_>>(), policy)
                });
            }
        }
    }

    fn attention(&mut self, policy: Policy) {
        for (least, most, room, window) in [(128, 64, 33, None), (512, 16, 5, Some(1200))] {
            let heads = Heads { heads: 3, kv_heads: 1, head_dim: 40, scale: 1.0, window };
            self.add("attention_merge", move |seed| {
                works::attention_merge(&mut Rng::new(seed), 5, heads, Chunks { least, most, room }, policy)
            });
        }
        // A token that sees many keys, and a prompt; tokens beside each other, and the next part of a prompt.
        let steps: [&[(usize, usize)]; 4] =
            [&[(1029, 1)], &[(0, 33)], &[(3, 1), (100, 1), (31, 1)], &[(61, 9), (0, 5)]];
        for (turn, format) in KvFormat::ALL.into_iter().enumerate() {
            // Those of one half in one format, of the other in the next.
            for (index, sequences) in steps.into_iter().enumerate().filter(|(index, _)| index / 2 == turn % 2) {
                let (heads, kv_heads, head_dim) = [(4, 2, 64), (7, 1, 24), (6, 2, 40)][(index + turn) % 3];
                let (window, sequences) = ((index == 2).then_some(50), sequences.to_vec());
                let (filling, scattered) = (index % 3, index == 3);
                let plain = Attention { heads, kv_heads, head_dim, window, format, policy, ..Attention::PLAIN };
                let spec = Attention { sequences, filling, scattered, ..plain };
                self.add("attention", move |seed| spec.whole(&spec.scene(&mut Rng::new(seed))));
            }
        }
    }

    /// The default ways of products in several forms, and of the other ways one of each kind; where an adapter is tuned
    /// by itself, in one storage all.
    fn products(&mut self, policy: Policy) {
        let form = |norm: bool, bias, output| Form { norm: norm.then_some(1e-5), bias, output };
        let (residual, gated) = (form(true, false, Output::Residual), form(true, true, Output::Gated(Act::Silu)));
        let plain = form(false, true, Output::Plain);
        let common = [(1, residual), (3, gated), (33, plain)];
        let others = [(1, plain), (33, residual)];
        let runs = match policy {
            Policy { int8: true, rung, .. } => Runs::Int8(rung),
            Policy { processor: true, rung, .. } => Runs::Processor(rung),
            Policy { rung, .. } => Runs::On(rung),
        };
        let rounds = |dtype| !policy.int8 || crate::kernels::rounds_with(dtype);
        for dtype in DType::WEIGHTS.into_iter().filter(|&dtype| rounds(dtype)) {
            let (columns, rows) = if dtype.is_grouped() { (544, 77) } else { (519, 77) };
            let more = dtype == DType::Q4;
            for (tokens, form) in common.into_iter().chain(others.into_iter().filter(|_| more)) {
                let spec = Product { form, ..Product::new(runs, tokens, columns, rows, dtype) };
                self.ways(spec, dtype == DType::Q4 && form == plain && !policy.processor);
            }
            let steady = Product::new(runs, MATVEC_TOKENS + 1, columns, rows, dtype);
            self.ways(Product { deterministic: true, ..steady }, false);
        }
    }

    fn ways(&mut self, spec: Product, all: bool) {
        let call = spec.call(spec.shape(spec.tokens, 0));
        for (way, launch) in call.ways().into_iter().map(|way| call.launch(way)).enumerate() {
            let Some(launch) = launch else { continue };
            if self.kinds.insert(launch.variant.kind()) || way == 0 || all {
                let spec = Product { way, ..spec };
                self.add("linear", move |seed| spec.defined(seed));
            }
        }
    }

    fn qkv(&mut self, caps: &Caps, policy: Policy) {
        for (index, dtype) in DType::WEIGHTS.into_iter().enumerate() {
            // The rungs below are for others: two storages tell as much of them.
            if policy.rung != Policy::new(caps, false).rung && ![DType::F16, DType::Q4].contains(&dtype) {
                continue;
            }
            let kv = [KvFormat::F16, KvFormat::F32][index % 2];
            let qkv = Qkv { heads: 4, kv_heads: 2, head_dim: 40, kv };
            let form = Form { norm: Some(1e-6), bias: true, output: Output::Qkv(qkv) };
            let tokens = [1, 5][index % 3 % 2];
            let shape = (tokens, 96);
            self.add("linear", move |seed| works::qkv(&mut Rng::new(seed), shape, (form, qkv), dtype, policy));
        }
    }
}
