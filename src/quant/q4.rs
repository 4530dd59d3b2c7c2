//! `q4`: x = scale · (q − 8) with q from 0 to 15, eight in a 32-bit word.
//!
//! The low halves of a word's four bytes are its first four elements, the high halves the other four: one mask gives
//! four bytes for a dot product of packed integers.

use super::{Format, Values, scale, to_f16};
use half::f16;

pub(super) const FORMAT: Format = Format { quants: 16, sides: 1, encode, decode };

fn encode(values: &Values, quants: &mut [u8]) -> [f16; 2] {
    let scale = to_f16(scale::symmetric(values, 8.0, 7.0));
    let inverse = if scale.to_f32() == 0.0 { 0.0 } else { scale.to_f32().recip() };
    pack(values.map(|value| (scale::round((value * inverse).clamp(-8.0, 7.0)) + 8.0) as u8), quants);
    [scale, f16::ZERO]
}

fn decode(quants: &[u8], [scale, _]: [f32; 2]) -> Values {
    unpack(quants).map(|quant| scale * (f32::from(quant) - 8.0))
}

/// Where element `i` of a group lies: its byte, and how far it is shifted there.
fn place(i: usize) -> (usize, u32) {
    (i / 8 * 4 + i % 4, if i % 8 < 4 { 0 } else { 4 })
}

/// Puts 32 numbers below 16 into 16 bytes.
pub(super) fn pack(numbers: [u8; 32], quants: &mut [u8]) {
    quants.fill(0);
    for (i, number) in numbers.into_iter().enumerate() {
        let (byte, shift) = place(i);
        quants[byte] |= number << shift;
    }
}

/// The numbers that [`pack`] put there.
pub(super) fn unpack(quants: &[u8]) -> [u8; 32] {
    std::array::from_fn(|i| {
        let (byte, shift) = place(i);
        quants[byte] >> shift & 15
    })
}
