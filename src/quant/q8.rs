//! `q8`: x = scale · q with q from -127 to 127, one byte each.

use super::{Format, Values, scale, to_f16};
use half::f16;

pub(super) const FORMAT: Format = Format { quants: 32, sides: 1, encode, decode };

/// The step that just holds the largest value: with 8 bits, searching for a better one gains nothing.
fn encode(values: &Values, quants: &mut [u8]) -> [f16; 2] {
    let largest = values.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    let scale = to_f16(largest / 127.0);
    let inverse = if scale.to_f32() > 0.0 { scale.to_f32().recip() } else { 0.0 };
    for (quant, value) in quants.iter_mut().zip(values) {
        *quant = scale::round((value * inverse).clamp(-127.0, 127.0)) as i8 as u8;
    }
    [scale, f16::ZERO]
}

fn decode(quants: &[u8], [scale, _]: [f32; 2]) -> Values {
    std::array::from_fn(|i| scale * f32::from(quants[i] as i8))
}
