//! How one element is stored.

use std::fmt;

/// The storage of one element.
///
/// ```
/// use quernel::tensor::DType;
/// assert_eq!(DType::BF16.bytes(), 2);
/// assert_eq!("f16".parse(), Ok(DType::F16));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DType {
    /// IEEE 754 single precision.
    F32,
    /// IEEE 754 half precision.
    F16,
    /// The upper half of an `F32`.
    BF16,
    /// Unsigned 32-bit integers: token ids, positions, page tables.
    U32,
}

impl DType {
    /// Bytes an element takes.
    pub const fn bytes(self) -> usize {
        match self {
            Self::F32 | Self::U32 => 4,
            Self::F16 | Self::BF16 => 2,
        }
    }

    /// The name used in file names, shader slots, options and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::BF16 => "bf16",
            Self::U32 => "u32",
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for DType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::F32, Self::F16, Self::BF16, Self::U32]
            .into_iter()
            .find(|dtype| dtype.name() == text)
            .ok_or_else(|| format!("unknown dtype {text:?}; known ones are f32, f16, bf16, u32"))
    }
}
