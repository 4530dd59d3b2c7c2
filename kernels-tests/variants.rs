//! Every variant that some launch chooses, gathered by asking the launches themselves over a grid of shapes.

use quernel::bench::probes::{dot, empty, fma, matrix, memory};
use quernel::engine::EngineOptions;
use quernel::kernels::activation::{self, Act};
use quernel::kernels::linear::{Form, Output, Qkv};
use quernel::kernels::rope::Pairing;
use quernel::kernels::{KvFormat, Launch, Params, Policy, Rung};
use quernel::kernels::{
    add, argmax, attention, attention_merge, embed, gated, kv_write, layer_norm, linear, quantize, random, rms_norm,
    rope, sample, scale,
};
use quernel::tensor::{DType, Matrix};

/// A kernel with what its launches promise.
pub struct Kernel {
    /// Its word.
    pub name: &'static str,
    /// The parameters' names and offsets as Rust lays them out.
    pub fields: &'static [(&'static str, usize)],
    /// The names that a launch's documentation says it reads; `bias` comes on top where that slot is filled.
    pub reads: &'static [&'static str],
    /// The names that it writes.
    pub writes: &'static [&'static str],
    /// Launches that between them choose every variant.
    pub launches: Vec<Launch>,
}

const RUNGS: [Rung; 2] = [Rung::Portable, Rung::Subgroup];
const DTYPES: [DType; 7] = DType::ALL;
/// Rows, columns and tokens: the small numbers all, then some around tiles and some large.
const SIZES: [usize; 19] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 31, 32, 33, 64, 65, 172, 1000, 4096, 100_003];

/// All kernels.
pub fn kernels() -> Vec<Kernel> {
    let mut kernels = element_kernels();
    kernels.extend(row_kernels());
    kernels.extend(token_kernels());
    kernels.extend(probes());
    kernels.extend(attention_kernels());
    kernels
}

fn kernel<P: Params>(
    name: &'static str,
    reads: &'static [&'static str],
    writes: &'static [&'static str],
    launches: impl Iterator<Item = Launch>,
) -> Kernel {
    Kernel { name, fields: P::FIELDS, reads, writes, launches: launches.collect() }
}

/// All pairs of rows and columns.
fn shapes() -> impl Iterator<Item = (usize, usize)> {
    SIZES.iter().flat_map(|&rows| SIZES.iter().map(move |&columns| (rows, columns)))
}

fn element_kernels() -> Vec<Kernel> {
    let acts = || shapes().flat_map(|shape| Act::ALL.map(|act| (shape, act)));
    vec![
        kernel::<add::Params>("add", &["a", "b"], &["y"], shapes().map(|(rows, columns)| add::launch(rows, columns))),
        kernel::<scale::Params>(
            "scale",
            &["x"],
            &["y"],
            shapes().map(|(rows, columns)| scale::launch(rows, columns, 2.0)),
        ),
        kernel::<activation::Params>(
            "activation",
            &["x"],
            &["y"],
            acts().map(|((rows, columns), act)| activation::launch(rows, columns, act)),
        ),
        kernel::<gated::Params>(
            "gated",
            &["gate", "up"],
            &["y"],
            acts().map(|((rows, columns), act)| gated::launch(rows, columns, act)),
        ),
        kernel::<random::Params>("random", &[], &["y"], randoms()),
        kernel::<quantize::Params>("quantize", &["weight"], &["y"], quantizations()),
    ]
}

fn randoms() -> impl Iterator<Item = Launch> {
    let dtypes = shapes().flat_map(|shape| DTYPES.map(|dtype| (shape, dtype)));
    dtypes.filter_map(|((rows, columns), dtype)| {
        random::launch(random::Numbers::for_columns(columns, 1), 0..rows, columns, dtype)
    })
}

fn quantizations() -> impl Iterator<Item = Launch> {
    let pairs = DTYPES.into_iter().flat_map(|from| DTYPES.map(|to| (from, to)));
    pairs.flat_map(|(from, to)| [32, 288, 4096].map(|columns| quantize::launch(5, columns, from, to))).flatten()
}

fn row_kernels() -> Vec<Kernel> {
    let rungs = || shapes().flat_map(|shape| RUNGS.map(|rung| (shape, rung)));
    let norms = || rungs().flat_map(|(shape, rung)| [true, false].map(|bias| (shape, rung, bias)));
    vec![
        kernel::<rms_norm::Params>(
            "rms_norm",
            &["x", "weight"],
            &["y"],
            rungs().map(|((rows, columns), rung)| rms_norm::launch(rows, columns, 1e-5, rung)),
        ),
        kernel::<layer_norm::Params>(
            "layer_norm",
            &["x", "weight"],
            &["y"],
            norms().map(|((rows, columns), rung, bias)| layer_norm::launch(rows, columns, 1e-5, bias, rung)),
        ),
        kernel::<argmax::Params>(
            "argmax",
            &["x"],
            &["y"],
            rungs().map(|((rows, columns), rung)| argmax::launch(rows, columns, rung)),
        ),
        kernel::<sample::Params>(
            "sample",
            &["x", "draws"],
            &["y"],
            shapes().flat_map(|shape| policies().map(move |policy| sample::launch(shape.0, shape.1, policy))),
        ),
        kernel::<linear::Params>("linear", &["x", "weight"], &["y"], linears().into_iter()),
    ]
}

fn linears() -> Vec<Launch> {
    let mut launches = Vec::new();
    for (tokens, columns) in shapes().filter(|(tokens, _)| *tokens <= EngineOptions::MAX_BATCH) {
        for (weight, form) in DTYPES.into_iter().flat_map(|dtype| forms().map(move |form| (dtype, form))) {
            for policy in policies() {
                let shape = linear::Shape {
                    tokens,
                    columns,
                    first_row: 8,
                    rows: 64,
                    all_rows: 72,
                    w_first: 16,
                    bias_first: 16,
                };
                launches.extend(linear::launch(shape, form, weight, policy));
                // The other ways differ in numbers, which one format tries and the least and the largest of the forms.
                let call = linear::Call { shape, form, weight, policy };
                let qkv = matches!(form.output, Output::Qkv(Qkv { kv: KvFormat::F16, .. }));
                if weight == DType::Q4 && (form == Form::PLAIN || (qkv && form.bias && form.norm.is_some())) {
                    launches.extend(call.ways().into_iter().skip(1).filter_map(|way| call.launch(way)));
                }
            }
        }
    }
    launches
}

fn policies() -> impl Iterator<Item = Policy> {
    let cooperative = [(8, 8), (8, 32), (16, 32), (16, 64)].map(|(size, lanes)| Rung::Cooperative { size, lanes });
    let rungs = RUNGS.into_iter().chain(cooperative).map(|rung| Policy {
        rung,
        deterministic: false,
        processor: false,
        int8: false,
    });
    let processor =
        [Rung::Portable, Rung::Eight].map(|rung| Policy { rung, deterministic: false, processor: true, int8: false });
    let int8 = RUNGS.map(|rung| Policy { rung, deterministic: false, processor: false, int8: true });
    rungs.chain(processor).chain(int8).flat_map(|policy| [policy, Policy { deterministic: true, ..policy }])
}

fn forms() -> impl Iterator<Item = Form> {
    let gates = Act::ALL.into_iter().map(Output::Gated);
    let qkv = |kv| Output::Qkv(Qkv { heads: 6, kv_heads: 1, head_dim: 8, kv });
    let outputs = [Output::Plain, Output::Residual, qkv(KvFormat::F32), qkv(KvFormat::F16)].into_iter().chain(gates);
    outputs.flat_map(|output| {
        [(None, false), (None, true), (Some(1e-5), false), (Some(1e-5), true)].map(|(norm, bias)| Form {
            norm,
            bias,
            output,
        })
    })
}

fn token_kernels() -> Vec<Kernel> {
    let head_dims = || (8..=attention::MAX_HEAD_DIM).step_by(8);
    let steps = || SIZES.into_iter().flat_map(move |tokens| head_dims().map(move |head_dim| (tokens, head_dim)));
    let tables = || SIZES.into_iter().flat_map(|columns| DTYPES.map(|dtype| (columns, dtype)));
    let turns = steps().flat_map(|(tokens, head_dim)| {
        [Pairing::Halves, Pairing::Interleaved]
            .map(|pairing| rope::launch(tokens, rope::Heads { heads: 4, head_dim, rotary_dim: head_dim / 2, pairing }))
    });
    vec![
        kernel::<rope::Params>("rope", &["x", "positions", "table"], &["y"], turns),
        kernel::<kv_write::Params>(
            "kv_write",
            &["k", "v", "kv_rows"],
            &["k_cache", "v_cache"],
            steps().flat_map(|(tokens, head_dim)| KvFormat::ALL.map(|kv| kv_write::launch(tokens, 2, head_dim, kv))),
        ),
        kernel::<embed::Params>(
            "embed",
            &["ids", "weight"],
            &["y"],
            tables().filter_map(|(columns, dtype)| {
                embed::launch(3, embed::Table { dtype, first: 0, rows: 5, columns, w_first: 0 })
            }),
        ),
    ]
}

/// The kernels that measure a device.
fn probes() -> Vec<Kernel> {
    let divisions = || {
        let all = [1, 8, 64, 256].into_iter().flat_map(|workgroup| [(workgroup, false), (workgroup, true)]);
        let all = all.flat_map(|(workgroup, together)| [(workgroup, together, 4), (workgroup, together, 64)]);
        let all = all.flat_map(|way| [(way, false), (way, true)]);
        all.map(|((workgroup, together, loads), wide)| memory::Division {
            workgroup,
            workgroups: 3,
            loads,
            wide,
            together,
            rounds: 2,
        })
    };
    let numbers = [DType::F32, DType::F16].into_iter();
    let square = |side, input| Matrix { m: side, n: side, k: side, input: Some(input), output: Some(DType::F32) };
    let squares = [square(8, DType::F32), square(8, DType::F16), square(16, DType::F16)];
    let products = squares.into_iter().flat_map(|shape| [8, 16, 32, 64].map(|subgroup| (shape, subgroup)));
    vec![
        kernel::<memory::Params>("read", &["x"], &["y"], divisions().filter_map(memory::read)),
        kernel::<memory::Params>("copy", &["x"], &["y"], divisions().filter_map(memory::copy)),
        kernel::<fma::Params>("fma", &[], &["y"], numbers.filter_map(|number| fma::launch(9, 1, 64, number, [1.0; 2]))),
        kernel::<dot::Params>("dot", &[], &["y"], [dot::launch(9, 1, 64, 1)].into_iter()),
        kernel::<matrix::Params>(
            "matrix",
            &["a", "b"],
            &["y"],
            products.filter_map(|(shape, subgroup)| matrix::launch(2, 1, subgroup, shape)),
        ),
        kernel::<empty::Params>("empty", &[], &["y"], [empty::launch(1)].into_iter()),
    ]
}

/// Steps, heads and policies: every width of a head, and every number of rows with some of them; what changes no size of
/// anything takes turns.
fn attentions() -> Vec<(attention::Extent, attention::Heads, KvFormat, Policy)> {
    let mut all = Vec::new();
    for head_dim in (8..=attention::MAX_HEAD_DIM).step_by(8) {
        let groups: &[usize] = if [8, 72, 128, 136, 256].contains(&head_dim) { &[1, 3, 4, 5, 8, 16] } else { &[2] };
        let steps = [(1, 4), (1, 200), (9, 4)];
        for (group, (tokens, table_pitch)) in groups.iter().flat_map(|&group| steps.map(|step| (group, step))) {
            for (deterministic, processor) in [(false, false), (false, true), (true, false)] {
                let turn = all.len() + head_dim / 8;
                let policy = Policy { rung: RUNGS[turn % 2], deterministic, processor, int8: false };
                let heads = attention::Heads { heads: 2 * group, kv_heads: 2, head_dim, scale: 0.1, window: None };
                let extent = attention::Extent { tokens, sequences: 1, table_pitch };
                all.push((extent, heads, KvFormat::ALL[turn / 2 % 3], policy));
            }
        }
    }
    all
}

fn attention_kernels() -> Vec<Kernel> {
    let reads = &["q", "positions", "sequences", "pages", "k_cache", "v_cache"];
    let chunks = |&(extent, heads, _, policy): &_| attention::Chunks::new(extent, heads, policy);
    let (split, whole): (Vec<_>, Vec<_>) = attentions().into_iter().partition(|step| chunks(step).split());
    let merges = split.iter().map(|step| attention_merge::launch(step.0.tokens, step.1, chunks(step), step.3));
    let launch = |(extent, heads, format, policy)| attention::launch(extent, heads, format, policy);
    let merges = kernel::<attention_merge::Params>(
        "attention_merge",
        &["partials", "positions", "sequences"],
        &["y"],
        merges.collect::<Vec<_>>().into_iter(),
    );
    vec![
        kernel::<attention::Params>("attention", reads, &["y"], whole.into_iter().map(launch)),
        kernel::<attention::Params>("attention", reads, &["partials"], split.into_iter().map(launch)),
        merges,
    ]
}
