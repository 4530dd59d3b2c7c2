//! Shapes, and what is known of a value before it has numbers.

use super::DType;
use std::fmt;

/// Axes a shape may have at most.
pub const MAX_RANK: usize = 8;

/// Rows of a matrix on the GPU begin at multiples of this many elements.
///
/// Eight elements are 16 bytes of the narrowest float, so a kernel may read any row in whole 16-byte words whatever
/// its storage. The elements between a row's end and its pitch hold nothing: kernels never let them reach a result.
pub const PITCH: usize = 8;

/// The distance between the beginnings of two rows of `columns` elements, in elements.
///
/// ```
/// use quernel::tensor::pitch;
/// assert_eq!((pitch(1), pitch(8), pitch(172)), (8, 8, 176));
/// ```
pub const fn pitch(columns: usize) -> usize {
    columns.next_multiple_of(PITCH)
}

/// Elements along each axis, outermost first.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Shape(Vec<usize>);

impl Shape {
    /// A shape of the given axes. Ranks above [`MAX_RANK`] are refused where shapes come from input: in files.
    pub fn new(axes: impl Into<Vec<usize>>) -> Self {
        Self(axes.into())
    }

    /// The axes, outermost first.
    pub fn axes(&self) -> &[usize] {
        &self.0
    }

    /// Elements in all; `None` where the product exceeds `usize`.
    pub fn checked_elements(&self) -> Option<usize> {
        self.0.iter().try_fold(1usize, |product, &axis| product.checked_mul(axis))
    }

    /// Elements in all, for shapes that were checked before.
    pub fn elements(&self) -> usize {
        self.0.iter().product()
    }

    /// Elements along the last axis; 1 for a scalar.
    pub fn columns(&self) -> usize {
        self.0.last().copied().unwrap_or(1)
    }

    /// Elements along all axes but the last.
    pub fn rows(&self) -> usize {
        self.0.iter().rev().skip(1).product()
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    fn from(axes: [usize; N]) -> Self {
        Self(axes.to_vec())
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (index, axis) in self.0.iter().enumerate() {
            write!(f, "{}{axis}", if index == 0 { "" } else { ", " })?;
        }
        f.write_str("]")
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What is known of a value: how its elements are stored, and how many there are.
///
/// ```
/// use quernel::tensor::{DType, Fact};
/// let weight = Fact::new(DType::F16, [172, 64]);
/// assert_eq!(weight.to_string(), "f16 [172, 64]");
/// assert_eq!(weight.resident_bytes(), 172 * 64 * 2);
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Fact {
    /// How an element is stored.
    pub dtype: DType,
    /// Elements along each axis.
    pub shape: Shape,
}

impl Fact {
    /// A fact of the given storage and axes.
    pub fn new(dtype: DType, shape: impl Into<Shape>) -> Self {
        Self { dtype, shape: shape.into() }
    }

    /// Bytes it takes in a file: every element once.
    pub fn bytes(&self) -> usize {
        self.shape.rows() * self.dtype.row_bytes(self.shape.columns())
    }

    /// Bytes a row takes on the GPU, up to the next row's beginning.
    pub fn row_bytes(&self) -> usize {
        self.dtype.row_bytes(pitch(self.shape.columns()))
    }

    /// Bytes it takes on the GPU, where rows begin at multiples of [`PITCH`] elements.
    pub fn resident_bytes(&self) -> u64 {
        self.shape.rows() as u64 * self.row_bytes() as u64
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.dtype, self.shape)
    }
}
