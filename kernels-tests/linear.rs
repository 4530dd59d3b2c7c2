//! Cases of `linear`: all four shaders, every format of weights, and what surrounds the product.

use crate::case::{Case, Output};
use crate::data::seed;
use crate::device::Device;
use quernel::doctor::works::{Product as Spec, Runs};
use quernel::kernels::Rung;
use quernel::kernels::activation::Act;
use quernel::kernels::linear::{self, Form, MATVEC_TOKENS, SHARD_ROWS};
use quernel::tensor::DType;

/// Against weights before rounding: a half keeps 11 bits, a bf16 8, a q8 some 7 and the others some 4.
const TOLERANCE_UNROUNDED: [(DType, f64); 5] =
    [(DType::F16, 1e-6), (DType::BF16, 5e-5), (DType::Q8, 2e-4), (DType::Q4, 5e-2), (DType::Q4A, 4e-2)];

const EPSILON: f32 = 1e-5;

/// Columns and rows: around a quad, a pitch, a slice of 32 columns, a workgroup's 256 and 512, a tile of 32 rows, a
/// unit of 8 rows and a workgroup's 64.
const PLAIN: [(usize, usize); 15] = [
    (1, 1),
    (3, 5),
    (7, 4),
    (8, 3),
    (9, 31),
    (31, 32),
    (33, 33),
    (64, 64),
    (127, 7),
    (172, 64),
    (255, 65),
    (257, 13),
    (513, 34),
    (1024, 96),
    (2049, 10),
];

/// The same for groups of 32 columns: around one block of 8 groups and two.
const GROUPED: [(usize, usize); 9] =
    [(32, 1), (64, 5), (224, 31), (256, 33), (288, 64), (512, 7), (544, 65), (1024, 96), (2080, 10)];

pub fn cases(rungs: &[Rung], runners: &[Runs]) -> Vec<Case> {
    let mut cases = Vec::new();
    for &runs in runners {
        for tokens in [1, 2, 3, 5, 8, 9, 32, 65] {
            // matmul has no rungs.
            if tokens <= MATVEC_TOKENS || runs.portable() {
                sizes(&mut cases, runs, tokens);
            }
        }
        for tokens in [1, 7, 40] {
            for (dtype, columns) in [(DType::F32, 100), (DType::F16, 100), (DType::BF16, 100), (DType::Q4, 96)] {
                let spec = Spec { form: bias(true), ..spec(runs, tokens, columns, 77, dtype) };
                cases.push(accurate("shards", Spec { shard: 3 * SHARD_ROWS, ..spec }));
                cases.push(accurate("shards", Spec { shard: SHARD_ROWS, columns: 64, form: bias(false), ..spec }));
                cases.push(accurate("behind", Spec { before: 24, ..spec }));
            }
            for (dtype, tolerance) in TOLERANCE_UNROUNDED {
                let spec = spec(runs, tokens, 1024, 40, dtype);
                cases.push(accurate("unrounded", Spec { unrounded: Some(tolerance), ..spec }));
            }
        }
        for tokens in [2, 3, 4, 5, 7, 8, 9, 16, 31, 32, 33] {
            for (dtype, columns) in [(DType::F32, 519), (DType::F16, 264), (DType::BF16, 1000), (DType::Q4, 544)] {
                cases.push(invariant(spec(runs, tokens, columns, 23, dtype)));
            }
        }
        forms(&mut cases, runs);
        ways(&mut cases, runs);
    }
    for &rung in rungs {
        cases.push(folded(spec(Runs::On(rung), 1, 9, 8 * 32_768 + 5, DType::F16), 8));
    }
    cases.push(folded(spec(Runs::On(Rung::Portable), 9, 8, 32 * 32_768 + 5, DType::F16), 32));
    cases
}

pub fn bias(bias: bool) -> Form {
    Form { bias, ..Form::PLAIN }
}

/// A product of one shard, with nothing around it.
pub fn spec(runs: Runs, tokens: usize, columns: usize, rows: usize, dtype: DType) -> Spec {
    Spec::new(runs, tokens, columns, rows, dtype)
}

fn sizes(cases: &mut Vec<Case>, runs: Runs, tokens: usize) {
    for dtype in DType::WEIGHTS {
        let sizes = if dtype.is_grouped() { &GROUPED[..] } else { &PLAIN[..] };
        // Every size alone, and where a shader for many begins; of the others a third each.
        let some = |index: usize| tokens == 1 || tokens == MATVEC_TOKENS + 1 || (index + tokens).is_multiple_of(3);
        for (index, &(columns, rows)) in sizes.iter().enumerate().filter(|(index, _)| some(*index)) {
            let form = bias((index + tokens).is_multiple_of(2));
            cases.push(accurate("", Spec { form, ..spec(runs, tokens, columns, rows, dtype) }));
        }
    }
}

/// What surrounds the product, alone and together.
pub fn forms(cases: &mut Vec<Case>, runs: Runs) {
    let outputs = [linear::Output::Plain, linear::Output::Residual, linear::Output::Gated(Act::Silu)];
    let forms = outputs.into_iter().flat_map(|output| {
        [(true, false), (false, true), (true, true)].map(|(norm, bias)| Form {
            norm: norm.then_some(EPSILON),
            bias,
            output,
        })
    });
    for form in forms {
        for (tokens, columns, rows, dtype) in [
            (1, 7, 3, DType::F32),
            (1, 172, 67, DType::F16),
            (2, 1000, 12, DType::F32),
            (3, 289, 65, DType::BF16),
            (4, 64, 172, DType::Q4),
            (1, 544, 131, DType::Q8),
            (5, 288, 9, DType::Q4A),
            (8, 40, 33, DType::F16),
            (13, 96, 70, DType::Q4),
            (40, 75, 21, DType::F32),
        ] {
            if tokens <= MATVEC_TOKENS || runs.processor() {
                cases.push(accurate("", Spec { form, ..spec(runs, tokens, columns, rows, dtype) }));
            }
        }
    }
    let gelu = Form { output: linear::Output::Gated(Act::GeluTanh), ..Form::PLAIN };
    cases.push(accurate("behind", Spec { form: gelu, before: 8, ..spec(runs, 2, 96, 44, DType::Q4) }));
}

/// Every way but the default, of products around its workgroups and beyond them.
pub fn ways(cases: &mut Vec<Case>, runs: Runs) {
    let gated = Form { norm: Some(EPSILON), bias: true, output: linear::Output::Gated(Act::Silu) };
    for (form, dtype, columns, rows) in
        [(bias(true), DType::Q4, 544, 77), (gated, DType::F16, 264, 33), (bias(false), DType::F32, 9, 521)]
    {
        for tokens in [1, 2, 5, 8, 9, 65] {
            let spec = Spec { form, ..spec(runs, tokens, columns, rows, dtype) };
            let ways = spec.call(spec.shape(tokens, 0)).ways().len();
            cases.extend((1..ways).map(|way| accurate("", Spec { way, ..spec })));
        }
    }
}

/// The result is what the definition says.
pub fn accurate(what: &str, spec: Spec) -> Case {
    // A word of its own, so that the rounding of operands does not hide the error of the kernel.
    let rounds = spec.unrounded.is_some() || (spec.rounds() && !spec.whole);
    let kernel = if rounds { "linear-rounded" } else { "linear" };
    Case::new(kernel, spec.runs.portable(), name(&spec, what), move |seed| spec.defined(seed))
}

/// Past the fold of a dispatch, with as many rows a workgroup.
pub fn folded(spec: Spec, rows: usize) -> Case {
    Case::new("linear", spec.runs.portable(), name(&spec, "folded"), move |seed| {
        spec.defined(seed).begin_folds(|_, column| column / rows)
    })
}

/// A token alone gets the bits that it gets among others.
pub fn invariant(spec: Spec) -> Case {
    let spec = Spec { form: bias(true), deterministic: true, ..spec };
    let name = name(&spec, "alone-or-not");
    let seed = seed("linear", &name);
    let test = move |device: &Device| {
        let data = spec.data(&seed);
        let weight = data.weight.clone().stored(spec.dtype);
        let mut together = spec.work(&data, &weight);
        together.outputs.push(Output::near("y", spec.rows, spec.definition(&data, &weight.exact()), spec.tolerance()));
        let error = device.check(&together)?;
        let found = device.run(&together)?.swap_remove(0);
        let pitch = found.len() / spec.tokens;
        for token in [0, 1, spec.tokens / 2, spec.tokens - 1] {
            let mut alone = spec.data(&seed);
            alone.x = data.x.part(token, 1);
            let mut alone = spec.work(&alone, &weight);
            let bits = found[token * pitch..][..spec.rows].to_vec();
            alone.outputs.push(Output::bits("y", spec.rows, bits));
            device
                .check(&alone)
                .map_err(|reason| format!("token {token} alone differs from it in the step: {reason}"))?;
        }
        Ok(error)
    };
    Case { kernel: "linear", name, portable: spec.runs.portable(), test: Box::new(test) }
}

fn name(spec: &Spec, what: &str) -> String {
    let Spec { tokens, columns, rows, dtype, form, .. } = spec;
    let many = !spec.deterministic && *tokens > MATVEC_TOKENS;
    let shader = match spec.runs {
        Runs::On(_) => {
            if many {
                "matmul"
            } else {
                "matvec"
            }
        }
        Runs::Int8(_) if spec.rounds() => {
            if many {
                "matmul_int8"
            } else {
                "matvec_int8"
            }
        }
        Runs::Int8(_) if many => "matmul",
        Runs::Int8(_) => "matvec",
        Runs::Processor(_) => {
            if spec.deterministic || *tokens == 1 {
                "matvec_rows"
            } else {
                "matmul_rows"
            }
        }
    };
    let mut name = format!("{shader}/{}/{dtype}", spec.runs.name());
    match what {
        "" => {}
        "whole" => name.push_str("/whole"),
        "behind" => name.push_str(&format!("/behind{}", spec.before)),
        _ => name.push_str(&format!("/{what}{}", spec.shard)),
    }
    name.push_str(&format!("/{tokens}x{columns}->{rows}"));
    if spec.way > 0 {
        let way = format!("{:?}", spec.call(spec.shape(*tokens, 0)).ways()[spec.way]).to_lowercase();
        name.push_str(&format!("/way-{}", way.replace([' ', '{', '}', ':'], "").replace(',', "-")));
    }
    for (has, word) in [(form.norm.is_some(), "/norm"), (form.bias, "/bias")] {
        name.push_str(if has { word } else { "" });
    }
    match form.output {
        linear::Output::Plain => name,
        linear::Output::Residual => name + "/residual",
        linear::Output::Gated(act) => format!("{name}/{act:?}").to_lowercase(),
        linear::Output::Qkv(_) => name + "/qkv",
    }
}
