//! Cases of `gated`.

use crate::activation::{EACH, EXTREMES, TOLERANCE, wide};
use crate::add::ELEMENTWISE;
use crate::case::{Case, Output, Work};
use crate::data::{Matrix, Rng};
use quernel::kernels::activation::Act;
use quernel::kernels::gated;

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for act in Act::ALL {
        for (rows, columns) in ELEMENTWISE.into_iter().skip(1).step_by(if act == Act::Silu { 1 } else { 2 }) {
            let name = format!("{act:?}/{rows}x{columns}").to_lowercase();
            let gate = move |rng: &mut Rng| wide(rng, rows, columns);
            cases.push(Case::new("gated", true, name, move |seed| work(seed, gate, act)));
        }
        let name = format!("{act:?}/extremes").to_lowercase();
        cases.push(Case::new("gated", true, name, move |seed| work(seed, |_| Matrix::new(32, EXTREMES.to_vec()), act)));
    }
    cases
}

fn work(seed: &str, gate: impl Fn(&mut Rng) -> Matrix, act: Act) -> Work {
    let mut rng = Rng::new(seed);
    let gate = gate(&mut rng);
    let (rows, columns) = (gate.rows(), gate.columns);
    let up = Matrix::random(&mut rng, rows, columns);
    let y = gated::reference(&gate.exact(), &up.exact(), act);
    Work {
        launches: vec![(gated::launch(rows, columns, act), vec![])],
        inputs: vec![("gate", gate.bytes()), ("up", up.bytes())],
        // Both factors' errors.
        outputs: vec![Output::each_near("y", columns, y, TOLERANCE, 2.0 * EACH)],
    }
}
