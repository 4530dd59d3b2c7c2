//! How numbers are stored: from `f32` to bytes and back, row by row, for every storage there is.
//!
//! A plain storage keeps each element by itself. A grouped one keeps [`GROUP`] elements as small integers ("quants")
//! with a scale, and some with a minimum; one file here and one of the same name under `shaders/quant/` say how. Rows
//! of all grouped storages have the same frame: up to [`BLOCK_GROUPS`] groups' quants one after the other, then their
//! scales as `f16`, 16 bytes, then their minima in the same way; then the next such block. So a kernel reads quants and
//! scales alike in whole 16-byte words, and the last block of a row keeps room for all its scales.
//!
//! This module knows nothing of files, models or GPUs.

mod q4;
mod q4a;
mod q8;
mod scale;

use crate::tensor::{BLOCK_GROUPS, DType, GROUP};
use half::{bf16, f16};

/// Values that one thread encodes before more threads are worth their start.
#[cfg(not(target_family = "wasm"))]
const ALONE: usize = 1 << 16;

/// Values that are decoded at once on the way from one storage to another: few enough for a processor's cache.
const FEW: usize = 1 << 14;

/// One group's elements.
type Values = [f32; GROUP];

/// A grouped storage. Adding one is a file and a line in [`format()`].
struct Format {
    /// Bytes of a group's quants.
    quants: usize,
    /// `f16` numbers of a group beside its quants.
    sides: usize,
    /// Quants and side numbers of a group.
    encode: fn(&Values, &mut [u8]) -> [f16; 2],
    /// The elements of quants and side numbers.
    decode: fn(&[u8], [f32; 2]) -> Values,
}

fn format(dtype: DType) -> Option<Format> {
    match dtype {
        DType::Q8 => Some(q8::FORMAT),
        DType::Q4 => Some(q4::FORMAT),
        DType::Q4A => Some(q4a::FORMAT),
        DType::F32 | DType::F16 | DType::BF16 | DType::U32 => None,
    }
}

/// The bytes of rows of `columns` values each, little-endian, rows without gaps.
///
/// Floats are rounded to nearest even, and halves saturate at their largest finite value. Of a grouped storage the
/// scales are those that lose least, measured as `scale.rs` says; rows must be whole numbers of groups.
///
/// ```
/// use quernel::quant::{decode, encode};
/// use quernel::tensor::DType;
/// let row: Vec<f32> = (0..64).map(|i| (i as f32 - 30.0) / 8.0).collect();
/// let stored = encode(DType::Q8, &row, 64);
/// let error = row.iter().zip(decode(DType::Q8, &stored, 64)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
/// assert!(stored.len() == 80 && error < 0.02);
/// ```
pub fn encode(dtype: DType, values: &[f32], columns: usize) -> Vec<u8> {
    match dtype.is_grouped() {
        true => by_rows(values, columns, dtype.row_bytes(columns), columns, |values, out| {
            out.copy_from_slice(&encode_alone(dtype, values, columns));
        }),
        false => encode_alone(dtype, values, columns),
    }
}

/// As [`encode`], on this thread.
fn encode_alone(dtype: DType, values: &[f32], columns: usize) -> Vec<u8> {
    match (dtype, format(dtype)) {
        (_, Some(format)) => {
            let (row, mut out) = (columns.max(1), vec![0; values.len() / columns.max(1) * dtype.row_bytes(columns)]);
            let rows = values.chunks_exact(row).zip(out.chunks_exact_mut(dtype.row_bytes(columns).max(1)));
            rows.for_each(|(values, out)| encode_row(&format, values, out));
            out
        }
        (DType::F16, _) => values.iter().flat_map(|&value| to_f16(value).to_le_bytes()).collect(),
        (DType::BF16, _) => values.iter().flat_map(|&value| bf16::from_f32(value).to_le_bytes()).collect(),
        (DType::U32, _) => values.iter().flat_map(|&value| (value as u32).to_le_bytes()).collect(),
        _ => bytemuck::cast_slice(values).to_vec(),
    }
}

/// The values of `bytes`, which are whole rows of `columns` values each.
pub fn decode(dtype: DType, bytes: &[u8], columns: usize) -> Vec<f32> {
    let word = |b: &[u8]| [b[0], b[1], b[2], b[3]];
    match (dtype, format(dtype)) {
        (_, Some(format)) => {
            let rows = bytes.chunks_exact(dtype.row_bytes(columns).max(1));
            rows.flat_map(|row| decode_row(&format, row, columns)).collect()
        }
        (DType::F16, _) => bytes.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
        (DType::BF16, _) => bytes.chunks_exact(2).map(|b| bf16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
        (DType::U32, _) => bytes.chunks_exact(4).map(|b| u32::from_le_bytes(word(b)) as f32).collect(),
        _ => bytes.chunks_exact(4).map(|b| f32::from_le_bytes(word(b))).collect(),
    }
}

/// To half precision; what is too large becomes the largest, and what is no number stays none.
fn to_f16(value: f32) -> f16 {
    let most = f16::MAX.to_f32();
    f16::from_f32(if value.is_finite() { value.clamp(-most, most) } else { value })
}

/// The bytes that [`encode`] gives for what [`decode`] gives: rows of another storage, `columns` values each.
///
/// Never more than a few rows are numbers at once, however many there are.
///
/// ```
/// use quernel::quant::{decode, encode, recode};
/// use quernel::tensor::DType;
/// let halves = encode(DType::F16, &[0.3; 128], 64);
/// let narrow = recode(DType::F16, DType::Q4, &halves, 64);
/// assert_eq!(narrow, encode(DType::Q4, &decode(DType::F16, &halves, 64), 64));
/// ```
pub fn recode(from: DType, to: DType, bytes: &[u8], columns: usize) -> Vec<u8> {
    let rows = (FEW / columns.max(1)).max(1);
    let recode = |bytes: &[u8], out: &mut [u8]| {
        let (row, out_row) = (from.row_bytes(columns), to.row_bytes(columns));
        for (bytes, out) in bytes.chunks(rows * row).zip(out.chunks_mut(rows * out_row)) {
            out.copy_from_slice(&encode_alone(to, &decode(from, bytes, columns), columns));
        }
    };
    by_rows(bytes, from.row_bytes(columns), to.row_bytes(columns), columns, recode)
}

/// What `work` makes of whole rows of `row` elements, to rows of `out_row` bytes.
///
/// Rows are independent, so several threads share them where there are many values.
fn by_rows<T: Sync>(
    input: &[T],
    row: usize,
    out_row: usize,
    columns: usize,
    work: impl Fn(&[T], &mut [u8]) + Sync,
) -> Vec<u8> {
    if row == 0 || out_row == 0 {
        return Vec::new();
    }
    let rows = input.len() / row;
    let (input, mut out) = (&input[..rows * row], vec![0; rows * out_row]);
    #[cfg(not(target_family = "wasm"))]
    if rows.saturating_mul(columns) > ALONE {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let each = rows.div_ceil(threads);
        std::thread::scope(|scope| {
            let work = &work;
            for (input, out) in input.chunks(each * row).zip(out.chunks_mut(each * out_row)) {
                scope.spawn(move || work(input, out));
            }
        });
        return out;
    }
    work(input, &mut out);
    out
}

fn encode_row(format: &Format, row: &[f32], mut out: &mut [u8]) {
    for block in row.chunks(BLOCK_GROUPS * GROUP) {
        let groups = block.len().div_ceil(GROUP);
        let (quants, rest) = out.split_at_mut(groups * format.quants);
        let (sides, rest) = rest.split_at_mut(format.sides * 2 * BLOCK_GROUPS);
        for (index, (group, quants)) in block.chunks(GROUP).zip(quants.chunks_exact_mut(format.quants)).enumerate() {
            let mut values = [0.0; GROUP];
            values[..group.len()].copy_from_slice(group);
            let numbers = (format.encode)(&values, quants);
            for (side, number) in numbers.iter().take(format.sides).enumerate() {
                let at = 2 * (side * BLOCK_GROUPS + index);
                sides[at..at + 2].copy_from_slice(&number.to_le_bytes());
            }
        }
        out = rest;
    }
}

fn decode_row(format: &Format, mut row: &[u8], columns: usize) -> Vec<f32> {
    let mut values = Vec::with_capacity(columns);
    for groups in (0..columns).step_by(BLOCK_GROUPS * GROUP).map(|first| block_groups(columns - first)) {
        let (quants, rest) = row.split_at(groups * format.quants);
        let (sides, rest) = rest.split_at(format.sides * 2 * BLOCK_GROUPS);
        for (index, quants) in quants.chunks_exact(format.quants).enumerate() {
            let side = |side: usize| match sides.get(2 * (side * BLOCK_GROUPS + index)..) {
                Some([low, high, ..]) if side < format.sides => f16::from_le_bytes([*low, *high]).to_f32(),
                _ => 0.0,
            };
            values.extend((format.decode)(quants, [side(0), side(1)]));
        }
        row = rest;
    }
    values.truncate(columns);
    values
}

/// Groups of a block before which `columns` columns are left.
fn block_groups(columns: usize) -> usize {
    columns.div_ceil(GROUP).min(BLOCK_GROUPS)
}

#[cfg(test)]
mod tests;
