//! Cases of `embed`: exact, since stored numbers are only widened.

use crate::case::{Case, Work};
use crate::data::{Matrix, Rng};
use half::{bf16, f16};
use quernel::doctor::works;
use quernel::tensor::DType;

/// Ids, rows of the table, columns; the last is past the fold of a dispatch.
const SHAPES: [(usize, usize, usize); 15] = [
    (1, 1, 1),
    (1, 7, 3),
    (2, 3, 4),
    (3, 10, 7),
    (5, 32, 8),
    (9, 100, 9),
    (1, 512, 64),
    (8, 512, 64),
    (31, 300, 172),
    (32, 257, 255),
    (33, 64, 257),
    (65, 1000, 96),
    (4, 5, 1021),
    (200, 8, 40),
    (2049, 300, 4100),
];

/// The same for groups of 32 columns.
const GROUPED: [(usize, usize, usize); 6] =
    [(1, 1, 32), (3, 10, 64), (8, 512, 288), (31, 300, 544), (65, 100, 96), (9, 70, 2048)];

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for dtype in DType::WEIGHTS {
        let shapes = if dtype.is_grouped() { &GROUPED[..] } else { &SHAPES[..] };
        for &(ids, rows, columns) in shapes {
            let large = ids > 1000;
            let shards = if rows == 1 || large { vec![rows] } else { vec![rows, rows.div_ceil(3)] };
            for shard in shards.into_iter().filter(|_| !large || dtype == DType::F16) {
                let name = format!("{dtype}/{ids}of{rows}x{columns}/shards-of-{shard}");
                cases.push(Case::new("embed", true, name, move |seed| {
                    let mut rng = Rng::new(seed);
                    let table = Matrix::random(&mut rng, rows, columns).stored(dtype);
                    // One id in ten is beyond the table: its row is left as it was.
                    let ids = (0..ids).map(|i| if i % 10 == 9 { (rows + i) as u32 } else { rng.below(rows) as u32 });
                    works::embed(&table, &ids.collect::<Vec<_>>(), shard)
                }));
            }
        }
    }
    cases.push(Case::new("embed", true, "f16/every-finite-half".to_owned(), |_| every(DType::F16)));
    cases.push(Case::new("embed", true, "bf16/every-normal-bf16".to_owned(), |_| every(DType::BF16)));
    cases
}

/// A table of every number that the storage has; `f32`'s subnormal numbers are left out, which a device may flush.
fn every(dtype: DType) -> Work {
    let number = |bits: u16| {
        let value = if dtype == DType::F16 { f16::from_bits(bits).to_f32() } else { bf16::from_bits(bits).to_f32() };
        if value.is_normal() || value == 0.0 { value } else { 1.0 }
    };
    let table = Matrix::new(256, (0..=u16::MAX).map(number).collect()).stored(dtype);
    works::embed(&table, &(0..256).rev().collect::<Vec<_>>(), 256)
}
