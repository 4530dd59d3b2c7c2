//! What a case is, and how a kernel's output is held against its definition.

use crate::data::POISON;
use crate::device::Device;
use quernel::kernels::{FOLD, Launch};
use quernel::tensor::pitch;

/// A difference that is none: devices may take the least numbers of `f32` for zero, and kernels cut exponentials off
/// at e⁻⁸⁰, both times what they are multiplied by.
const TINY: f64 = 1e-25;

/// Workgroups of each fold that a folded case runs.
const KEPT: usize = 5;

/// Gives the error as [`nmse`], or says what is wrong.
pub type Test = Box<dyn Fn(&Device) -> Result<f64, String> + Send + Sync>;

/// A binding's name and what is bound.
pub type Bound = (&'static str, Vec<u8>);

/// One test of one kernel.
pub struct Case {
    pub kernel: &'static str,
    /// Variant and shapes, in the words that a filter of the run may name.
    pub name: String,
    /// The least device can run it: it is run on one with WebGPU's default limits too.
    pub portable: bool,
    /// The test itself.
    pub test: Test,
}

impl Case {
    /// A case that runs what `work` builds from its name, and compares it with the definition.
    pub fn new(
        kernel: &'static str,
        portable: bool,
        name: String,
        work: impl Fn(&str) -> Work + Send + Sync + 'static,
    ) -> Self {
        let seed = format!("{kernel}/{name}");
        Self { kernel, name, portable, test: Box::new(move |device| work(&seed).check(device)) }
    }
}

/// Dispatches that run one after the other, on the same outputs.
#[derive(Default)]
pub struct Work {
    /// Each with the bindings that it alone has, the shards of a weight.
    pub launches: Vec<(Launch, Vec<Bound>)>,
    /// What all of them read.
    pub inputs: Vec<Bound>,
    /// What all of them write.
    pub outputs: Vec<Output>,
}

/// A value that a kernel writes; rows begin at multiples of the pitch unless `pitch` says otherwise.
pub struct Output {
    pub name: &'static str,
    pub columns: usize,
    pub pitch: usize,
    pub expect: Expect,
}

/// What an output must be, row by row with no gaps.
pub enum Expect {
    /// These numbers, NaN where anything will do.
    Near {
        values: Vec<f64>,
        /// The largest error of the whole, as [`nmse`].
        nmse: f64,
        /// The largest relative error of any one element, for kernels whose elements do not depend on each other.
        each: Option<f64>,
    },
    /// These bits; [`POISON`] where the kernel writes nothing.
    Words(Vec<u32>),
    /// The numbers in these words, each a single or two halves; [`POISON`] where the kernel writes nothing.
    NearWords { words: Vec<u32>, halves: bool, nmse: f64 },
}

impl Output {
    /// Numbers near `values`.
    pub fn near(name: &'static str, columns: usize, values: Vec<f64>, nmse: f64) -> Self {
        Self { name, columns, pitch: pitch(columns), expect: Expect::Near { values, nmse, each: None } }
    }

    /// Numbers near `values`, each of them.
    pub fn each_near(name: &'static str, columns: usize, values: Vec<f64>, nmse: f64, each: f64) -> Self {
        Self { name, columns, pitch: pitch(columns), expect: Expect::Near { values, nmse, each: Some(each) } }
    }

    /// Exactly `words`, with no gaps between rows.
    pub fn words(name: &'static str, words: Vec<u32>) -> Self {
        Self { name, columns: 1, pitch: 1, expect: Expect::Words(words) }
    }

    /// The numbers in `words`, each a single or two halves, with no gaps.
    pub fn near_words(name: &'static str, words: Vec<u32>, halves: bool, nmse: f64) -> Self {
        Self { name, columns: 1, pitch: 1, expect: Expect::NearWords { words, halves, nmse } }
    }

    /// Exactly the bits of `values`.
    pub fn bits(name: &'static str, columns: usize, words: Vec<u32>) -> Self {
        Self { name, columns, pitch: pitch(columns), expect: Expect::Words(words) }
    }

    /// Words it takes on the device, gaps included.
    pub fn device_words(&self) -> usize {
        let elements = match &self.expect {
            Expect::Near { values, .. } => values.len(),
            Expect::Words(words) | Expect::NearWords { words, .. } => words.len(),
        };
        elements / self.columns * self.pitch
    }

    /// The error of what the device wrote.
    pub fn compare(&self, words: &[u32]) -> Result<f64, String> {
        let found: Vec<u32> = words.chunks(self.pitch).flat_map(|row| row[..self.columns].to_vec()).collect();
        match &self.expect {
            Expect::Words(expected) => match found.iter().zip(expected).position(|(found, expected)| found != expected)
            {
                Some(at) => Err(format!(
                    "{}[{}, {}] is {:#010x} ({}) and should be {:#010x} ({})",
                    self.name,
                    at / self.columns,
                    at % self.columns,
                    found[at],
                    f32::from_bits(found[at]),
                    expected[at],
                    f32::from_bits(expected[at]),
                )),
                None => Ok(0.0),
            },
            Expect::NearWords { words, halves, nmse: allowed } => {
                if let Some(at) = (0..words.len()).find(|&at| words[at] == POISON && found[at] != POISON) {
                    return Err(format!("{}, word {at} is {:#010x} and nothing belongs there", self.name, found[at]));
                }
                let written = |list: &[u32]| -> Vec<f64> {
                    let written = list.iter().zip(words).filter(|(_, word)| **word != POISON);
                    written.flat_map(|(&word, _)| numbers(word, *halves)).collect()
                };
                let error = nmse(&written(&found), &written(words));
                let what = || format!("{} has error {error:.3e}, allowed {allowed:.0e}", self.name);
                if error <= *allowed { Ok(error) } else { Err(what()) }
            }
            Expect::Near { values, nmse: allowed, each } => {
                let found: Vec<f64> = found.iter().map(|&word| f64::from(f32::from_bits(word))).collect();
                let error = nmse(&found, values);
                let far = each.and_then(|each| {
                    let near = |found: f64, expected: f64| (found - expected).abs() <= each * expected.abs() + TINY;
                    found
                        .iter()
                        .zip(values)
                        .position(|(&found, &expected)| !expected.is_nan() && !near(found, expected))
                });
                if error <= *allowed && far.is_none() {
                    return Ok(error);
                }
                let at = far.unwrap_or_else(|| furthest(&found, values));
                Err(format!(
                    "{} has error {error:.3e}, allowed {allowed:.0e}; [{}, {}] is {:e} and should be {:e}",
                    self.name,
                    at / self.columns,
                    at % self.columns,
                    found[at],
                    values[at]
                ))
            }
        }
    }
}

impl Work {
    /// Runs only the first few workgroups of each fold, since a software driver may take a millisecond for every one.
    /// `workgroup` tells which one writes an element of a row and a column; what the others write must stay unwritten.
    pub fn begin_folds(mut self, workgroup: impl Fn(usize, usize) -> usize) -> Self {
        for (launch, _) in &mut self.launches {
            assert_eq!(launch.grid[..2], [FOLD, 2], "{} is to be folded", launch.variant);
            launch.grid[0] = KEPT as u32;
        }
        for output in &mut self.outputs {
            let columns = output.columns;
            let runs = |at: usize| workgroup(at / columns, at % columns) % (FOLD as usize) < KEPT;
            match &mut output.expect {
                Expect::Near { values, .. } => {
                    values.iter_mut().enumerate().filter(|(at, _)| !runs(*at)).for_each(|(_, value)| *value = f64::NAN);
                }
                Expect::Words(words) | Expect::NearWords { words, .. } => {
                    words.iter_mut().enumerate().filter(|(at, _)| !runs(*at)).for_each(|(_, word)| *word = POISON);
                }
            }
        }
        self
    }

    /// Runs it and compares every output; the worst error.
    pub fn check(&self, device: &Device) -> Result<f64, String> {
        let written = device.run(self)?;
        let errors = self.outputs.iter().zip(&written).map(|(output, words)| output.compare(words));
        errors.collect::<Result<Vec<_>, _>>().map(|errors| errors.into_iter().fold(0.0, f64::max))
    }
}

/// The numbers in a word.
fn numbers(word: u32, halves: bool) -> Vec<f64> {
    let half = |bits: u32| half::f16::from_bits(bits as u16).to_f64();
    if halves { vec![half(word), half(word >> 16)] } else { vec![f64::from(f32::from_bits(word))] }
}

/// Normalised mean squared error: Σ(found − expected)² / Σ expected², over what is expected.
fn nmse(found: &[f64], expected: &[f64]) -> f64 {
    let pairs = || found.iter().zip(expected).filter(|(_, expected)| !expected.is_nan());
    let difference = |found: f64, expected: f64| if (found - expected).abs() <= TINY { 0.0 } else { found - expected };
    let error: f64 = pairs().map(|(&found, &expected)| difference(found, expected).powi(2)).sum();
    let energy: f64 = pairs().map(|(_, expected)| expected.powi(2)).sum();
    if error == 0.0 { 0.0 } else { error / energy }
}

fn furthest(found: &[f64], expected: &[f64]) -> usize {
    let distance = |i: usize| {
        let distance = (found[i] - expected[i]).abs();
        if expected[i].is_nan() {
            0.0
        } else if distance.is_nan() {
            f64::INFINITY
        } else {
            distance
        }
    };
    (0..expected.len()).max_by(|&a, &b| distance(a).total_cmp(&distance(b))).unwrap_or(0)
}

/// The words that an output has before a kernel writes to it, and after its end.
pub fn poison(words: usize) -> Vec<u8> {
    bytemuck::cast_slice(&vec![POISON; words]).to_vec()
}
