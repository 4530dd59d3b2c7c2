//! How elements are stored.

use std::fmt;

/// Elements of a row that share a scale, in the formats that store groups.
pub const GROUP: usize = 32;

/// Groups that lie together, quants first and scales after them.
pub const BLOCK_GROUPS: usize = 8;

/// The storage of elements: one by one, or in groups of [`GROUP`] along a row that share a scale.
///
/// ```
/// use quernel::tensor::DType;
/// assert_eq!(DType::BF16.row_bytes(100), 200);
/// assert_eq!(DType::Q4.row_bytes(4096), 4096 * 9 / 16);
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
    /// Groups of signed 8-bit integers with a scale: 8.5 bits an element.
    Q8,
    /// Groups of signed 4-bit integers with a scale: 4.5 bits an element.
    Q4,
    /// Groups of unsigned 4-bit integers with a scale and a minimum: 5 bits an element.
    Q4A,
}

impl DType {
    /// Every storage.
    pub const ALL: [Self; 7] = [Self::F32, Self::F16, Self::BF16, Self::U32, Self::Q8, Self::Q4, Self::Q4A];

    /// Those that weights may have on the GPU.
    pub const WEIGHTS: [Self; 6] = [Self::F32, Self::F16, Self::BF16, Self::Q8, Self::Q4, Self::Q4A];

    /// Whether elements lie in groups of [`GROUP`], which rows must then be whole numbers of.
    pub const fn is_grouped(self) -> bool {
        matches!(self, Self::Q8 | Self::Q4 | Self::Q4A)
    }

    /// Bytes that a row of `columns` elements takes. Of a grouped storage, the last block is cut short after its last
    /// group, but keeps room for all scales.
    pub const fn row_bytes(self, columns: usize) -> usize {
        let (quants, scales) = match self {
            Self::F32 | Self::U32 => return 4 * columns,
            Self::F16 | Self::BF16 => return 2 * columns,
            Self::Q8 => (GROUP, 1),
            Self::Q4 => (GROUP / 2, 1),
            Self::Q4A => (GROUP / 2, 2),
        };
        let groups = columns.div_ceil(GROUP);
        groups * quants + groups.div_ceil(BLOCK_GROUPS) * scales * 2 * BLOCK_GROUPS
    }

    /// The name used in file names, shader slots, options and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::BF16 => "bf16",
            Self::U32 => "u32",
            Self::Q8 => "q8",
            Self::Q4 => "q4",
            Self::Q4A => "q4a",
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
        Self::ALL
            .into_iter()
            .find(|dtype| dtype.name() == text)
            .ok_or_else(|| format!("unknown dtype {text:?}; known ones are {}", Self::ALL.map(Self::name).join(", ")))
    }
}
