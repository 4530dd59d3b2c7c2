//! What a kernel is to compute, and how its output is held against its definition.

use super::data::POISON;
use crate::kernels::{FOLD, Launch};
use crate::quant::decode;
use crate::tensor::{DType, GROUP, pitch};

/// A difference that is none: devices may take the least numbers of `f32` for zero, and kernels cut exponentials off
/// at e⁻⁸⁰, both times what they are multiplied by.
const TINY: f64 = 1e-25;

/// The share of a group that is lost by rounding its scale and its minimum to halves: a few times (2⁻¹¹)².
const ROUNDED: f64 = 1e-6;

/// The share of a single group that may be lost where an element lies halfway between two quants, and its last bit takes
/// the search elsewhere.
const TIE: f64 = 1e-3;

/// Workgroups of each fold that a folded case runs.
const KEPT: usize = 5;

/// A binding's name and what is bound.
pub type Bound = (&'static str, Vec<u8>);

/// Dispatches that run one after the other, on the same outputs.
#[derive(Debug, Default)]
pub struct Work {
    /// Each with the bindings that it alone has, the shards of a weight.
    pub launches: Vec<(Launch, Vec<Bound>)>,
    /// What all of them read.
    pub inputs: Vec<Bound>,
    /// What all of them write.
    pub outputs: Vec<Output>,
}

/// A value that a kernel writes; rows begin at multiples of the pitch unless `pitch` says otherwise.
#[derive(Debug)]
pub struct Output {
    /// The binding.
    pub name: &'static str,
    /// Elements of a row.
    pub columns: usize,
    /// Words from one row to the next.
    pub pitch: usize,
    /// What it must be.
    pub expect: Expect,
}

/// What an output must be, row by row with no gaps.
#[derive(Debug)]
pub enum Expect {
    /// These numbers, NaN where anything will do.
    Near {
        /// The numbers.
        values: Vec<f64>,
        /// The largest error of the whole, by its square beside that of what must come.
        nmse: f64,
        /// The largest relative error of any one element, for kernels whose elements do not depend on each other.
        each: Option<f64>,
    },
    /// These bits; [`POISON`] where the kernel writes nothing.
    Words(Vec<u32>),
    /// The numbers in these words, each a single or two halves; [`POISON`] where the kernel writes nothing.
    NearWords {
        /// The words.
        words: Vec<u32>,
        /// Whether a word is two halves.
        halves: bool,
        /// The largest error of the whole.
        nmse: f64,
    },
    /// Groups of a storage that keep what they were made of no worse than its definition does: for equally good scales a
    /// device may choose either, as its last bits fall.
    Groups {
        /// The storage.
        dtype: DType,
        /// Elements of a row.
        columns: usize,
        /// What the groups were made of.
        values: Vec<f64>,
        /// What the definition keeps of it.
        kept: Vec<f64>,
        /// By what share of what the definition loses each group may be worse, beside the rounding of its scale.
        worse: f64,
    },
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

    /// Rows of `columns` elements in groups of `dtype`, made of `values`, of which `kept` is to be kept.
    pub fn groups(
        name: &'static str,
        dtype: DType,
        columns: usize,
        values: Vec<f64>,
        kept: Vec<f64>,
        worse: f64,
    ) -> Self {
        let pitch = dtype.row_bytes(columns) / 4;
        Self { name, columns: pitch, pitch, expect: Expect::Groups { dtype, columns, values, kept, worse } }
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
            Expect::Groups { dtype, columns, values, .. } => values.len() / columns * dtype.row_bytes(*columns) / 4,
        };
        elements / self.columns * self.pitch
    }

    /// The largest error of the whole that is allowed; 0 where bits are to be equal.
    pub fn allowed(&self) -> f64 {
        match self.expect {
            Expect::Near { nmse, .. } | Expect::NearWords { nmse, .. } => nmse,
            Expect::Words(_) => 0.0,
            Expect::Groups { .. } => ROUNDED,
        }
    }

    /// The error of what the device wrote: Σ(found − expected)² / Σ expected².
    ///
    /// # Errors
    /// What is wrong, where it is more than allowed.
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
            Expect::Groups { dtype, columns, values, kept, worse } => {
                let found = decode(*dtype, bytemuck::cast_slice(&found), *columns);
                let found: Vec<f64> = found.into_iter().map(f64::from).collect();
                self.keeps(&found, values, &more_lost(values, &found, kept, *worse))
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

    /// The mean of what groups lose more than they may, where it is next to nothing.
    fn keeps(&self, found: &[f64], values: &[f64], more: &[f64]) -> Result<f64, String> {
        let mean = more.iter().map(|more| more.max(0.0)).sum::<f64>() / more.len() as f64;
        let group = (0..more.len()).max_by(|&a, &b| more[a].total_cmp(&more[b])).unwrap_or(0);
        if mean <= ROUNDED && more[group] <= TIE {
            return Ok(mean);
        }
        let part = group * GROUP..(group + 1) * GROUP;
        Err(format!(
            "{} loses {mean:.1e} of a group more than its definition, allowed {ROUNDED:.0e}; of group {group} {:.1e}, \
             allowed {TIE:.0e}: {:?} is kept of {:?}",
            self.name,
            more[group],
            &found[part.clone()],
            &values[part],
        ))
    }
}

impl Work {
    /// Runs only the first few workgroups of each fold, since a software driver may take a millisecond for every one.
    /// `workgroup` tells which one writes an element of a row and a column; what the others write must stay unwritten.
    pub fn begin_folds(mut self, workgroup: impl Fn(usize, usize) -> usize) -> Self {
        for (launch, _) in &mut self.launches {
            debug_assert_eq!(launch.grid[..2], [FOLD, 2], "{} is to be folded", launch.variant);
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
                // Nothing that makes groups is cut short.
                Expect::Groups { .. } => {}
            }
        }
        self
    }
}

/// What each group of `found` loses of `values` beyond what the same group of `kept` does and may by chance, beside all
/// that there is to lose. A loss weighs as its element's square, as scales are chosen.
fn more_lost(values: &[f64], found: &[f64], kept: &[f64], worse: f64) -> Vec<f64> {
    let groups = values.chunks(GROUP).zip(found.chunks(GROUP)).zip(kept.chunks(GROUP));
    let more = groups.map(|((values, found), kept)| {
        let lost = |back: &[f64]| values.iter().zip(back).map(|(x, y)| (x * (x - y)).powi(2)).sum::<f64>();
        let all = values.iter().map(|x| x.powi(4)).sum::<f64>();
        let more = lost(found) - lost(kept) * (1.0 + worse);
        match more / all {
            _ if found == kept => 0.0,
            // What is no number is all wrong.
            share if share.is_nan() => f64::INFINITY,
            share => share,
        }
    });
    more.collect()
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
