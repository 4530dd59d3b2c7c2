//! Cases of `quantize`: no group loses more than its definition says.

use crate::case::Case;
use crate::data::{Matrix, Rng};
use quernel::doctor::works;
use quernel::tensor::DType;

/// Rows and columns: around a group, a pair, a block of eight groups and a workgroup of pairs; models' own; and past the
/// fold of a dispatch, where a device can hold it.
const SHAPES: [(usize, usize); 14] = [
    (1, 32),
    (2, 64),
    (3, 96),
    (1, 224),
    (5, 256),
    (7, 288),
    (1, 480),
    (13, 512),
    (31, 544),
    (64, 576),
    (1, 4096),
    (127, 1536),
    (3, 14_336),
    (1025, 64),
];

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for to in DType::WEIGHTS.into_iter().filter(|dtype| dtype.is_grouped()) {
        for from in [DType::F32, DType::F16, DType::BF16] {
            for (rows, columns) in SHAPES {
                cases.push(Case::new("quantize", true, format!("{from}-to-{to}/{rows}x{columns}"), move |seed| {
                    works::quantize(&Matrix::random(&mut Rng::new(seed), rows, columns).stored(from), to)
                }));
            }
        }
        let name = format!("f32-to-{to}/hard");
        cases.push(Case::new("quantize", true, name, move |seed| works::quantize(&hard(&mut Rng::new(seed)), to)));
    }
    cases
}

/// Groups that are hard to store: of one number, of zeros, of one sign, of the two largest that are opposite, of one that
/// dwarfs the others, of whole numbers, of numbers that halves can hardly hold.
fn hard(rng: &mut Rng) -> Matrix {
    const GROUP: usize = 32;
    let mut values = rng.numbers(GROUP * 64, 1.0);
    for (index, group) in values.chunks_mut(GROUP).enumerate() {
        match index % 10 {
            0 => group.fill(0.0),
            1 => group.fill(0.5),
            2 => group.fill(-3.0),
            3 => group.iter_mut().for_each(|x| *x = x.abs()),
            4 => (group[3], group[7]) = (-20.0, 20.0),
            5 => group[31] = 1000.0,
            6 => group.iter_mut().for_each(|x| *x = x.round()),
            7 => group.iter_mut().for_each(|x| *x *= 1e4),
            8 => group.iter_mut().for_each(|x| *x *= 0.01),
            _ => group.iter_mut().enumerate().filter(|(i, _)| *i != index % GROUP).for_each(|(_, x)| *x = 0.0),
        }
    }
    Matrix::new(GROUP * 4, values)
}
