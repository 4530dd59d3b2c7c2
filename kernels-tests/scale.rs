//! Cases of `scale`.

use crate::add::ELEMENTWISE;
use crate::case::{Case, Output, Work};
use crate::data::{Matrix, Rng};
use quernel::kernels::scale;

/// One rounding.
const TOLERANCE: f64 = 1e-14;
const EACH: f64 = 1.2e-7;

pub fn cases() -> Vec<Case> {
    let shape = |(index, (rows, columns)): (usize, (usize, usize))| {
        let factor = [0.125, -3.7, 1e4, 0.0][index % 4];
        Case::new("scale", true, format!("{rows}x{columns}/by{factor}"), move |seed| {
            let x = Matrix::random(&mut Rng::new(seed), rows, columns);
            let y = scale::reference(&x.exact(), f64::from(factor));
            Work {
                launches: vec![(scale::launch(rows, columns, factor), vec![])],
                inputs: vec![("x", x.bytes())],
                outputs: vec![Output::each_near("y", columns, y, TOLERANCE, EACH)],
            }
        })
    };
    ELEMENTWISE.into_iter().enumerate().map(shape).collect()
}
