//! Where a graph's weights come from.

use crate::checkpoint::Checkpoint;
use crate::kernels::random::Numbers;
use crate::kernels::rope::Angles;
use crate::tensor::{Fact, Tensor};
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

/// Named tensors that weights are read from.
pub trait Tensors {
    /// Storage and shape of a tensor.
    ///
    /// # Errors
    /// [`Error::BadTensor`] where there is none of that name, or its storage is not one of the weight formats.
    fn fact(&self, tensor: &str) -> Result<Fact>;

    /// Whether there is a tensor of that name.
    fn contains(&self, tensor: &str) -> bool;

    /// The file that a tensor is in, for messages.
    fn file(&self, tensor: &str) -> PathBuf;

    /// Copies rows (along the first axis) of a tensor into `out`, as they are stored, without gaps.
    ///
    /// # Errors
    /// As [`fact`](Self::fact), and [`Error::Io`] where the file can no longer be read.
    fn read_rows(&self, tensor: &str, rows: Range<usize>, out: &mut Vec<u8>) -> Result<()>;

    /// The random numbers that a matrix is made of, if it is: whoever needs it on a device makes it there, and gets what
    /// [`read_rows`](Self::read_rows) gives.
    fn random(&self, _tensor: &str) -> Option<Numbers> {
        None
    }
}

impl Tensors for Checkpoint {
    fn fact(&self, tensor: &str) -> Result<Fact> {
        Self::fact(self, tensor)
    }

    fn contains(&self, tensor: &str) -> bool {
        Self::contains(self, tensor)
    }

    fn file(&self, tensor: &str) -> PathBuf {
        Self::file(self, tensor).to_owned()
    }

    fn read_rows(&self, tensor: &str, rows: Range<usize>, out: &mut Vec<u8>) -> Result<()> {
        Self::read_rows(self, tensor, rows, out)
    }
}

/// Tensors in memory: for graphs written by hand, and tests.
impl Tensors for BTreeMap<String, Tensor> {
    fn fact(&self, tensor: &str) -> Result<Fact> {
        let found = self.get(tensor).ok_or_else(|| Error::bad_tensor("(memory)", tensor, "there is none"))?;
        Ok(found.fact().clone())
    }

    fn contains(&self, tensor: &str) -> bool {
        self.contains_key(tensor)
    }

    fn file(&self, _: &str) -> PathBuf {
        PathBuf::from("(memory)")
    }

    fn read_rows(&self, tensor: &str, rows: Range<usize>, out: &mut Vec<u8>) -> Result<()> {
        let found = self.get(tensor).ok_or_else(|| Error::bad_tensor("(memory)", tensor, "there is none"))?;
        let all = found.fact().shape.axes().first().copied().unwrap_or(1).max(1);
        let row = found.bytes().len() / all;
        let bytes = found.bytes().get(rows.start * row..rows.end * row);
        let bytes = bytes.ok_or_else(|| Error::bad_tensor("(memory)", tensor, format!("no rows {rows:?}")))?;
        out.clear();
        out.extend_from_slice(bytes);
        Ok(())
    }
}

/// What a weight's numbers are made from.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// Rows of a tensor.
    Tensor {
        /// Its name.
        name: String,
        /// The tensor's rows that the weight has; of its columns where `transposed`.
        rows: Range<usize>,
        /// Whether the tensor lies (column, row): GPT-2's `Conv1D`.
        transposed: bool,
    },
    /// Cosines and sines for every position below `context`.
    Angles {
        /// The angular speeds.
        angles: Angles,
        /// Positions.
        context: usize,
    },
}
