//! Cases of `layer_norm`.

use crate::case::{Case, Output, Work};
use crate::data::{Matrix, Rng};
use crate::rms_norm::ROWS;
use quernel::kernels::{Rung, layer_norm};

/// The mean is taken away before squaring, and then what rounding has left of it, so what cancels is only what the
/// input itself has rounded away: also where the mean is a hundred times the deviation.
const TOLERANCE: f64 = 1e-10;

pub fn cases(rungs: &[Rung]) -> Vec<Case> {
    let mut cases = Vec::new();
    for &rung in rungs {
        for (index, (rows, columns)) in ROWS.into_iter().enumerate() {
            for bias in [false, true] {
                let far = index % 5 == 2;
                let name = format!("{rung:?}/{rows}x{columns}/{}", what(bias, far)).to_lowercase();
                cases.push(Case::new("layer_norm", rung == Rung::Portable, name, move |seed| {
                    work(seed, (rows, columns), bias, far, rung)
                }));
            }
        }
        let name = format!("{rung:?}/folded").to_lowercase();
        cases.push(Case::new("layer_norm", rung == Rung::Portable, name, move |seed| {
            work(seed, (32_771, 12), true, false, rung).begin_folds(|row, _| row)
        }));
    }
    cases
}

fn what(bias: bool, far: bool) -> String {
    format!("{}{}", if bias { "bias" } else { "plain" }, if far { "/far" } else { "" })
}

fn work(seed: &str, (rows, columns): (usize, usize), bias: bool, far: bool, rung: Rung) -> Work {
    let mut rng = Rng::new(seed);
    let offset = if far { 100.0 } else { 0.5 };
    let values = rng.numbers(rows * columns, 1.0).into_iter().map(|value| value + offset).collect();
    let x = Matrix::new(columns, values);
    let weight = Matrix::random(&mut rng, 1, columns);
    let shift = Matrix::random(&mut rng, 1, columns);
    let exact = shift.exact();
    let y = layer_norm::reference(&x.exact(), &weight.exact(), bias.then_some(&exact[..]), 1e-5);
    let mut inputs = vec![("x", x.bytes()), ("weight", weight.bytes())];
    if bias {
        inputs.push(("bias", shift.bytes()));
    }
    Work {
        launches: vec![(layer_norm::launch(rows, columns, 1e-5, bias, rung), vec![])],
        inputs,
        outputs: vec![Output::near("y", columns, y, TOLERANCE)],
    }
}
