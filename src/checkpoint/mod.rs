//! Model files: named tensors and settings, as they lie on disk.
//!
//! [`Checkpoint`] opens a folder in Hugging Face's layout, or one `.safetensors` file, and gives out tensors by name, a
//! block of rows at a time. [`Config`] reads `config.json` with every value checked, and [`Generation`] says how the
//! model's makers meant it to be sampled. Files are not trusted: whatever is wrong with one is an error that names the
//! file, the tensor or key, and the reason.
//!
//! Bytes are read at their position into the caller's buffer and not through a memory map. The weights are copied to
//! the GPU anyway, so a map would save nothing, and a file cut short under a map kills the process where a read returns
//! an error. Host memory is bounded by the caller's buffer.
//!
//! Besides the plain storages a `.safetensors` file may have matrices in groups, as `quernel quantize` writes them with a
//! [`Writer`]: `U8` tensors (rows, bytes of a row) whose bytes are those of [`quant::encode`](crate::quant::encode), and
//! metadata that says what they are: `"quernel.version": "1"`, and for each its format and columns, such as
//! `"quernel.tensor.lm_head.weight": "q8 576"`. Rows are the matrix's as it multiplies, also where a plain checkpoint
//! stores it transposed. Other programs see bytes, and every other tensor as before.
//!
//! This module knows nothing of architectures, tokenizers or GPUs.

mod config;
mod generation;
mod groups;
mod header;
mod index;
#[cfg(test)]
mod tests;
mod write;

pub use config::Config;
pub use generation::Generation;
pub use safetensors::Dtype;
pub use write::{Stored, Writer};

use crate::files::{self, File};
use crate::tensor::{DType, Fact, Shape};
use crate::{Error, Result};
use groups::Groups;
use header::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// An open checkpoint.
///
/// ```no_run
/// # fn main() -> quernel::Result<()> {
/// let checkpoint = quernel::checkpoint::Checkpoint::open("path/to/model")?;
/// for name in checkpoint.names() {
///     println!("{name}: {}", checkpoint.fact(name)?);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Checkpoint {
    dir: PathBuf,
    shards: Vec<Shard>,
    tensors: BTreeMap<String, Place>,
}

#[derive(Debug)]
struct Shard {
    path: PathBuf,
    file: File,
}

#[derive(Debug)]
struct Place {
    shard: usize,
    entry: Entry,
}

impl Checkpoint {
    /// Opens a folder that holds `model.safetensors`, or `model.safetensors.index.json` and the shards it names; or one
    /// `.safetensors` file, of which no other weights are read. Headers are read and checked, weights are not read yet.
    ///
    /// # Errors
    /// [`Error::Io`] where a file is missing or may not be read, [`Error::BadFile`] and [`Error::BadTensor`] where one
    /// is malformed.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        if !files::is_folder(path)? {
            let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let mut checkpoint = Self::empty(dir);
            checkpoint.add_shard(path)?;
            return Ok(checkpoint);
        }
        let mut checkpoint = Self::empty(path);
        // A link that leads nowhere is to be reported as what it is, so it counts as there.
        let holds = |name: &str| files::exists(&path.join(name));
        if holds(SINGLE) {
            checkpoint.add_shard(&path.join(SINGLE))?;
        } else if holds(INDEX) {
            checkpoint.add_indexed(&path.join(INDEX))?;
        } else {
            return Err(Error::bad_file(path, format!("holds neither {SINGLE} nor {INDEX}{}", other_weights(path))));
        }
        Ok(checkpoint)
    }

    fn empty(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), shards: Vec::new(), tensors: BTreeMap::new() }
    }

    fn add_shard(&mut self, path: &Path) -> Result<()> {
        let (file, length) = files::open(path)?;
        let shard = self.shards.len();
        for (name, entry) in header::read(path, &file, length)? {
            if let Some(first) = self.tensors.get(&name) {
                let reason = format!("is in {} too", self.shards[first.shard].path.display());
                return Err(Error::bad_tensor(path, &name, reason));
            }
            self.tensors.insert(name, Place { shard, entry });
        }
        if self.tensors.len() > header::MAX_TENSORS {
            let reason = format!("brings the tensors of the checkpoint to more than {}", header::MAX_TENSORS);
            return Err(Error::bad_file(path, reason));
        }
        self.shards.push(Shard { path: path.to_owned(), file });
        Ok(())
    }

    fn add_indexed(&mut self, path: &Path) -> Result<()> {
        let index = index::read(path)?;
        for shard in index.weight_map.values().collect::<BTreeSet<_>>() {
            self.add_shard(&self.dir.join(shard))?;
        }
        for (tensor, shard) in &index.weight_map {
            let expected = self.dir.join(shard);
            if self.tensors.get(tensor).is_none_or(|place| self.shards[place.shard].path != expected) {
                return Err(Error::bad_tensor(
                    expected,
                    tensor,
                    format!("is not in this file, where {INDEX} places it"),
                ));
            }
        }
        Ok(())
    }

    /// The folder that the checkpoint's other files are in.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The settings in `config.json`, read anew at each call.
    ///
    /// # Errors
    /// [`Error::Io`] where there is no such file, [`Error::BadFile`] where it is not a JSON object.
    pub fn config(&self) -> Result<Config> {
        Config::open(&self.dir.join("config.json"))
    }

    /// How the model is to be sampled: `generation_config.json`, and `config.json` for what that leaves open. Both may
    /// be absent.
    ///
    /// # Errors
    /// [`Error::BadFile`] where one is malformed or holds a value outside its range.
    pub fn generation(&self) -> Result<Generation> {
        Generation::open(&self.dir)
    }

    /// The tensors' names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Whether there is a tensor of that name, in whatever storage.
    pub fn contains(&self, tensor: &str) -> bool {
        self.tensors.contains_key(tensor)
    }

    /// Bytes of all tensors in a weight format, as they lie in the files.
    pub fn bytes(&self) -> u64 {
        let weights = self.tensors.values().filter(|place| place.entry.format().is_some());
        weights.map(|place| place.entry.bytes).sum()
    }

    /// Storage and shape of a tensor.
    ///
    /// # Errors
    /// [`Error::BadTensor`] where there is none of that name, it has no elements, or its storage is not one of F32,
    /// F16, BF16 and groups: a file may hold such tensors as long as nobody asks for them.
    pub fn fact(&self, tensor: &str) -> Result<Fact> {
        let (shard, entry) = self.find(tensor)?;
        let bad = |reason: String| Error::bad_tensor(&shard.path, tensor, reason);
        let groups = match entry.stored {
            Dtype::U8 => ", or groups that the file's metadata describes",
            _ => "",
        };
        let dtype = entry
            .format()
            .ok_or_else(|| bad(format!("is stored as {}, and weights are F32, F16 or BF16{groups}", entry.stored)))?;
        if entry.bytes == 0 {
            return Err(bad(format!("has no elements: its shape is {:?}", entry.axes)));
        }
        let mut axes = entry.axes.clone();
        if let (Some(groups), Some(columns)) = (entry.groups, axes.last_mut()) {
            *columns = groups.columns;
        }
        Ok(Fact::new(dtype, Shape::new(axes)))
    }

    /// How a tensor lies in its file, be it a weight or not.
    ///
    /// # Errors
    /// [`Error::BadTensor`] where there is none of that name.
    pub fn stored(&self, tensor: &str) -> Result<Stored> {
        let (_, entry) = self.find(tensor)?;
        Ok(match entry.groups {
            Some(Groups { dtype, columns }) => Stored::groups(dtype, entry.axes.first().copied().unwrap_or(0), columns),
            None => Stored::plain(entry.stored, entry.axes.clone()),
        })
    }

    /// Copies a part of a tensor's bytes into `out`, as they lie in its file, be it a weight or not.
    ///
    /// # Errors
    /// [`Error::BadTensor`] where there is no such tensor or it has no such bytes, and [`Error::Io`] where the file can
    /// no longer be read. `out` then holds nothing of use.
    pub fn read_bytes(&self, tensor: &str, part: Range<u64>, out: &mut Vec<u8>) -> Result<()> {
        let (shard, entry) = self.find(tensor)?;
        if part.start > part.end || part.end > entry.bytes {
            let reason = format!("has {} bytes, and bytes {part:?} were asked for", entry.bytes);
            return Err(Error::bad_tensor(&shard.path, tensor, reason));
        }
        // Grown and not cleared first, so that a buffer used again is not filled with zeros again.
        let length = usize::try_from(part.end - part.start).map_err(std::io::Error::other);
        let length = length.and_then(|length| {
            out.try_reserve(length.saturating_sub(out.len()))?;
            out.resize(length, 0);
            shard.file.read_at(out, entry.begin + part.start)
        });
        length.map_err(|e| Error::io(&shard.path, e))
    }

    /// Copies rows (along the first axis; a scalar is one row) of a tensor into `out`, as they are stored, without gaps.
    ///
    /// # Errors
    /// As [`fact`](Self::fact), [`Error::BadTensor`] where there are no such rows, and [`Error::Io`] where the file can
    /// no longer be read: it was cut short, or its disk is gone. `out` then holds nothing of use.
    pub fn read_rows(&self, tensor: &str, rows: Range<usize>, out: &mut Vec<u8>) -> Result<()> {
        let fact = self.fact(tensor)?;
        let (shard, entry) = self.find(tensor)?;
        let all = fact.shape.axes().first().copied().unwrap_or(1);
        if rows.start > rows.end || rows.end > all {
            return Err(Error::bad_tensor(
                &shard.path,
                tensor,
                format!("has {all} rows, and rows {rows:?} were asked for"),
            ));
        }
        let row = entry.bytes / all as u64;
        self.read_bytes(tensor, row * rows.start as u64..row * rows.end as u64, out)
    }

    fn find(&self, tensor: &str) -> Result<(&Shard, &Entry)> {
        let place = self.tensors.get(tensor);
        let place = place.ok_or_else(|| Error::bad_tensor(self.weights_path(), tensor, "is missing"))?;
        Ok((&self.shards[place.shard], &place.entry))
    }

    /// The file that a tensor is in, or would be looked for in.
    pub fn file(&self, tensor: &str) -> &Path {
        self.find(tensor).map_or_else(|_| self.weights_path(), |(shard, _)| &shard.path)
    }

    /// The file that a missing tensor is missing from: the only shard, or the folder of several.
    fn weights_path(&self) -> &Path {
        match &self.shards[..] {
            [only] => &only.path,
            _ => &self.dir,
        }
    }
}

impl Entry {
    /// The weight format that it is stored in, if it is one.
    fn format(&self) -> Option<DType> {
        match self.stored {
            Dtype::F32 => Some(DType::F32),
            Dtype::F16 => Some(DType::F16),
            Dtype::BF16 => Some(DType::BF16),
            _ => self.groups.map(|groups| groups.dtype),
        }
    }
}

/// What a folder without a checkpoint holds instead, as the end of a sentence.
fn other_weights(dir: &Path) -> String {
    let names = files::names(dir).unwrap_or_default();
    let ending = |end: &str| names.iter().find(|name| name.ends_with(end));
    if let Some(name) = ending(".safetensors") {
        format!("; to read {name} alone, name that file")
    } else if let Some(name) = ending(".bin").or(ending(".pth")).or(ending(".gguf")) {
        format!(", and {name} is in a format that Quernel does not read; convert it to safetensors")
    } else {
        "; give the folder that holds the model's files".to_owned()
    }
}
