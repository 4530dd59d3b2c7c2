//! Cases of `layer_norm`.

use crate::case::Case;
use crate::rms_norm::ROWS;
use quernel::doctor::works;
use quernel::kernels::Rung;

pub fn cases(rungs: &[Rung]) -> Vec<Case> {
    let mut cases = Vec::new();
    for &rung in rungs {
        for (index, (rows, columns)) in ROWS.into_iter().enumerate() {
            for bias in [false, true] {
                let far = index % 5 == 2;
                let name = format!("{rung:?}/{rows}x{columns}/{}", what(bias, far)).to_lowercase();
                cases.push(Case::new("layer_norm", rung == Rung::Portable, name, move |seed| {
                    works::layer_norm(seed, (rows, columns), bias, far, rung)
                }));
            }
        }
        let name = format!("{rung:?}/folded").to_lowercase();
        cases.push(Case::new("layer_norm", rung == Rung::Portable, name, move |seed| {
            works::layer_norm(seed, (32_771, 12), true, false, rung).begin_folds(|row, _| row)
        }));
    }
    cases
}

fn what(bias: bool, far: bool) -> String {
    format!("{}{}", if bias { "bias" } else { "plain" }, if far { "/far" } else { "" })
}
