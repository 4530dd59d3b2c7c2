//! Cases of `rms_norm`.

use crate::case::Case;
use crate::data::{Matrix, Rng};
use quernel::doctor::works;
use quernel::kernels::Rung;

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
                    works::rms_norm(&x, &Matrix::random(&mut rng, 1, columns), epsilon, rung)
                }));
            }
        }
        let name = format!("{rung:?}/folded").to_lowercase();
        cases.push(Case::new("rms_norm", rung == Rung::Portable, name, move |seed| {
            let mut rng = Rng::new(seed);
            let (x, weight) = (Matrix::random(&mut rng, 32_771, 12), Matrix::random(&mut rng, 1, 12));
            works::rms_norm(&x, &weight, 1e-5, rung).begin_folds(|row, _| row)
        }));
        let name = format!("{rung:?}/zeros").to_lowercase();
        cases.push(Case::new("rms_norm", rung == Rung::Portable, name, move |seed| {
            let weight = Matrix::random(&mut Rng::new(seed), 1, 65);
            works::rms_norm(&Matrix::new(65, vec![0.0; 2 * 65]), &weight, 1e-5, rung)
        }));
    }
    cases
}
