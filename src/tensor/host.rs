//! A tensor on the host.

use super::{DType, Fact, Shape};
use half::{bf16, f16};

/// A [`Fact`] with its bytes, little-endian, rows without gaps.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    fact: Fact,
    bytes: Vec<u8>,
}

impl Tensor {
    /// A tensor of `bytes`; `None` where their number does not fit the fact.
    pub fn new(fact: Fact, bytes: Vec<u8>) -> Option<Self> {
        (fact.shape.checked_elements()?.checked_mul(fact.dtype.bytes())? == bytes.len()).then_some(Self { fact, bytes })
    }

    /// An `F32` tensor; `None` where the number of values does not fit the shape.
    pub fn from_f32(shape: impl Into<Shape>, values: &[f32]) -> Option<Self> {
        Self::new(Fact::new(DType::F32, shape), bytemuck::cast_slice(values).to_vec())
    }

    /// A `U32` tensor; `None` where the number of values does not fit the shape.
    pub fn from_u32(shape: impl Into<Shape>, values: &[u32]) -> Option<Self> {
        Self::new(Fact::new(DType::U32, shape), bytemuck::cast_slice(values).to_vec())
    }

    /// Storage and shape.
    pub fn fact(&self) -> &Fact {
        &self.fact
    }

    /// The bytes, little-endian, rows without gaps.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The elements as `f32`, whatever their storage.
    pub fn to_f32(&self) -> Vec<f32> {
        widen(self.fact.dtype, &self.bytes)
    }
}

/// `bytes` of `dtype` as `f32`; whole elements only.
pub(crate) fn widen(dtype: DType, bytes: &[u8]) -> Vec<f32> {
    match dtype {
        DType::F32 => bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
        DType::F16 => bytes.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
        DType::BF16 => bytes.chunks_exact(2).map(|b| bf16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
        DType::U32 => bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]) as f32).collect(),
    }
}

/// `values` as little-endian bytes of `dtype`, rounded to nearest even; halves saturate at their largest finite value.
pub(crate) fn narrow(dtype: DType, values: &[f32]) -> Vec<u8> {
    match dtype {
        DType::F32 => bytemuck::cast_slice(values).to_vec(),
        DType::F16 => {
            let max = f16::MAX.to_f32();
            values
                .iter()
                .flat_map(|&v| f16::from_f32(if v.is_finite() { v.clamp(-max, max) } else { v }).to_le_bytes())
                .collect()
        }
        DType::BF16 => values.iter().flat_map(|&v| bf16::from_f32(v).to_le_bytes()).collect(),
        DType::U32 => values.iter().flat_map(|&v| (v as u32).to_le_bytes()).collect(),
    }
}
