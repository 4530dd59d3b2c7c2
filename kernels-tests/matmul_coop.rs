//! Cases of `linear` by cooperative matrices: sizes around every tile, numbers beyond a half's range, and races.

use crate::case::{Case, Output, Work};
use crate::data::{Matrix, Rng, exact};
use crate::device::Device;
use half::f16;
use quernel::kernels::linear::{self, Form, MATVEC_TOKENS, SHARD_ROWS, Shape};
use quernel::kernels::{Policy, Rung};
use quernel::tensor::DType;

/// The definition gets what the kernel multiplies, halves, so that sums alone differ.
const TOLERANCE: f64 = 1e-9;
/// Weights in groups are rounded to halves by the device, which may take either neighbour, 2⁻¹¹ apart: NMSE 2⁻²²/3.
const TOLERANCE_GROUPED: f64 = 1e-7;
/// Halves keep 11 bits of x.
const TOLERANCE_UNROUNDED: f64 = 1e-6;

/// Rounds of a case that looks for races, where `QUERNEL_SOAK` asks for no more.
const ROUNDS: usize = 24;

/// Tokens, columns and rows: around a quad, a pitch, a slice of 32 columns, patches of 16 and 32 tokens, tiles of 64 and
/// 128 rows or tokens.
const PLAIN: [(usize, usize, usize); 20] = [
    (9, 1, 1),
    (10, 3, 5),
    (15, 7, 4),
    (16, 8, 3),
    (17, 9, 31),
    (31, 31, 32),
    (32, 32, 33),
    (33, 33, 8),
    (47, 100, 63),
    (48, 64, 64),
    (49, 172, 65),
    (63, 127, 7),
    (64, 255, 128),
    (65, 257, 71),
    (127, 40, 127),
    (128, 64, 130),
    (129, 96, 129),
    (131, 513, 17),
    (11, 2049, 10),
    (70, 1024, 96),
];

/// The same for groups of 32 columns: around one block of 8 groups and two.
const GROUPED: [(usize, usize, usize); 7] =
    [(9, 32, 1), (17, 64, 5), (33, 224, 31), (65, 256, 65), (40, 288, 64), (130, 544, 65), (12, 2080, 10)];

#[derive(Clone, Copy)]
struct Spec {
    rung: Rung,
    tokens: usize,
    columns: usize,
    rows: usize,
    dtype: DType,
    bias: bool,
    shard: usize,
    before: usize,
}

pub fn cases(rungs: &[Rung]) -> Vec<Case> {
    rungs.iter().flat_map(|&rung| cases_on(rung).into_iter().chain(larger_subgroups(rung))).collect()
}

/// Subgroups twice as large as the smallest that the launch was told of: each has two patches to compute.
fn larger_subgroups(rung: Rung) -> Vec<Case> {
    let Rung::Cooperative { size, lanes } = rung else { return Vec::new() };
    let (rung, dtype) = (Rung::Cooperative { size, lanes: lanes / 2 }, DType::Q4);
    let sizes: [(usize, usize, usize); 3] = [(9, 32, 1), (33, 288, 70), (150, 96, 137)];
    let specs = sizes.map(|(tokens, columns, rows)| {
        let shard = rows.next_multiple_of(SHARD_ROWS);
        Spec { rung, tokens, columns, rows, dtype, bias: true, shard, before: 0 }
    });
    specs.map(|spec| case("/larger-subgroups", spec, rounded)).into()
}

fn cases_on(rung: Rung) -> Vec<Case> {
    let mut cases = Vec::new();
    let halves = [DType::F16, DType::BF16].map(|dtype| (dtype, &PLAIN[..]));
    let groups = [DType::Q8, DType::Q4, DType::Q4A].map(|dtype| (dtype, &GROUPED[..]));
    for (dtype, sizes) in halves.into_iter().chain(groups) {
        // Of bf16, which differs from f16 by its codec alone, a third.
        let some = |index: usize| dtype != DType::BF16 || index.is_multiple_of(3);
        for (index, &(tokens, columns, rows)) in sizes.iter().enumerate().filter(|(index, _)| some(*index)) {
            let spec = Spec { rung, tokens, columns, rows, dtype, bias: index % 2 == 0, shard: rows, before: 0 };
            let spec = Spec { shard: rows.next_multiple_of(SHARD_ROWS), ..spec };
            cases.push(case("", spec, rounded));
        }
    }
    let spec = Spec { rung, tokens: 40, columns: 96, rows: 77, dtype: DType::F16, bias: true, shard: 80, before: 0 };
    for dtype in [DType::F16, DType::Q4A] {
        cases.push(case("/shards", Spec { dtype, shard: 3 * SHARD_ROWS, ..spec }, rounded));
        cases.push(case("/behind", Spec { dtype, before: 24, ..spec }, rounded));
    }
    let wide = Spec { columns: 1024, ..spec };
    cases.push(case("/unrounded", wide, |spec, seed| spec.work(&spec.data(seed), None)));
    cases.push(case("/beyond-halves", Spec { columns: 100, ..spec }, beyond_halves));
    let workgroups = if let Rung::Cooperative { size, .. } = rung { 8 * size as usize } else { 8 };
    let folded = Spec { tokens: 9, columns: 8, rows: workgroups * 32_768 + 5, bias: false, ..spec };
    let folded = Spec { shard: folded.rows.next_multiple_of(SHARD_ROWS), ..folded };
    cases.push(case("/folded", folded, move |spec, seed| {
        rounded(spec, seed).begin_folds(|_, column| column / workgroups)
    }));
    cases.push(not_finite(spec));
    for (tokens, columns, rows, dtype) in [(200, 512, 320, DType::F16), (75, 544, 200, DType::Q4)] {
        cases.push(race(Spec { tokens, columns, rows, dtype, shard: rows, ..spec }));
    }
    cases
}

fn case(what: &str, spec: Spec, work: impl Fn(&Spec, &str) -> Work + Send + Sync + 'static) -> Case {
    Case::new("linear", false, spec.name(what), move |seed| work(&spec, seed))
}

/// Every operand: x, W and biases, in singles.
struct Data {
    x: Matrix,
    weight: Matrix,
    bias: Matrix,
    before: (Matrix, Matrix),
}

impl Spec {
    fn name(&self, what: &str) -> String {
        let Self { rung, tokens, columns, rows, dtype, bias, .. } = self;
        let size = if let Rung::Cooperative { size, .. } = rung { *size } else { 0 };
        let bias = if *bias { "/bias" } else { "" };
        format!("matmul_coop/{size}/{dtype}{what}/{tokens}x{columns}->{rows}{bias}")
    }

    fn data(&self, seed: &str) -> Data {
        let rng = &mut Rng::new(seed);
        Data {
            x: Matrix::random(rng, self.tokens, self.columns),
            weight: Matrix::random(rng, self.rows, self.columns).stored(self.dtype),
            bias: Matrix::random(rng, 1, self.rows),
            before: (Matrix::random(rng, self.before, self.columns), Matrix::random(rng, 1, self.before.max(1))),
        }
    }

    /// The launches for `data`, whose result must be near `expect`, or near the definition of what is not rounded.
    fn work(&self, data: &Data, expect: Option<(Vec<f64>, f64)>) -> Work {
        let policy = Policy { rung: self.rung, deterministic: false, processor: false, int8: false };
        assert!(self.tokens > MATVEC_TOKENS, "other shaders compute fewer");
        let form = Form { bias: self.bias, ..Form::PLAIN };
        let (weights_before, bias_before) = match self.before {
            0 => (Vec::new(), Vec::new()),
            _ => (data.before.0.clone().stored(self.dtype).bytes(), data.before.1.bytes()),
        };
        let shards = (0..self.rows).step_by(self.shard).filter_map(|first_row| {
            let rows = self.shard.min(self.rows - first_row);
            let (tokens, columns, all_rows) = (self.tokens, self.columns, self.rows);
            let (w_first, bias_first) = (self.before, self.before);
            let shape = Shape { tokens, columns, first_row, rows, all_rows, w_first, bias_first };
            let launch = linear::launch(shape, form, self.dtype, policy)?;
            assert_eq!(launch.variant.recipe.shader, "matmul_coop");
            Some((
                launch,
                vec![("weight", [weights_before.clone(), data.weight.part(first_row, rows).bytes()].concat())],
            ))
        });
        let mut inputs = vec![("x", data.x.bytes())];
        if self.bias {
            inputs.push(("bias", [bias_before, data.bias.bytes()].concat()));
        }
        let (y, tolerance) = expect
            .unwrap_or_else(|| (self.definition(&data.x.exact(), &data.weight.exact(), data), TOLERANCE_UNROUNDED));
        Work { launches: shards.collect(), inputs, outputs: vec![Output::near("y", self.rows, y, tolerance)] }
    }

    fn definition(&self, x: &[f64], weight: &[f64], data: &Data) -> Vec<f64> {
        let bias = data.bias.exact();
        linear::reference(x, weight, self.bias.then_some(&bias[..]), self.columns)
    }
}

/// The nearest halves, at most the largest.
fn halves(values: &[f32]) -> Vec<f32> {
    let largest = f32::from(f16::MAX);
    values.iter().map(|value| f16::from_f32(value.clamp(-largest, largest)).to_f32()).collect()
}

/// Of x in halves, what the definition says of weights in halves.
fn rounded(spec: &Spec, seed: &str) -> Work {
    let data = spec.data(seed);
    let data = Data { x: Matrix::new(spec.columns, halves(&data.x.values)), ..data };
    let y = spec.definition(&data.x.exact(), &exact(&halves(&data.weight.values)), &data);
    let tolerance = if spec.dtype.is_grouped() { TOLERANCE_GROUPED } else { TOLERANCE };
    spec.work(&data, Some((y, tolerance)))
}

/// Finite numbers beyond a half's range are taken for its largest.
fn beyond_halves(spec: &Spec, seed: &str) -> Work {
    let mut data = spec.data(seed);
    let mut x = halves(&data.x.values);
    for (place, beyond) in [(3, 65_520.0), (spec.columns + 5, -1e6), (7 * spec.columns, 1e30)] {
        x[place] = beyond;
    }
    data.x = Matrix::new(spec.columns, x);
    let y = spec.definition(&exact(&halves(&data.x.values)), &data.weight.exact(), &data);
    spec.work(&data, Some((y, TOLERANCE)))
}

/// What is not a number makes its own token's results so, and no other's.
fn not_finite(spec: Spec) -> Case {
    let name = spec.name("/not-finite");
    let seed = format!("linear/{name}");
    let test = move |device: &Device| {
        let mut data = spec.data(&seed);
        let spoilt = 20;
        data.x.values[spoilt * spec.columns + 2] = f32::NAN;
        let spoilt_x = Matrix::new(spec.columns, data.x.values.clone());
        let found = device.run(&spec.work(&Data { x: spoilt_x, ..data }, None))?.swap_remove(0);
        let row = found.len() / spec.tokens;
        for (token, values) in found.chunks(row).enumerate() {
            let values = values[..spec.rows].iter().map(|&word| f32::from_bits(word));
            let wrong = values.filter(|value| value.is_nan() != (token == spoilt)).count();
            if wrong > 0 {
                return Err(format!("{wrong} results of token {token}, where token {spoilt} has what is not a number"));
            }
        }
        Ok(0.0)
    };
    Case { kernel: "linear", name, portable: false, test: Box::new(test) }
}

/// Rounds over the same buffers, three pieces of data in turn: each gives the same bits every time, and the right ones.
fn race(spec: Spec) -> Case {
    let name = spec.name("/race");
    let seed = format!("linear/{name}");
    let test = move |device: &Device| {
        let soak = std::env::var("QUERNEL_SOAK").ok().and_then(|rounds| rounds.parse().ok());
        let rounds: usize = soak.unwrap_or(ROUNDS);
        let works: Vec<Work> = (0..3).map(|index| rounded(&spec, &format!("{seed}/{index}"))).collect();
        let found = device.take_turns(&works, rounds.max(works.len()))?;
        for (round, words) in found.iter().enumerate() {
            let first = &found[round % works.len()];
            let differ = words.iter().zip(first).filter(|(a, b)| a != b).count();
            if differ > 0 {
                return Err(format!("{differ} of {} words differ in round {round}", words.len()));
            }
        }
        let errors = works.iter().zip(&found).map(|(work, words)| work.outputs[0].compare(words));
        errors.collect::<Result<Vec<_>, _>>().map(|errors| errors.into_iter().fold(0.0, f64::max))
    };
    Case { kernel: "linear", name, portable: false, test: Box::new(test) }
}
