//! How the cache stores keys and values: the formats, and what each makes of a number.
//!
//! A page of one head is a block. Its keys lie (quad of elements, place), so that threads which each take a key read
//! neighbouring words; its values lie (place, quad), for threads which each take a quad. [`KvFormat::Q8`] has its scales
//! after them, two in a word: (pair of groups, place) and (place, pair). The codecs `shaders/kv/*.wgsl` say the same.

use super::PAGE_TOKENS;
use half::f16;
use std::fmt;

/// How the cache stores an element of a key or a value.
///
/// Rounding is defined to the last bit, and by integers where WGSL leaves it open: every driver stores what
/// [`round`](Self::round) says. No format needs an optional feature.
///
/// ```
/// use quernel::kernels::KvFormat;
/// assert_eq!("q8".parse(), Ok(KvFormat::Q8));
/// let bytes = |format: KvFormat| format.block_bytes(64) / quernel::kernels::PAGE_TOKENS;
/// assert_eq!(KvFormat::ALL.map(bytes), [256, 128, 68]); // of a key of 64 elements
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum KvFormat {
    /// IEEE 754 single precision: nothing is lost.
    F32,
    /// IEEE 754 half precision, rounded to nearest, ties to even. Finite numbers beyond its range become its largest.
    #[default]
    F16,
    /// Whole numbers from -127 to 127, and a half-precision scale for each group of [`KvFormat::GROUP`] elements, from
    /// the head's first on; the last group has what is left. The scale is the largest absolute value over 127, a
    /// number the nearest multiple of the scale as it is stored, ties to even. Where a group holds what is not finite,
    /// its scale is NaN.
    Q8,
}

impl KvFormat {
    /// Every format, the widest first.
    pub const ALL: [Self; 3] = [Self::F32, Self::F16, Self::Q8];

    /// Elements that share a scale of [`Q8`](Self::Q8).
    pub const GROUP: usize = 32;

    /// The name used in options, messages and shader slots.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Q8 => "q8",
        }
    }

    /// The file that fills the slot `kv`.
    pub(super) const fn slot(self) -> (&'static str, &'static str) {
        match self {
            Self::F32 => ("kv", "kv/f32"),
            Self::F16 => ("kv", "kv/f16"),
            Self::Q8 => ("kv", "kv/q8"),
        }
    }

    /// Quads of a head that one thread writes: with a scale, those of the two groups whose scales share a word.
    pub(super) const fn owned_quads(self) -> usize {
        match self {
            Self::F32 | Self::F16 => 1,
            Self::Q8 => 2 * Self::GROUP / 4,
        }
    }

    /// Bytes of the keys, or of the values, of a page of one head.
    pub const fn block_bytes(self, head_dim: usize) -> usize {
        PAGE_TOKENS
            * match self {
                Self::F32 => 4 * head_dim,
                Self::F16 => 2 * head_dim,
                Self::Q8 => head_dim + 4 * head_dim.div_ceil(2 * Self::GROUP),
            }
    }

    /// One key or value of one head as it is stored: the words of its quads, then the words of its scales.
    ///
    /// ```
    /// use quernel::kernels::KvFormat;
    /// let (quads, scales) = KvFormat::Q8.words(&[127.0, -1.0, 0.6, 0.5, 0.0, 0.0, 0.0, 2.0]);
    /// assert_eq!(quads, [0x0001_ff7f, 0x0200_0000]); // 127, -1, 1, 0 · 0, 0, 0, 2
    /// assert_eq!(scales, [0x3c00]); // 1 as a half, and no second group
    /// ```
    pub fn words(self, row: &[f32]) -> (Vec<u32>, Vec<u32>) {
        match self {
            Self::F32 => (row.iter().map(|x| x.to_bits()).collect(), Vec::new()),
            Self::F16 => {
                let pair = |pair: &[f32]| join(pair.iter().map(|&x| half(x)));
                (row.chunks(2).map(pair).collect(), Vec::new())
            }
            Self::Q8 => {
                let scales: Vec<f16> = row.chunks(Self::GROUP).map(scale).collect();
                let groups = row.chunks(Self::GROUP).zip(&scales);
                let bytes: Vec<u8> =
                    groups.flat_map(|(group, &scale)| group.iter().map(move |&x| multiple(x, scale) as u8)).collect();
                let quads = bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
                (quads, scales.chunks(2).map(|pair| join(pair.iter().copied())).collect())
            }
        }
    }

    /// What is read again where `row`, one key or value of one head, was stored.
    pub fn round(self, row: &mut [f64]) {
        match self {
            Self::F32 => row.iter_mut().for_each(|x| *x = f64::from(*x as f32)),
            Self::F16 => row.iter_mut().for_each(|x| *x = half(*x as f32).to_f64()),
            Self::Q8 => {
                for group in row.chunks_mut(Self::GROUP) {
                    let numbers: Vec<f32> = group.iter().map(|&x| x as f32).collect();
                    let scale = scale(&numbers);
                    let stored = numbers.iter().map(|&x| scale.to_f64() * f64::from(multiple(x, scale)));
                    group.iter_mut().zip(stored).for_each(|(x, stored)| *x = stored);
                }
            }
        }
    }
}

/// Two halves in a word, the first in its lower bits.
fn join(pair: impl Iterator<Item = f16>) -> u32 {
    pair.enumerate().map(|(index, half)| u32::from(half.to_bits()) << (16 * index)).sum()
}

fn half(x: f32) -> f16 {
    f16::from_f32(if x.is_finite() { x.clamp(f16::MIN.to_f32(), f16::MAX.to_f32()) } else { x })
}

/// The scale of a group.
fn scale(group: &[f32]) -> f16 {
    if group.iter().any(|x| !x.is_finite()) {
        return f16::NAN;
    }
    let largest = group.iter().fold(0.0f32, |largest, x| largest.max(x.abs()));
    half(largest * (1.0 / 127.0))
}

/// Which multiple of `scale` is nearest to `x`.
fn multiple(x: f32, scale: f16) -> i8 {
    if scale.is_nan() || scale == f16::ZERO {
        return 0;
    }
    // A quotient of two such numbers is never rounded to a tie that it is not.
    (f64::from(x) / scale.to_f64()).round_ties_even().clamp(-127.0, 127.0) as i8
}

impl fmt::Display for KvFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for KvFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|format| format.name() == text)
            .ok_or_else(|| format!("unknown format {text:?} of keys and values; known ones are f32, f16, q8"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rounded(format: KvFormat, row: &[f32]) -> Vec<f64> {
        let mut row: Vec<f64> = row.iter().map(|&x| f64::from(x)).collect();
        format.round(&mut row);
        row
    }

    /// What the words say, read as a shader reads them.
    fn read(format: KvFormat, row: &[f32]) -> Vec<f64> {
        let (quads, scales) = format.words(row);
        let half_of = |words: &[u32], index: usize| f16::from_bits((words[index / 2] >> (16 * (index % 2))) as u16);
        let element = |index: usize| match format {
            KvFormat::F32 => f64::from(f32::from_bits(quads[index])),
            KvFormat::F16 => half_of(&quads, index).to_f64(),
            KvFormat::Q8 => {
                let whole = quads[index / 4].to_le_bytes()[index % 4] as i8;
                half_of(&scales, index / KvFormat::GROUP).to_f64() * f64::from(whole)
            }
        };
        (0..row.len()).map(element).collect()
    }

    #[test]
    fn what_cannot_be_stored_shows() {
        assert_eq!(rounded(KvFormat::F16, &[1e6, -1e6, f32::INFINITY]), [65504.0, -65504.0, f64::INFINITY]);
        assert!(rounded(KvFormat::F16, &[f32::NAN])[0].is_nan());
        for spoiled in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut row = [1.0; 40];
            row[3] = spoiled;
            let row = rounded(KvFormat::Q8, &row);
            assert!(row[..32].iter().all(|x| x.is_nan()), "{row:?}");
            assert!(row[32..].iter().all(|x| (x - 1.0).abs() < 1e-3), "the other group is as it was: {row:?}");
        }
    }

    #[test]
    fn ties_go_to_even() {
        let mut row = [0.0; 32];
        row[..6].copy_from_slice(&[127.0, 0.5, 1.5, 2.5, -2.5, -3.5]);
        assert_eq!(rounded(KvFormat::Q8, &row)[..6], [127.0, 0.0, 2.0, 2.0, -2.0, -4.0]);
    }

    #[test]
    fn bytes_are_those_of_the_words() {
        for (format, head_dim) in
            KvFormat::ALL.into_iter().flat_map(|format| (8..=256).step_by(8).map(move |d| (format, d)))
        {
            let (quads, scales) = format.words(&vec![1.0; head_dim]);
            assert_eq!(
                format.block_bytes(head_dim),
                PAGE_TOKENS * 4 * (quads.len() + scales.len()),
                "{format} {head_dim}"
            );
        }
    }

    proptest! {
        #[test]
        fn a_number_moves_by_half_a_step_at_most(row in prop::collection::vec(-300.0f32..300.0, 1..20), size in -30i32..8) {
            let row: Vec<f32> = row.into_iter().flat_map(|x| [x, x / 3.0, x / 100.0, 0.0]).map(|x| x * 2f32.powi(size)).collect();
            for format in KvFormat::ALL {
                let stored = rounded(format, &row);
                prop_assert_eq!(&stored, &read(format, &row));
                let mut again = stored.clone();
                if format != KvFormat::Q8 {
                    format.round(&mut again);
                    prop_assert_eq!(&again, &stored);
                }
                for (index, (x, stored)) in row.iter().zip(&stored).enumerate() {
                    let group = &row[index / 32 * 32..row.len().min(index / 32 * 32 + 32)];
                    let largest = group.iter().fold(0.0f64, |largest, x| largest.max(f64::from(x.abs())));
                    // A half's own spacing where it is smallest, 2⁻²⁴, moves the scale.
                    let step = match format {
                        KvFormat::F32 => 0.0,
                        KvFormat::F16 => f64::from(x.abs()) / 1024.0 + 2f64.powi(-24),
                        KvFormat::Q8 => largest / 127.0 * 1.001 + 254.0 * 2f64.powi(-24),
                    };
                    prop_assert!((f64::from(*x) - stored).abs() <= step / 2.0, "{} {} {}", format, x, stored);
                }
            }
        }
    }
}
