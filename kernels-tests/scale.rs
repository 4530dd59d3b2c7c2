//! Cases of `scale`.

use crate::add::ELEMENTWISE;
use crate::case::Case;
use quernel::doctor::works;

pub fn cases() -> Vec<Case> {
    let shape = |(index, (rows, columns)): (usize, (usize, usize))| {
        let factor = [0.125, -3.7, 1e4, 0.0][index % 4];
        let name = format!("{rows}x{columns}/by{factor}");
        Case::new("scale", true, name, move |seed| works::scale(seed, rows, columns, factor))
    };
    ELEMENTWISE.into_iter().enumerate().map(shape).collect()
}
