//! `linear`: all of its shaders, every format of weights, and what surrounds the product.

use super::Runs;
use crate::doctor::data::{Matrix, Rng};
use crate::doctor::work::{Output, Work};
use crate::kernels::linear::{self, Form, SHARD_ROWS, Shape};
use crate::kernels::{Way, add, gated, rms_norm, rounds_with};
use crate::tensor::DType;

/// Rounding grows with the root of the columns, some 1e-7 a thousand columns; the definition gets the weights as
/// stored, so their storage does not matter.
const TOLERANCE: f64 = 1e-9;
/// Cooperative matrices round both operands to halves, which keep 11 bits.
const TOLERANCE_HALVES: f64 = 1e-6;

/// x is rounded to 8 bits.
const TOLERANCE_INT8: f64 = 5e-4;
/// Of a few numbers one may be all that cancels, and a gate multiplies two that are rounded.
const TOLERANCE_INT8_FEW: f64 = 5e-3;

/// A product to be computed.
#[derive(Debug, Clone, Copy)]
pub struct Product {
    /// How many tokens.
    pub tokens: usize,
    /// Columns of W.
    pub columns: usize,
    /// Rows of W; of the gate alone where there is one.
    pub rows: usize,
    /// How W is stored.
    pub dtype: DType,
    /// What surrounds it.
    pub form: Form,
    /// Who runs it.
    pub runs: Runs,
    /// Whether numbers must not depend on the step.
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

impl Product {
    /// One shard, with nothing around it.
    pub fn new(runs: Runs, tokens: usize, columns: usize, rows: usize, dtype: DType) -> Self {
        Self {
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

    /// The shard from `first_row` on.
    pub fn shape(&self, tokens: usize, first_row: usize) -> Shape {
        let rows = self.shard.min(self.rows - first_row);
        let Self { columns, rows: all_rows, before, .. } = *self;
        Shape { tokens, columns, first_row, rows, all_rows, w_first: before, bias_first: before }
    }

    /// The product as it is asked for, of one shard.
    pub fn call(&self, shape: Shape) -> linear::Call {
        let policy = self.runs.policy(self.deterministic);
        linear::Call { shape, form: self.form, weight: self.dtype, policy }
    }

    /// Rows of the whole W, the gate's and up's.
    fn all_rows(&self) -> usize {
        self.rows * self.form.weights()
    }

    /// Random data for every operand.
    pub fn data(&self, seed: &str) -> ProductData {
        let rng = &mut Rng::new(seed);
        ProductData {
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
    pub fn work(&self, data: &ProductData, weight: &Matrix) -> Work {
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
    pub fn definition(&self, data: &ProductData, weight: &[f64]) -> Vec<f64> {
        let mut x = data.x.exact();
        if let Some(epsilon) = self.form.norm {
            x = rms_norm::reference(&x, &data.norm.exact(), f64::from(epsilon));
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
            linear::Output::Qkv(_) => Vec::new(),
        }
    }

    /// All of it, its random numbers seeded by a name.
    pub fn defined(&self, seed: &str) -> Work {
        let data = self.data(seed);
        let weight = data.weight.clone().stored(self.dtype);
        let defined = if self.unrounded.is_some() { data.weight.exact() } else { weight.exact() };
        let mut work = self.work(&data, &weight);
        let y = self.definition(&data, &defined);
        work.outputs.push(Output::near("y", self.rows, y, self.unrounded.unwrap_or_else(|| self.tolerance())));
        work
    }

    /// The error that is allowed.
    pub fn tolerance(&self) -> f64 {
        let few = self.columns < 256 || self.tokens * self.rows < 64;
        match self.form.output {
            _ if self.halves() => TOLERANCE_HALVES,
            _ if !self.rounds() || self.whole => TOLERANCE,
            linear::Output::Gated(_) => TOLERANCE_INT8_FEW,
            _ if few => TOLERANCE_INT8_FEW,
            _ => TOLERANCE_INT8,
        }
    }

    /// Whether the kernel rounds both operands to halves.
    fn halves(&self) -> bool {
        let call = self.call(self.shape(self.tokens, 0));
        call.ways().get(self.way) == Some(&Way::MatmulCoop)
    }

    /// Whether the kernel rounds x to 8 bits.
    pub fn rounds(&self) -> bool {
        rounds_with(self.dtype) && matches!(self.runs, Runs::Int8(_))
    }
}

/// Sixteenths that 8 bits hold, the largest of each group among them.
fn whole(rng: &mut Rng, rows: usize, columns: usize) -> Matrix {
    let number = |index: usize| if index.is_multiple_of(32) { 127 } else { rng.below(255) as i32 - 127 };
    Matrix::new(columns, (0..rows * columns).map(number).map(|number| number as f32 / 16.0).collect())
}

/// Every operand, before the weights are rounded to their storage.
#[derive(Debug)]
pub struct ProductData {
    /// The tokens.
    pub x: Matrix,
    /// W.
    pub weight: Matrix,
    norm: Matrix,
    biases: Vec<Matrix>,
    residual: Matrix,
    before: (Matrix, Matrix),
}
