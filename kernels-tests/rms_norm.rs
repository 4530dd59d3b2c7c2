//! Cases of `rms_norm`.

use crate::case::{Case, Output, Work};
use crate::data::{Matrix, Rng};
use quernel::kernels::{Rung, rms_norm};

/// A sum of squares has no cancellation, so the error is a few roundings, and an inverse square root's.
const TOLERANCE: f64 = 1e-10;
const EACH: f64 = 1e-5;

/// Rows and columns: the hidden states of models, and the heads of a token as groups.
pub const ROWS: [(usize, usize); 29] = [
    (1, 1),
    (1, 3),
    (1, 4),
    (1, 5),
    (1, 7),
    (1, 8),
    (1, 9),
    (3, 63),
    (1, 64),
    (2, 65),
    (5, 127),
    (1, 172),
    (7, 255),
    (1, 256),
    (1, 257),
    (3, 259),
    (2, 509),
    (1, 512),
    (1, 1021),
    (4, 1024),
    (1, 2048),
    (3, 4093),
    (1, 4096),
    (1, 16411),
    (33, 64),
    (32 * 5, 128),
    (31, 8),
    (257, 24),
    (1000, 1),
];

pub fn cases(rungs: &[Rung]) -> Vec<Case> {
    let mut cases = Vec::new();
    for &rung in rungs {
        for (rows, columns) in ROWS {
            for (scale, epsilon) in [(1.0, 1e-5), (1e-3, 1e-6)] {
                let name = format!("{rung:?}/{rows}x{columns}/eps{epsilon:e}").to_lowercase();
                cases.push(Case::new("rms_norm", rung == Rung::Portable, name, move |seed| {
                    let mut rng = Rng::new(seed);
                    let x = Matrix::new(columns, rng.numbers(rows * columns, scale));
                    work(&x, &Matrix::random(&mut rng, 1, columns), epsilon, rung)
                }));
            }
        }
        let name = format!("{rung:?}/folded").to_lowercase();
        cases.push(Case::new("rms_norm", rung == Rung::Portable, name, move |seed| {
            let mut rng = Rng::new(seed);
            let (x, weight) = (Matrix::random(&mut rng, 32_771, 12), Matrix::random(&mut rng, 1, 12));
            work(&x, &weight, 1e-5, rung).begin_folds(|row, _| row)
        }));
        let name = format!("{rung:?}/zeros").to_lowercase();
        cases.push(Case::new("rms_norm", rung == Rung::Portable, name, move |seed| {
            let weight = Matrix::random(&mut Rng::new(seed), 1, 65);
            work(&Matrix::new(65, vec![0.0; 2 * 65]), &weight, 1e-5, rung)
        }));
    }
    cases
}

fn work(x: &Matrix, weight: &Matrix, epsilon: f32, rung: Rung) -> Work {
    let y = rms_norm::reference(&x.exact(), &weight.exact(), f64::from(epsilon));
    Work {
        launches: vec![(rms_norm::launch(x.rows(), x.columns, epsilon, rung), vec![])],
        inputs: vec![("x", x.bytes()), ("weight", weight.bytes())],
        outputs: vec![Output::each_near("y", x.columns, y, TOLERANCE, EACH)],
    }
}
