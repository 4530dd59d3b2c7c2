//! Checkpoints with narrower weights: what is done to matrices as they are loaded, done once and kept.
//!
//! A [`Quantized`] checkpoint has the same tensors under the same names, and loads with no further work. Each matrix is
//! stored as it would be on the GPU, were the format asked for at load; everything else is as it was. It is one file,
//! whatever the checkpoint's shards: [`checkpoint`](crate::checkpoint) says how groups lie in it. The host holds a block
//! of rows at a time, never the model.
//!
//! This module knows nothing of GPUs.

mod folder;
#[cfg(test)]
mod tests;

use crate::checkpoint::{Checkpoint, Dtype, Stored, Writer};
use crate::graph::{Formats, Source, StepShape, Weight, Why};
use crate::model::{Model, Outputs};
use crate::runtime::{BLOCK, Progress, Reader};
use crate::tensor::{DType, Fact};
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::path::Path;

/// A checkpoint, and what becomes of each of its tensors.
///
/// ```
/// use quernel::checkpoint::Checkpoint;
/// use quernel::quantize::Quantized;
/// use quernel::tensor::DType;
/// # let dir = tempfile::tempdir().unwrap();
/// # let dir = dir.path();
/// let checkpoint = Checkpoint::open("assets/golden/qwen3")?;
/// Quantized::new(&checkpoint, DType::Q4)?.write(dir, &mut |_, _| ())?;
/// let narrow = Checkpoint::open(dir)?;
/// assert!(narrow.bytes() < checkpoint.bytes() && narrow.names().eq(checkpoint.names()));
/// # Ok::<(), quernel::Error>(())
/// ```
#[derive(Debug)]
pub struct Quantized<'a> {
    checkpoint: &'a Checkpoint,
    tensors: Vec<Tensor>,
    formats: Formats,
}

/// One tensor of the new checkpoint.
#[derive(Debug)]
struct Tensor {
    name: String,
    stored: Stored,
    /// How it is read, where its storage changes.
    change: Option<Weight>,
}

impl<'a> Quantized<'a> {
    /// Decides what becomes of each tensor where matrices are to be stored as `format`, as for loading. What the model
    /// does not use stays as it is.
    ///
    /// # Errors
    /// As [`Model::open`]; [`Error::BadTensor`] where the model uses one tensor in ways that want it stored differently.
    pub fn new(checkpoint: &'a Checkpoint, format: DType) -> Result<Self> {
        let model = Model::open(&checkpoint.config()?, checkpoint)?;
        let step = StepShape { tokens: 1, outputs: 1, sequences: 1, table_pitch: 1 };
        let graph = model.graph(step, 1, Outputs::Logits, checkpoint, Some(format))?;
        let formats = graph.formats();
        let mut uses: BTreeMap<String, (DType, bool)> = BTreeMap::new();
        for weight in graph.weights {
            let Source::Tensor { name, transposed, .. } = weight.source else { continue };
            if weight.fact.shape.axes().len() != 2 {
                continue;
            }
            let wanted = (weight.fact.dtype, transposed);
            let first = *uses.entry(name.clone()).or_insert(wanted);
            if first != wanted {
                let reason = format!("is used as {} and as {}, and can be stored as one only", first.0, wanted.0);
                return Err(Error::bad_tensor(checkpoint.file(&name), &name, reason));
            }
        }
        let tensor = |name: &str| tensor(checkpoint, name, uses.get(name).copied());
        let mut tensors = checkpoint.names().map(tensor).collect::<Result<Vec<_>>>()?;
        // Wide elements first, so that every tensor lies as its elements are aligned.
        tensors.sort_by_key(|tensor| std::cmp::Reverse(tensor.stored.element_bits()));
        Ok(Self { checkpoint, tensors, formats })
    }

    /// How many matrices are stored how, and why.
    pub fn formats(&self) -> &Formats {
        &self.formats
    }

    /// Bytes of all its tensors.
    pub fn bytes(&self) -> u64 {
        self.tensors.iter().filter_map(|tensor| tensor.stored.bytes()).sum()
    }

    /// Writes the checkpoint into the folder `dir`, which is made where it is not there: the weights as one
    /// `model.safetensors`, and the settings and the tokenizer as they are. `progress` is told the bytes written and the
    /// bytes in all.
    ///
    /// Files have other names until they are whole, the weights get theirs last, and where it fails nothing is left.
    ///
    /// # Errors
    /// [`Error::BadFile`] where there is something in the folder already, [`Error::Io`] where it cannot be written, and
    /// what is wrong with the weights as they are read.
    pub fn write(&self, dir: impl AsRef<Path>, progress: Progress<'_>) -> Result<()> {
        let folder = folder::Folder::new(dir.as_ref())?;
        folder.copy_from(self.checkpoint.dir())?;
        let entries: Vec<_> = self.tensors.iter().map(|tensor| (&tensor.name, tensor.stored.clone())).collect();
        let mut output = Output {
            reader: Reader::new(self.checkpoint),
            writer: Writer::create(&folder.weights(), &entries)?,
            bytes: Vec::new(),
            done: 0,
            total: self.bytes(),
            progress,
        };
        for tensor in &self.tensors {
            match &tensor.change {
                Some(weight) => output.change(weight)?,
                None => output.copy(self.checkpoint, tensor)?,
            }
        }
        output.writer.finish()?;
        folder.keep();
        Ok(())
    }
}

/// What becomes of the tensor `name` where the model wants it as a matrix of some storage, as `used` says.
fn tensor(checkpoint: &Checkpoint, name: &str, used: Option<(DType, bool)>) -> Result<Tensor> {
    let unchanged = Tensor { name: name.to_owned(), stored: checkpoint.stored(name)?, change: None };
    let Some((dtype, transposed)) = used else { return Ok(unchanged) };
    let found = checkpoint.fact(name)?;
    let plain = match dtype {
        _ if dtype == found.dtype => return Ok(unchanged),
        DType::F32 => Some(Dtype::F32),
        DType::F16 => Some(Dtype::F16),
        DType::BF16 => Some(Dtype::BF16),
        _ => None,
    };
    let (rows, columns) = (found.shape.rows(), found.shape.columns());
    // Elements by themselves stay where they are; groups lie along the rows that multiply.
    let transposed = transposed && plain.is_none();
    let (rows, columns) = if transposed { (columns, rows) } else { (rows, columns) };
    let stored = match plain {
        Some(plain) => Stored::plain(plain, found.shape.axes().to_vec()),
        None => Stored::groups(dtype, rows, columns),
    };
    let source = Source::Tensor { name: name.to_owned(), rows: 0..rows, transposed };
    let fact = Fact::new(dtype, [rows, columns]);
    let change = Weight { name: name.to_owned(), source, fact, why: Why::Asked };
    Ok(Tensor { change: Some(change), stored, ..unchanged })
}

/// The new file, and what it is made from.
struct Output<'a> {
    reader: Reader<'a>,
    writer: Writer,
    bytes: Vec<u8>,
    done: u64,
    total: u64,
    progress: Progress<'a>,
}

impl Output<'_> {
    /// A tensor's rows in another storage.
    fn change(&mut self, weight: &Weight) -> Result<()> {
        let rows = weight.fact.shape.rows();
        let block = (BLOCK / (4 * weight.fact.shape.columns()).max(1)).max(1);
        for first in (0..rows).step_by(block) {
            self.reader.rows(weight, first..rows.min(first + block), &mut self.bytes)?;
            self.put()?;
        }
        Ok(())
    }

    /// A tensor's bytes as they are.
    fn copy(&mut self, checkpoint: &Checkpoint, tensor: &Tensor) -> Result<()> {
        let bytes = tensor.stored.bytes().unwrap_or(0);
        for first in (0..bytes).step_by(BLOCK) {
            checkpoint.read_bytes(&tensor.name, first..bytes.min(first + BLOCK as u64), &mut self.bytes)?;
            self.put()?;
        }
        Ok(())
    }

    fn put(&mut self) -> Result<()> {
        self.writer.write(&self.bytes)?;
        self.done += self.bytes.len() as u64;
        (self.progress)(self.done, self.total);
        Ok(())
    }
}
