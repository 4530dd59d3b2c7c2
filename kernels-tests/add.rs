//! Cases of `add`.

use crate::case::Case;
use quernel::doctor::works;

pub fn cases() -> Vec<Case> {
    let shape = |(rows, columns)| {
        Case::new("add", true, format!("{rows}x{columns}"), move |seed| works::add(seed, rows, columns))
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
