//! Cases of `activation`.

use crate::add::ELEMENTWISE;
use crate::case::{Case, Output, Work};
use crate::data::{Matrix, Rng};
use quernel::kernels::activation::{self, Act};

/// The exponential of a large argument is off by its rounding: one part in 2²⁴ of 80.
pub const TOLERANCE: f64 = 1e-10;
/// Of one element, below zero where the value itself is an exponential.
pub const EACH: f64 = 2e-5;

/// Where these functions overflow, cancel or vanish when they are computed carelessly.
pub const EXTREMES: [f32; 32] = [
    0.0, -0.0, 1e-30, -1e-30, 1e-6, -1e-6, 0.01, -0.01, 0.5, -0.5, 1.0, -1.0, 2.0, -2.0, 4.0, -4.0, 6.0, -6.0, 9.0,
    -9.0, 13.0, -13.0, 20.0, -20.0, 50.0, -50.0, 88.0, -89.0, 104.0, -104.0, 3e4, -3e4,
];

/// Numbers that reach well into both of a function's tails.
pub fn wide(rng: &mut Rng, rows: usize, columns: usize) -> Matrix {
    Matrix::new(columns, rng.numbers(rows * columns, 3.0))
}

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for act in Act::ALL {
        for (rows, columns) in ELEMENTWISE.into_iter().step_by(if act == Act::Silu { 1 } else { 2 }) {
            let name = format!("{act:?}/{rows}x{columns}").to_lowercase();
            cases.push(Case::new("activation", true, name, move |seed| {
                work(wide(&mut Rng::new(seed), rows, columns), act)
            }));
        }
        let name = format!("{act:?}/extremes").to_lowercase();
        cases.push(Case::new("activation", true, name, move |_| work(Matrix::new(32, EXTREMES.to_vec()), act)));
    }
    cases
}

fn work(x: Matrix, act: Act) -> Work {
    let y = activation::reference(&x.exact(), act);
    Work {
        launches: vec![(activation::launch(x.rows(), x.columns, act), vec![])],
        inputs: vec![("x", x.bytes())],
        outputs: vec![Output::each_near("y", x.columns, y, TOLERANCE, EACH)],
    }
}
