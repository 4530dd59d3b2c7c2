//! Data for kernels: random numbers that a name seeds, and matrices as kernels see them.

use crate::quant::{decode, encode};
use crate::tensor::{DType, pitch};

/// A word that no kernel writes: a NaN as `f32`, two NaNs as `f16` or `bf16`, a huge index as `u32`.
pub const POISON: u32 = 0x7fff_ffff;

/// Random numbers: SplitMix64 of Steele et al. 2014, seeded by a name.
#[derive(Debug)]
pub struct Rng(u64);

impl Rng {
    /// The numbers that belong to `name`.
    pub fn new(name: &str) -> Self {
        let fnv = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        Self(name.bytes().fold(0xcbf2_9ce4_8422_2325, fnv))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in [0, 1).
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    /// Normal by Box and Muller, but one in 16 eight times as large and one in 16 a thousandth: sums whose terms are
    /// all alike hide mistakes.
    pub fn spread(&mut self) -> f32 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        let normal = (radius * (std::f64::consts::TAU * self.unit()).cos()) as f32;
        match self.below(16) {
            0 => 8.0 * normal,
            1 => 1e-3 * normal,
            _ => normal,
        }
    }

    /// `n` numbers of [`spread`](Self::spread) times `scale`.
    pub fn numbers(&mut self, n: usize, scale: f32) -> Vec<f32> {
        (0..n).map(|_| scale * self.spread()).collect()
    }

    /// The numbers below `n` in random order.
    pub fn shuffled(&mut self, n: usize) -> Vec<u32> {
        let mut order: Vec<u32> = (0..n as u32).collect();
        (1..n).rev().for_each(|i| order.swap(i, self.below(i + 1)));
        order
    }
}

/// A matrix: its elements as stored, and how they are stored.
#[derive(Debug, Clone)]
pub struct Matrix {
    /// Elements of a row.
    pub columns: usize,
    /// How they are stored.
    pub dtype: DType,
    /// Row by row with no gaps, rounded to what `dtype` holds.
    pub values: Vec<f32>,
    /// The same as `dtype` stores them.
    stored: Vec<u8>,
}

impl Matrix {
    /// `values` as single precision.
    pub fn new(columns: usize, values: Vec<f32>) -> Self {
        Self { columns, dtype: DType::F32, stored: bytemuck::cast_slice(&values).to_vec(), values }
    }

    /// `rows` × `columns` random numbers as single precision.
    pub fn random(rng: &mut Rng, rows: usize, columns: usize) -> Self {
        Self::new(columns, rng.numbers(rows * columns, 1.0))
    }

    /// The same rounded to `dtype`.
    pub fn stored(self, dtype: DType) -> Self {
        let stored = encode(dtype, &self.values, self.columns);
        Self { dtype, values: decode(dtype, &stored, self.columns), stored, ..self }
    }

    /// How many rows.
    pub fn rows(&self) -> usize {
        self.values.len() / self.columns
    }

    /// Rows `first` to `first + rows`.
    pub fn part(&self, first: usize, rows: usize) -> Self {
        let row = self.dtype.row_bytes(self.columns);
        let stored = self.stored[first * row..][..rows * row].to_vec();
        Self { values: self.values[first * self.columns..][..rows * self.columns].to_vec(), stored, ..*self }
    }

    /// The elements, exactly.
    pub fn exact(&self) -> Vec<f64> {
        exact(&self.values)
    }

    /// The bytes on the device: rows begin at multiples of the pitch, and NaN stands between.
    pub fn bytes(&self) -> Vec<u8> {
        let row = self.dtype.row_bytes(self.columns);
        let gap = self.dtype.row_bytes(pitch(self.columns)) - row;
        let mut bytes = Vec::with_capacity(self.rows() * (row + gap));
        for row in self.stored.chunks(row) {
            bytes.extend_from_slice(row);
            bytes.extend([0xff, 0x7f].iter().cycle().take(gap)); // NaN, whatever the storage
        }
        bytes
    }
}

/// `values` in double precision.
pub fn exact(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}
