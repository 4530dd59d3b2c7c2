//! Cases of `sample`: exact, since everything after the logits is integers.

use crate::case::{Case, Work};
use crate::data::{Matrix, Rng};
use quernel::doctor::works;
use quernel::kernels::sample::Draw;
use quernel::kernels::{Policy, Rung};

/// Columns, and rows of them.
const SHAPES: [(usize, usize); 19] = [
    (1, 3),
    (2, 5),
    (3, 24),
    (7, 24),
    (8, 24),
    (9, 24),
    (127, 24),
    (255, 24),
    (256, 24),
    (257, 100),
    (1023, 6),
    (1024, 6),
    (1025, 6),
    (4099, 6),
    (5003, 6),
    (49_152, 4),
    (128_256, 1),
    (151_936, 2),
    (262_144, 1),
];

/// What filters a row: temperature, top-k, top-p, min-p.
type Chain = (f32, usize, f32, f32);

const CHAINS: [(&str, Chain); 16] = [
    ("usual", (0.8, 40, 0.95, 0.05)),
    ("plain", (1.0, 0, 1.0, 0.0)),
    ("cold", (0.1, 0, 1.0, 0.0)),
    ("hot", (9.0, 0, 1.0, 0.0)),
    ("top-k", (1.0, 5, 1.0, 0.0)),
    ("top-k-256", (2.0, 256, 1.0, 0.0)),
    ("top-k-257", (2.0, 257, 1.0, 0.0)),
    ("top-k-3000", (2.0, 3000, 1.0, 0.0)),
    ("top-p", (1.0, 0, 0.9, 0.0)),
    ("wide-top-p", (5.0, 0, 0.9999, 0.0)),
    ("no-top-p", (1.0, 0, 0.0, 0.0)),
    ("min-p", (3.0, 0, 1.0, 0.02)),
    ("top-p-min-p", (3.0, 0, 0.99, 1e-4)),
    ("top-k-top-p", (1.5, 300, 0.8, 0.0)),
    ("likeliest", (1.0, 1, 0.5, 0.5)),
    ("as-likely", (1.0, 0, 1.0, 1.0)),
];

/// What a row's columns hold.
type Row = fn(usize) -> f32;

/// Rows that a search for an edge gets wrong when it is careless.
const TRAPS: [(&str, Row); 12] = [
    ("equal", |_| 1.5),
    ("zeros", |column| if column % 3 == 1 { 0.0 } else { -0.0 }),
    ("ties", |column| [3.0, 9.0, 1.0, 9.0, 2.0][column % 5]),
    ("lowest", |_| f32::MIN),
    ("extremes", |column| if column % 7 == 3 { f32::MAX } else { f32::MIN }),
    ("tiny", |column| 1e-39 * (column % 5) as f32),
    ("neighbours", |column| f32::from_bits(0x4170_0000 + (column % 600) as u32)),
    // The largest are all one thread's: columns of a quad in every 256.
    ("one-thread", |column| if column / 4 % 256 == 1 { 20.0 + (column % 13) as f32 } else { -1.0 }),
    ("descending", |column| -1e-3 * column as f32),
    ("ascending", |column| 1e-3 * column as f32),
    ("one-nan", |column| if column == 3 { f32::NAN } else { (column % 101) as f32 }),
    ("infinite", |column| if column == 5 { f32::INFINITY } else { column as f32 % 31.0 }),
];

pub fn cases(rungs: &[Rung]) -> Vec<Case> {
    let mut cases = Vec::new();
    for (rung, processor) in rungs.iter().flat_map(|&rung| [(rung, false), (rung, true)]) {
        let family = Family { rung, processor };
        for (index, (columns, rows)) in SHAPES.into_iter().enumerate() {
            for (name, chain) in chains(columns > 10_000 || processor, index) {
                let x = move |rng: &mut Rng| logits(rng, rows, columns);
                cases.push(family.case(format!("{name}/{columns}"), x, move |_| chain));
            }
        }
        for (index, (trap, value)) in TRAPS.into_iter().enumerate() {
            for columns in [17, 1027, 5003] {
                for (name, chain) in chains(columns != 1027 || processor, index + columns) {
                    let row = move |i| value(i % columns);
                    let x = move |_: &mut Rng| Matrix::new(columns, (0..2 * columns).map(row).collect());
                    cases.push(family.case(format!("{trap}/{name}/{columns}"), x, move |_| chain));
                }
            }
        }
        // Sessions side by side: every row has a chain of its own.
        let x = |rng: &mut Rng| logits(rng, 2 * CHAINS.len(), 2003);
        cases.push(family.case("mixed".to_owned(), x, |row| CHAINS[row % CHAINS.len()].1));
        cases.push(family.folded());
    }
    cases
}

/// All chains, or where they are to be few the usual one and a part of the others, which `turn` picks.
fn chains(few: bool, turn: usize) -> impl Iterator<Item = (&'static str, Chain)> {
    let kept = move |index: &usize| !few || *index == 0 || (index + turn).is_multiple_of(5);
    CHAINS.into_iter().enumerate().filter(move |(index, _)| kept(index)).map(|(_, chain)| chain)
}

/// Ways to compute the kernel.
#[derive(Clone, Copy)]
struct Family {
    rung: Rung,
    processor: bool,
}

impl Family {
    fn name(self, name: &str) -> String {
        let threads = if self.processor { "/processor" } else { "" };
        format!("{:?}{threads}/{name}", self.rung).to_lowercase()
    }

    fn case(
        self,
        name: String,
        x: impl Fn(&mut Rng) -> Matrix + Send + Sync + 'static,
        chain: impl Fn(usize) -> Chain + Send + Sync + 'static,
    ) -> Case {
        Case::new("sample", self.rung == Rung::Portable, self.name(&name), move |seed| {
            let mut rng = Rng::new(seed);
            let x = x(&mut rng);
            self.work(&x, &draws(&mut rng, x.rows(), &chain))
        })
    }

    fn folded(self) -> Case {
        Case::new("sample", self.rung == Rung::Portable, self.name("folded"), move |seed| {
            let mut rng = Rng::new(seed);
            let x = Matrix::random(&mut rng, 32_771, 5);
            let work = self.work(&x, &draws(&mut rng, x.rows(), |_| (1.0, 3, 0.9, 0.0)));
            work.begin_folds(|word, _| word / 2) // two words a row
        })
    }

    fn work(self, x: &Matrix, draws: &[u32]) -> Work {
        let policy = Policy { rung: self.rung, deterministic: false, processor: self.processor, int8: false };
        works::sample(x, draws, policy)
    }
}

/// As a model's: some tokens far ahead of the others.
fn logits(rng: &mut Rng, rows: usize, columns: usize) -> Matrix {
    Matrix::new(columns, rng.numbers(rows * columns, 2.0))
}

fn draws(rng: &mut Rng, rows: usize, chain: impl Fn(usize) -> Chain) -> Vec<u32> {
    let draw = |row| {
        let (temperature, top_k, top_p, min_p) = chain(row);
        let random = (rng.unit() * 64f64.exp2()) as u64;
        Draw::new(temperature, top_k, top_p, min_p, random).words()
    };
    (0..rows).flat_map(draw).collect()
}
