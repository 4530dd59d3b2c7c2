//! Writing a safetensors file piece by piece, since a model need not fit the host's memory.

use super::groups::{self, Groups};
use super::header::MAX_HEADER;
use crate::tensor::DType;
use crate::{Error, Result};
use safetensors::Dtype;
use serde_json::{Map, Value, json};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

/// How a tensor lies in a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    dtype: Dtype,
    axes: Vec<usize>,
    groups: Option<Groups>,
}

impl Stored {
    /// A tensor of elements that a safetensors file has a name for.
    pub fn plain(dtype: Dtype, axes: Vec<usize>) -> Self {
        Self { dtype, axes, groups: None }
    }

    /// A matrix of `rows` by `columns`, stored in groups as `dtype`.
    pub fn groups(dtype: DType, rows: usize, columns: usize) -> Self {
        let groups = Some(Groups { dtype, columns });
        Self { dtype: Dtype::U8, axes: vec![rows, dtype.row_bytes(columns)], groups }
    }

    /// Bits of one element, as the file sees it.
    pub fn element_bits(&self) -> usize {
        self.dtype.bitsize()
    }

    /// Its bytes; `None` where they are no whole number, or too many to be counted.
    pub fn bytes(&self) -> Option<u64> {
        let elements = self.axes.iter().try_fold(1u64, |product, &axis| product.checked_mul(axis as u64))?;
        let bits = elements.checked_mul(self.dtype.bitsize() as u64)?;
        bits.is_multiple_of(8).then_some(bits / 8)
    }
}

/// A `.safetensors` file on its way to the disk, under a name of its own until it is whole.
///
/// Dropped before [`finish`](Self::finish), it leaves nothing behind.
///
/// ```
/// use quernel::checkpoint::{Checkpoint, Stored, Writer};
/// use quernel::quant::encode;
/// use quernel::tensor::DType;
/// # let dir = tempfile::tempdir().unwrap();
/// let path = dir.path().join("model.safetensors");
/// let mut writer = Writer::create(&path, &[("w", Stored::groups(DType::Q4, 2, 32))])?;
/// writer.write(&encode(DType::Q4, &[0.5; 64], 32))?;
/// writer.finish()?;
/// assert_eq!(Checkpoint::open(&path)?.fact("w")?.to_string(), "q4 [2, 32]");
/// # Ok::<(), quernel::Error>(())
/// ```
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    part: PathBuf,
    file: File,
    /// Bytes of tensors that are not written yet.
    left: u64,
    whole: bool,
}

impl Writer {
    /// Begins a file at `path` that holds `tensors`, whose bytes are to be written in this order. What is there under
    /// that name is replaced at the end.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be written, [`Error::BadTensor`] where a name appears twice, is the one that the
    /// header keeps for itself, or a tensor has no whole number of bytes.
    pub fn create<S: AsRef<str>>(path: &Path, tensors: &[(S, Stored)]) -> Result<Self> {
        let (header, left) = header(path, tensors)?;
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let file = File::create(&part).map_err(|e| Error::io(&part, e))?;
        let mut writer = Self { path: path.to_owned(), part, file, left, whole: false };
        writer.put(&(header.len() as u64).to_le_bytes())?;
        writer.put(header.as_bytes())?;
        Ok(writer)
    }

    /// Writes the next bytes of the tensors.
    ///
    /// # Errors
    /// [`Error::Io`] where the disk does not take them, [`Error::BadFile`] where they are more than the tensors have.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.left = self.left.checked_sub(bytes.len() as u64).ok_or_else(|| {
            Error::bad_file(&self.path, format!("{} bytes were left to write, and {} came", self.left, bytes.len()))
        })?;
        self.put(bytes)
    }

    /// Gives the file its name, once the disk has all of it.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::BadFile`] where bytes are missing.
    pub fn finish(mut self) -> Result<()> {
        if self.left != 0 {
            return Err(Error::bad_file(&self.path, format!("{} bytes were never written", self.left)));
        }
        self.file.sync_all().map_err(|e| Error::io(&self.part, e))?;
        fs::rename(&self.part, &self.path).map_err(|e| Error::io(&self.path, e))?;
        self.whole = true;
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|e| Error::io(&self.part, e))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.whole {
            // What cannot be removed is at least not named as a whole file.
            let _ = fs::remove_file(&self.part);
        }
    }
}

/// The header's text, filled up so that the tensors begin at a multiple of 8, and the bytes of all tensors.
fn header<S: AsRef<str>>(path: &Path, tensors: &[(S, Stored)]) -> Result<(String, u64)> {
    const METADATA: &str = "__metadata__";
    let mut metadata = Map::from_iter([("format".to_owned(), json!("pt"))]);
    let mut entries = Map::new();
    let mut end = 0u64;
    for (name, stored) in tensors {
        let name = name.as_ref();
        let bad = |reason: &str| Error::bad_tensor(path, name, reason);
        let begin = end;
        let bytes = stored.bytes().ok_or_else(|| bad("has no whole number of bytes that can be written"))?;
        end = begin.checked_add(bytes).ok_or_else(|| bad("brings the file beyond what can be written"))?;
        let entry = json!({"dtype": stored.dtype, "shape": stored.axes, "data_offsets": [begin, end]});
        if name == METADATA || entries.insert(name.to_owned(), entry).is_some() {
            return Err(bad("has a name that is taken"));
        }
        if let Some(groups) = stored.groups {
            let (key, value) = groups::metadata(name, groups);
            metadata.insert(key, Value::String(value));
            metadata.insert(groups::VERSION_KEY.to_owned(), json!(groups::VERSION));
        }
    }
    entries.insert(METADATA.to_owned(), Value::Object(metadata));
    let mut header = Value::Object(entries).to_string();
    let filled = header.len().next_multiple_of(8);
    header.extend(std::iter::repeat_n(' ', filled - header.len()));
    if header.len() as u64 > MAX_HEADER {
        let reason = format!("its header would be {} bytes long, {MAX_HEADER} are allowed", header.len());
        return Err(Error::bad_file(path, reason));
    }
    Ok((header, end))
}
