//! Cases of `linear`: all four shaders, every format of weights, and what surrounds the product.

use crate::case::{Case, Output, Work};
use crate::data::{Matrix, Rng};
use crate::device::Device;
use crate::runs::Runs;
use quernel::kernels::activation::Act;
use quernel::kernels::linear::{self, Form, MATVEC_TOKENS, SHARD_ROWS, Shape};
use quernel::kernels::{Rung, add, gated, rms_norm, rounds_with};
use quernel::tensor::DType;

/// Rounding grows with the root of the columns, some 1e-7 a thousand columns; the definition gets the weights as
/// stored, so their storage does not matter.
const TOLERANCE: f64 = 1e-9;
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

/// x is rounded to 8 bits.
const TOLERANCE_INT8: f64 = 5e-4;
/// Of a few numbers one may be all that cancels, and a gate multiplies two that are rounded.
const TOLERANCE_INT8_FEW: f64 = 5e-3;

#[derive(Clone, Copy)]
pub struct Spec {
    pub tokens: usize,
    pub columns: usize,
    pub rows: usize,
    pub dtype: DType,
    pub form: Form,
    pub runs: Runs,
    pub deterministic: bool,
    /// x is such that rounding it to 8 bits changes nothing.
    pub whole: bool,
    /// Rows of a shard.
    pub shard: usize,
    /// Rows of other weights that lie before this one in its buffer, and in its bias's.
    pub before: usize,
    /// Compare with the weights before rounding, with this tolerance.
    pub unrounded: Option<f64>,
    /// Which of the ways; the default is the first.
    pub way: usize,
}

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

pub fn spec(runs: Runs, tokens: usize, columns: usize, rows: usize, dtype: DType) -> Spec {
    Spec {
        tokens,
        columns,
        rows,
        dtype,
        form: Form::PLAIN,
        runs,
        deterministic: false,
        whole: false,
        shard: rows.next_multiple_of(SHARD_ROWS),
        before: 0,
        unrounded: None,
        way: 0,
    }
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

impl Spec {
    /// The shard from `first_row` on.
    fn shape(&self, tokens: usize, first_row: usize) -> Shape {
        let rows = self.shard.min(self.rows - first_row);
        let Self { columns, rows: all_rows, before, .. } = *self;
        Shape { tokens, columns, first_row, rows, all_rows, w_first: before, bias_first: before }
    }

    fn call(&self, shape: Shape) -> linear::Call {
        let policy = self.runs.policy(self.deterministic);
        linear::Call { shape, form: self.form, weight: self.dtype, policy }
    }

    fn name(&self, what: &str) -> String {
        let Self { tokens, columns, rows, dtype, form, .. } = self;
        let many = !self.deterministic && *tokens > MATVEC_TOKENS;
        let shader = match self.runs {
            Runs::On(_) => {
                if many {
                    "matmul"
                } else {
                    "matvec"
                }
            }
            Runs::Int8(_) if self.rounds() => {
                if many {
                    "matmul_int8"
                } else {
                    "matvec_int8"
                }
            }
            Runs::Int8(_) if many => "matmul",
            Runs::Int8(_) => "matvec",
            Runs::Processor(_) => {
                if self.deterministic || *tokens == 1 {
                    "matvec_rows"
                } else {
                    "matmul_rows"
                }
            }
        };
        let mut name = format!("{shader}/{}/{dtype}", self.runs.name());
        match what {
            "" => {}
            "whole" => name.push_str("/whole"),
            "behind" => name.push_str(&format!("/behind{}", self.before)),
            _ => name.push_str(&format!("/{what}{}", self.shard)),
        }
        name.push_str(&format!("/{tokens}x{columns}->{rows}"));
        if self.way > 0 {
            let way = format!("{:?}", self.call(self.shape(*tokens, 0)).ways()[self.way]).to_lowercase();
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

    /// Rows of the whole W, the gate's and up's.
    fn all_rows(&self) -> usize {
        self.rows * self.form.weights()
    }

    /// Random data for every operand.
    fn data(&self, seed: &str) -> Data {
        let rng = &mut Rng::new(seed);
        Data {
            x: if self.whole {
                whole(rng, self.tokens, self.columns)
            } else {
                Matrix::random(rng, self.tokens, self.columns)
            },
            weight: Matrix::random(rng, self.all_rows(), self.columns),
            norm: Matrix::random(rng, 1, self.columns),
            biases: (0..self.form.weights()).map(|_| Matrix::random(rng, 1, self.rows)).collect(),
            residual: Matrix::random(rng, self.tokens, self.rows),
            before: (Matrix::random(rng, self.before, self.columns), Matrix::random(rng, 1, self.before.max(1))),
        }
    }

    /// The launches for `data`, with their shards.
    fn work(&self, data: &Data, weight: &Matrix) -> Work {
        let before = if self.before > 0 { data.before.0.clone().stored(self.dtype).bytes() } else { Vec::new() };
        let shards = (0..self.rows).step_by(self.shard).filter_map(|first_row| {
            let shape = self.shape(data.x.rows(), first_row);
            let call = self.call(shape);
            let launch = call.launch(*call.ways().get(self.way)?)?;
            let rows = shape.rows * self.form.weights();
            Some((launch, vec![("weight", [before.clone(), weight.part(first_row, rows).bytes()].concat())]))
        });
        let mut inputs = vec![("x", data.x.bytes())];
        if self.form.norm.is_some() {
            inputs.push(("norm", data.norm.bytes()));
        }
        if self.form.bias {
            let before = if self.before > 0 { data.before.1.bytes() } else { Vec::new() };
            inputs.push(("bias", data.biases.iter().fold(before, |all, bias| [all, bias.bytes()].concat())));
        }
        if self.form.output == linear::Output::Residual {
            inputs.push(("residual", data.residual.bytes()));
        }
        Work { launches: shards.collect(), inputs, outputs: vec![] }
    }

    /// What the operands must give.
    fn definition(&self, data: &Data, weight: &[f64]) -> Vec<f64> {
        let mut x = data.x.exact();
        if self.form.norm.is_some() {
            x = rms_norm::reference(&x, &data.norm.exact(), f64::from(EPSILON));
        }
        let product = |part: usize| {
            let rows = &weight[part * self.rows * self.columns..][..self.rows * self.columns];
            let bias = data.biases[part].exact();
            linear::reference(&x, rows, self.form.bias.then_some(&bias[..]), self.columns)
        };
        match self.form.output {
            linear::Output::Plain => product(0),
            linear::Output::Residual => add::reference(&data.residual.exact(), &product(0)),
            linear::Output::Gated(act) => gated::reference(&product(0), &product(1), act),
            linear::Output::Qkv(_) => unreachable!("kernels-tests/qkv.rs has these"),
        }
    }

    fn defined(&self, seed: &str) -> Work {
        let data = self.data(seed);
        let weight = data.weight.clone().stored(self.dtype);
        let defined = if self.unrounded.is_some() { data.weight.exact() } else { weight.exact() };
        let mut work = self.work(&data, &weight);
        let y = self.definition(&data, &defined);
        work.outputs.push(Output::near("y", self.rows, y, self.unrounded.unwrap_or_else(|| self.tolerance())));
        work
    }

    fn tolerance(&self) -> f64 {
        let few = self.columns < 256 || self.tokens * self.rows < 64;
        match self.form.output {
            _ if !self.rounds() || self.whole => TOLERANCE,
            linear::Output::Gated(_) => TOLERANCE_INT8_FEW,
            _ if few => TOLERANCE_INT8_FEW,
            _ => TOLERANCE_INT8,
        }
    }

    fn rounds(&self) -> bool {
        rounds_with(self.dtype) && matches!(self.runs, Runs::Int8(_))
    }
}

/// Sixteenths that 8 bits hold, the largest of each group among them.
fn whole(rng: &mut Rng, rows: usize, columns: usize) -> Matrix {
    let number = |index: usize| if index.is_multiple_of(32) { 127 } else { rng.below(255) as i32 - 127 };
    Matrix::new(columns, (0..rows * columns).map(number).map(|number| number as f32 / 16.0).collect())
}

/// Every operand, before the weights are rounded to their storage.
struct Data {
    x: Matrix,
    weight: Matrix,
    norm: Matrix,
    biases: Vec<Matrix>,
    residual: Matrix,
    before: (Matrix, Matrix),
}

/// The result is what the definition says.
pub fn accurate(what: &str, spec: Spec) -> Case {
    // A word of its own, so that the rounding of operands does not hide the error of the kernel.
    let rounds = spec.unrounded.is_some() || (spec.rounds() && !spec.whole);
    let kernel = if rounds { "linear-rounded" } else { "linear" };
    Case::new(kernel, spec.runs.portable(), spec.name(what), move |seed| spec.defined(seed))
}

/// Past the fold of a dispatch, with as many rows a workgroup.
pub fn folded(spec: Spec, rows: usize) -> Case {
    Case::new("linear", spec.runs.portable(), spec.name("folded"), move |seed| {
        spec.defined(seed).begin_folds(|_, column| column / rows)
    })
}

/// A token alone gets the bits that it gets among others.
pub fn invariant(spec: Spec) -> Case {
    let spec = Spec { form: bias(true), deterministic: true, ..spec };
    let name = spec.name("alone-or-not");
    let seed = format!("linear/{name}");
    let test = move |device: &Device| {
        let data = spec.data(&seed);
        let weight = data.weight.clone().stored(spec.dtype);
        let mut together = spec.work(&data, &weight);
        together.outputs.push(Output::near("y", spec.rows, spec.definition(&data, &weight.exact()), spec.tolerance()));
        let error = together.check(device)?;
        let found = device.run(&together)?.swap_remove(0);
        let pitch = found.len() / spec.tokens;
        for token in [0, 1, spec.tokens / 2, spec.tokens - 1] {
            let alone = Data { x: data.x.part(token, 1), ..spec.data(&seed) };
            let mut alone = spec.work(&alone, &weight);
            let bits = found[token * pitch..][..spec.rows].to_vec();
            alone.outputs.push(Output::bits("y", spec.rows, bits));
            alone
                .check(device)
                .map_err(|reason| format!("token {token} alone differs from it in the step: {reason}"))?;
        }
        Ok(error)
    };
    Case { kernel: "linear", name, portable: spec.runs.portable(), test: Box::new(test) }
}
