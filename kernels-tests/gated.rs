//! Cases of `gated`.

use crate::activation::EXTREMES;
use crate::add::ELEMENTWISE;
use crate::case::Case;
use crate::data::{Matrix, Rng};
use quernel::doctor::works::{self, wide};
use quernel::kernels::activation::Act;

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for act in Act::ALL {
        for (rows, columns) in ELEMENTWISE.into_iter().skip(1).step_by(if act == Act::Silu { 1 } else { 2 }) {
            let name = format!("{act:?}/{rows}x{columns}").to_lowercase();
            cases.push(Case::new("gated", true, name, move |seed| {
                let mut rng = Rng::new(seed);
                let gate = wide(&mut rng, rows, columns);
                works::gated(&mut rng, &gate, act)
            }));
        }
        let name = format!("{act:?}/extremes").to_lowercase();
        cases.push(Case::new("gated", true, name, move |seed| {
            works::gated(&mut Rng::new(seed), &Matrix::new(32, EXTREMES.to_vec()), act)
        }));
    }
    cases
}
