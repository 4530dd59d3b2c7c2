//! A tensor on the host.

use super::{DType, Fact, Shape};

/// A [`Fact`] with its bytes, little-endian, rows without gaps.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    fact: Fact,
    bytes: Vec<u8>,
}

impl Tensor {
    /// A tensor of `bytes`; `None` where their number does not fit the fact.
    pub fn new(fact: Fact, bytes: Vec<u8>) -> Option<Self> {
        fact.shape.checked_elements()?.checked_mul(4)?;
        (fact.bytes() == bytes.len()).then_some(Self { fact, bytes })
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
}
