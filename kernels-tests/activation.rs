//! Cases of `activation`.

use crate::add::ELEMENTWISE;
use crate::case::Case;
use crate::data::{Matrix, Rng};
use quernel::doctor::works::{self, wide};
use quernel::kernels::activation::Act;

/// Where these functions overflow, cancel or vanish when they are computed carelessly.
pub const EXTREMES: [f32; 32] = [
    0.0, -0.0, 1e-30, -1e-30, 1e-6, -1e-6, 0.01, -0.01, 0.5, -0.5, 1.0, -1.0, 2.0, -2.0, 4.0, -4.0, 6.0, -6.0, 9.0,
    -9.0, 13.0, -13.0, 20.0, -20.0, 50.0, -50.0, 88.0, -89.0, 104.0, -104.0, 3e4, -3e4,
];

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for act in Act::ALL {
        for (rows, columns) in ELEMENTWISE.into_iter().step_by(if act == Act::Silu { 1 } else { 2 }) {
            let name = format!("{act:?}/{rows}x{columns}").to_lowercase();
            cases.push(Case::new("activation", true, name, move |seed| {
                works::activation(&wide(&mut Rng::new(seed), rows, columns), act)
            }));
        }
        let name = format!("{act:?}/extremes").to_lowercase();
        cases.push(Case::new("activation", true, name, move |_| {
            works::activation(&Matrix::new(32, EXTREMES.to_vec()), act)
        }));
    }
    cases
}
