//! Kernels that take each element by itself.

use crate::doctor::data::{Matrix, Rng};
use crate::doctor::work::{Output, Work};
use crate::kernels::activation::{self, Act};
use crate::kernels::{add, gated, quantize, scale};
use crate::tensor::DType;

/// One rounding.
const ROUNDED: f64 = 1e-14;
const EACH_ROUNDED: f64 = 1.2e-7;

/// The exponential of a large argument is off by its rounding: one part in 2²⁴ of 80.
const EXPONENTIAL: f64 = 1e-10;
/// Of one element, below zero where the value itself is an exponential.
const EACH_EXPONENTIAL: f64 = 2e-5;

/// Of scales that are equally good before they are rounded to halves, one may be rounded further than the other.
const WORSE: f64 = 1e-2;

/// `quantize`: `x` from its storage to a grouped one, if there is a way.
pub fn quantize(x: &Matrix, to: DType) -> Work {
    let kept = quantize::reference(&x.exact(), to);
    let launch = quantize::launch(x.rows(), x.columns, x.dtype, to);
    Work {
        launches: launch.into_iter().map(|launch| (launch, vec![])).collect(),
        inputs: vec![("weight", x.bytes())],
        outputs: vec![Output::groups("y", to, x.columns, x.exact(), kept, WORSE)],
    }
}

/// `add`: a + b.
pub fn add(seed: &str, rows: usize, columns: usize) -> Work {
    let mut rng = Rng::new(seed);
    let (a, b) = (Matrix::random(&mut rng, rows, columns), Matrix::random(&mut rng, rows, columns));
    let y = add::reference(&a.exact(), &b.exact());
    Work {
        launches: vec![(add::launch(rows, columns), vec![])],
        inputs: vec![("a", a.bytes()), ("b", b.bytes())],
        outputs: vec![Output::each_near("y", columns, y, ROUNDED, EACH_ROUNDED)],
    }
}

/// `scale`: x times `factor`.
pub fn scale(seed: &str, rows: usize, columns: usize, factor: f32) -> Work {
    let x = Matrix::random(&mut Rng::new(seed), rows, columns);
    let y = scale::reference(&x.exact(), f64::from(factor));
    Work {
        launches: vec![(scale::launch(rows, columns, factor), vec![])],
        inputs: vec![("x", x.bytes())],
        outputs: vec![Output::each_near("y", columns, y, ROUNDED, EACH_ROUNDED)],
    }
}

/// `activation` of `x`.
pub fn activation(x: &Matrix, act: Act) -> Work {
    let y = activation::reference(&x.exact(), act);
    Work {
        launches: vec![(activation::launch(x.rows(), x.columns, act), vec![])],
        inputs: vec![("x", x.bytes())],
        outputs: vec![Output::each_near("y", x.columns, y, EXPONENTIAL, EACH_EXPONENTIAL)],
    }
}

/// `gated`: `gate` and random numbers.
pub fn gated(rng: &mut Rng, gate: &Matrix, act: Act) -> Work {
    let (rows, columns) = (gate.rows(), gate.columns);
    let up = Matrix::random(rng, rows, columns);
    let y = gated::reference(&gate.exact(), &up.exact(), act);
    Work {
        launches: vec![(gated::launch(rows, columns, act), vec![])],
        inputs: vec![("gate", gate.bytes()), ("up", up.bytes())],
        // Both factors' errors.
        outputs: vec![Output::each_near("y", columns, y, EXPONENTIAL, 2.0 * EACH_EXPONENTIAL)],
    }
}

/// Numbers that reach well into both of a function's tails.
pub fn wide(rng: &mut Rng, rows: usize, columns: usize) -> Matrix {
    Matrix::new(columns, rng.numbers(rows * columns, 3.0))
}
