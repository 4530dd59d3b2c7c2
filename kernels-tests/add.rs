//! Cases of `add`.

use crate::case::{Case, Output, Work};
use crate::data::{Matrix, Rng};
use quernel::kernels::add;

/// One rounding.
const TOLERANCE: f64 = 1e-14;
const EACH: f64 = 1.2e-7;

pub fn cases() -> Vec<Case> {
    let shape = |(rows, columns)| {
        Case::new("add", true, format!("{rows}x{columns}"), move |seed| {
            let mut rng = Rng::new(seed);
            let (a, b) = (Matrix::random(&mut rng, rows, columns), Matrix::random(&mut rng, rows, columns));
            let y = add::reference(&a.exact(), &b.exact());
            Work {
                launches: vec![(add::launch(rows, columns), vec![])],
                inputs: vec![("a", a.bytes()), ("b", b.bytes())],
                outputs: vec![Output::each_near("y", columns, y, TOLERANCE, EACH)],
            }
        })
    };
    ELEMENTWISE.into_iter().map(shape).collect()
}

/// Shapes for kernels that take each element by itself: around a quad, a row's pitch and a workgroup of 256 elements,
/// and one past the fold of a dispatch, at 2²³ elements.
pub const ELEMENTWISE: [(usize, usize); 28] = [
    (1, 1),
    (1, 2),
    (1, 3),
    (1, 4),
    (1, 5),
    (1, 7),
    (1, 8),
    (1, 9),
    (1, 255),
    (1, 256),
    (1, 257),
    (1, 1009),
    (2, 1),
    (3, 8),
    (5, 5),
    (7, 172),
    (8, 64),
    (13, 97),
    (31, 33),
    (32, 32),
    (33, 31),
    (64, 127),
    (127, 64),
    (100, 300),
    (257, 1),
    (1000, 3),
    (9, 4099),
    (1025, 8200),
];
