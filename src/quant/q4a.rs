//! `q4a`: x = minimum + scale · q with q from 0 to 15, packed as in `q4`.

use super::q4::{pack, unpack};
use super::{Format, Values, scale, to_f16};
use half::f16;

pub(super) const FORMAT: Format = Format { quants: 16, sides: 2, encode, decode };

fn encode(values: &Values, quants: &mut [u8]) -> [f16; 2] {
    let (scale, minimum) = scale::affine(values, 15.0);
    let (scale, minimum) = (to_f16(scale), to_f16(minimum));
    let inverse = if scale.to_f32() > 0.0 { scale.to_f32().recip() } else { 0.0 };
    let low = minimum.to_f32();
    pack(values.map(|value| scale::round(((value - low) * inverse).clamp(0.0, 15.0)) as u8), quants);
    [scale, minimum]
}

fn decode(quants: &[u8], [scale, minimum]: [f32; 2]) -> Values {
    unpack(quants).map(|quant| minimum + scale * f32::from(quant))
}
