//! Cases of `argmax`: exact, the first of equals.

use crate::case::Case;
use crate::data::{Matrix, Rng};
use quernel::doctor::works;
use quernel::kernels::Rung;

const COLUMNS: [usize; 18] = [1, 2, 3, 4, 5, 7, 8, 9, 127, 255, 257, 512, 1023, 1024, 1025, 4099, 32_000, 151_936];

/// What a row's columns hold.
type Row = fn(usize) -> f32;

/// Rows that a search gets wrong when it is careless.
const TRAPS: [(&str, Row); 12] = [
    ("equal", |_| 1.5),
    ("zeros", |column| if column % 3 == 1 { 0.0 } else { -0.0 }),
    ("negative", |column| -1.0 - (column % 977) as f32),
    ("lowest", |_| f32::MIN),
    ("nan", |_| f32::NAN),
    ("infinite", |column| if column == 5 { f32::INFINITY } else { column as f32 % 31.0 }),
    ("minus-infinite", |column| if column % 2 == 0 { f32::NEG_INFINITY } else { -7.0 }),
    ("one-nan", |column| if column == 3 { f32::NAN } else { (column % 101) as f32 }),
    ("all-infinite", |_| f32::INFINITY),
    ("last", |column| column as f32),
    ("first", |column| -(column as f32)),
    ("ties", |column| [3.0, 9.0, 1.0, 9.0, 2.0][column % 5]),
];

pub fn cases(rungs: &[Rung]) -> Vec<Case> {
    let mut cases = Vec::new();
    for &rung in rungs {
        let mut case = |name: String, x: Box<dyn Fn(&mut Rng) -> Matrix + Send + Sync>| {
            let name = format!("{rung:?}/{name}").to_lowercase();
            cases.push(Case::new("argmax", rung == Rung::Portable, name, move |seed| {
                works::argmax(&x(&mut Rng::new(seed)), rung)
            }));
        };
        for (index, columns) in COLUMNS.into_iter().enumerate() {
            let rows = [1, 3, 8][index % 3];
            case(format!("{rows}x{columns}"), Box::new(move |rng| Matrix::random(rng, rows, columns)));
        }
        for (name, value) in TRAPS {
            for columns in [17, 1027] {
                case(
                    format!("{name}/{columns}"),
                    Box::new(move |_| Matrix::new(columns, (0..2 * columns).map(|i| value(i % columns)).collect())),
                );
            }
        }
        let name = format!("{rung:?}/folded").to_lowercase();
        cases.push(Case::new("argmax", rung == Rung::Portable, name, move |seed| {
            let work = works::argmax(&Matrix::random(&mut Rng::new(seed), 32_771, 5), rung);
            work.begin_folds(|word, _| word / 2) // two words a row
        }));
    }
    cases
}
