//! Cases of `linear`, both shaders.

use crate::case::{Case, Output, Work};
use crate::data::{Matrix, Rng};
use crate::device::Device;
use quernel::kernels::linear::{self, SHARD_ROWS, Shape};
use quernel::kernels::{Policy, Rung};
use quernel::tensor::DType;

/// Rounding grows with the root of the columns, some 1e-7 a thousand columns; the definition gets the weights as
/// stored, so their storage does not matter.
const TOLERANCE: f64 = 1e-9;
/// Against weights before rounding: a half keeps 11 bits, a bf16 keeps 8.
const TOLERANCE_UNROUNDED: [(DType, f64); 2] = [(DType::F16, 1e-6), (DType::BF16, 5e-5)];

const DTYPES: [DType; 3] = [DType::F32, DType::F16, DType::BF16];

/// Columns and rows: around a quad, a pitch, a slice of 32 columns, a workgroup's 256 and 512, a tile of 32 rows.
const WEIGHTS: [(usize, usize); 15] = [
    (1, 1),
    (3, 5),
    (7, 4),
    (8, 3),
    (9, 31),
    (31, 32),
    (33, 33),
    (64, 64),
    (127, 7),
    (172, 64),
    (255, 65),
    (257, 13),
    (513, 34),
    (1024, 96),
    (2049, 10),
];

#[derive(Clone, Copy)]
struct Spec {
    tokens: usize,
    columns: usize,
    rows: usize,
    dtype: DType,
    bias: bool,
    policy: Policy,
    /// Rows of a shard.
    shard: usize,
    /// Compare with the weights before rounding, with this tolerance.
    unrounded: Option<f64>,
}

pub fn cases(rungs: &[Rung]) -> Vec<Case> {
    let mut cases = Vec::new();
    for &rung in rungs {
        for tokens in [1, 2, 3, 5, 8, 9, 32, 65] {
            // matmul has no rungs.
            if tokens <= 8 || rung == Rung::Portable {
                grid(&mut cases, rung, tokens);
            }
        }
        for tokens in [1, 7, 40] {
            for dtype in DTYPES {
                let spec = spec(rung, tokens, 100, 77, dtype);
                cases.push(accurate("shards", Spec { shard: 3 * SHARD_ROWS, bias: true, ..spec }));
                cases.push(accurate("shards", Spec { shard: SHARD_ROWS, columns: 64, ..spec }));
            }
            for (dtype, tolerance) in TOLERANCE_UNROUNDED {
                let spec = spec(rung, tokens, 1000, 40, dtype);
                cases.push(accurate("unrounded", Spec { unrounded: Some(tolerance), ..spec }));
            }
        }
        for tokens in [2, 3, 4, 5, 7, 8, 9, 16, 31, 32, 33] {
            for (dtype, columns) in [(DType::F32, 519), (DType::F16, 264), (DType::BF16, 1000)] {
                cases.push(invariant(spec(rung, tokens, columns, 23, dtype)));
            }
        }
        cases.push(folded(spec(rung, 1, 9, 4 * 32_768 + 5, DType::F16), 4));
    }
    cases.push(folded(spec(Rung::Portable, 9, 8, 32 * 32_768 + 5, DType::F16), 32));
    cases
}

fn spec(rung: Rung, tokens: usize, columns: usize, rows: usize, dtype: DType) -> Spec {
    let policy = Policy { rung, deterministic: false };
    Spec {
        tokens,
        columns,
        rows,
        dtype,
        bias: false,
        policy,
        shard: rows.next_multiple_of(SHARD_ROWS),
        unrounded: None,
    }
}

fn grid(cases: &mut Vec<Case>, rung: Rung, tokens: usize) {
    for dtype in DTYPES {
        for (index, (columns, rows)) in WEIGHTS.into_iter().enumerate() {
            let spec = spec(rung, tokens, columns, rows, dtype);
            cases.push(accurate("", Spec { bias: (index + tokens).is_multiple_of(2), ..spec }));
        }
    }
}

impl Spec {
    fn name(&self, what: &str) -> String {
        let Self { tokens, columns, rows, dtype, .. } = self;
        let shader = if self.policy.deterministic || *tokens <= 8 { "matvec" } else { "matmul" };
        let rung =
            if shader == "matvec" { format!("{:?}", self.policy.rung).to_lowercase() } else { "portable".to_owned() };
        let what = if what.is_empty() { String::new() } else { format!("/{what}{}", self.shard) };
        format!("{shader}/{rung}/{dtype}{what}/{tokens}x{columns}->{rows}{}", if self.bias { "/bias" } else { "" })
    }

    fn portable(&self) -> bool {
        self.policy.rung == Rung::Portable
    }

    /// The launches for `x`, with their shards.
    fn work(&self, x: &Matrix, weight: &Matrix, bias: &Matrix) -> Work {
        let shards = (0..self.rows).step_by(self.shard).filter_map(|first_row| {
            let rows = self.shard.min(self.rows - first_row);
            let shape = Shape { tokens: x.rows(), columns: self.columns, first_row, rows, all_rows: self.rows };
            let launch = linear::launch(shape, self.dtype, self.bias, self.policy)?;
            Some((launch, vec![("weight", weight.part(first_row, rows).bytes())]))
        });
        let mut inputs = vec![("x", x.bytes())];
        if self.bias {
            inputs.push(("bias", bias.bytes()));
        }
        Work { launches: shards.collect(), inputs, outputs: vec![] }
    }

    /// Random data, and what they must give.
    fn defined(&self, seed: &str) -> Work {
        let (x, unrounded, bias) = self.data(&mut Rng::new(seed));
        let weight = unrounded.clone().stored(self.dtype);
        let defined = if self.unrounded.is_some() { unrounded.exact() } else { weight.exact() };
        let bias_exact = bias.exact();
        let y = linear::reference(&x.exact(), &defined, self.bias.then_some(&bias_exact[..]), self.columns);
        let mut work = self.work(&x, &weight, &bias);
        work.outputs.push(Output::near("y", self.rows, y, self.unrounded.unwrap_or(TOLERANCE)));
        work
    }

    fn data(&self, rng: &mut Rng) -> (Matrix, Matrix, Matrix) {
        let x = Matrix::random(rng, self.tokens, self.columns);
        (x, Matrix::random(rng, self.rows, self.columns), Matrix::random(rng, 1, self.rows))
    }
}

/// The result is what the definition says.
fn accurate(what: &str, spec: Spec) -> Case {
    // A word of its own, so that the rounding of weights does not hide the error of the kernel.
    let kernel = if spec.unrounded.is_some() { "linear-rounded" } else { "linear" };
    Case::new(kernel, spec.portable(), spec.name(what), move |seed| spec.defined(seed))
}

/// Past the fold of a dispatch, with as many rows a workgroup.
fn folded(spec: Spec, rows: usize) -> Case {
    Case::new("linear", spec.portable(), spec.name("folded"), move |seed| {
        spec.defined(seed).begin_folds(|_, column| column / rows)
    })
}

/// A token alone gets the bits that it gets among others.
fn invariant(spec: Spec) -> Case {
    let spec = Spec { bias: true, policy: Policy { deterministic: true, ..spec.policy }, ..spec };
    let name = spec.name("alone-or-not");
    let seed = format!("linear/{name}");
    let test = move |device: &Device| {
        let (x, weight, bias) = spec.data(&mut Rng::new(&seed));
        let weight = weight.stored(spec.dtype);
        let defined = linear::reference(&x.exact(), &weight.exact(), Some(&bias.exact()), spec.columns);
        let mut together = spec.work(&x, &weight, &bias);
        together.outputs.push(Output::near("y", spec.rows, defined, TOLERANCE));
        let error = together.check(device)?;
        let found = device.run(&together)?.swap_remove(0);
        let pitch = found.len() / spec.tokens;
        for token in [0, 1, spec.tokens / 2, spec.tokens - 1] {
            let mut alone = spec.work(&x.part(token, 1), &weight, &bias);
            let bits = found[token * pitch..][..spec.rows].to_vec();
            alone.outputs.push(Output::bits("y", spec.rows, bits));
            alone
                .check(device)
                .map_err(|reason| format!("token {token} alone differs from it in the step: {reason}"))?;
        }
        Ok(error)
    };
    Case { kernel: "linear", name, portable: spec.portable(), test: Box::new(test) }
}
