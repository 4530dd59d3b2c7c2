//! The header of a safetensors file: which tensors it holds, and where their bytes lie.
//!
//! The `safetensors` crate says what the storage types are called and how wide they are. The entries are read here and
//! not by the crate, because its reader accepts a name twice, any number of axes and any number of tensors, and because
//! its errors do not name the tensor. Whatever this module accepts, the crate accepts too; a test holds it to that.

use super::groups::{self, Groups};
use crate::files::File;
use crate::tensor::MAX_RANK;
use crate::{Error, Result};
use safetensors::Dtype;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Place;
use std::fmt;
use std::path::Path;

/// Bytes a header may have: a thousand times what real models need, and few enough to be read at once.
pub(super) const MAX_HEADER: u64 = 16 << 20;
/// Tensors that one checkpoint may have.
pub(super) const MAX_TENSORS: usize = 100_000;
/// Elements along one axis.
const MAX_AXIS: u64 = 1 << 32;
/// Bytes before the header: its length.
const PREFIX: u64 = 8;

/// How files begin that are often found where weights should be, and what to do about each.
const MISTAKEN: [(&[u8], &str); 4] = [
    (b"version ", "is a Git LFS pointer and not the weights; fetch them with `git lfs pull`"),
    (b"GGUF", "is a GGUF file; Quernel reads safetensors"),
    (b"PK\x03\x04", "is a PyTorch archive; convert it to safetensors"),
    (b"<", "is a web page and not the weights; download the file again"),
];

/// One tensor of a file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    /// How its elements are stored.
    pub stored: Dtype,
    /// Elements along each axis, outermost first.
    pub axes: Vec<usize>,
    /// Where its bytes begin, counted from the file's beginning.
    pub begin: u64,
    /// How many bytes it has.
    pub bytes: u64,
    /// What they are, where they are groups.
    pub groups: Option<Groups>,
}

/// The tensors of the file at `path`, which is `length` bytes long.
///
/// # Errors
/// [`Error::Io`] where it cannot be read; [`Error::BadFile`] and [`Error::BadTensor`] where it is malformed.
pub(super) fn read(path: &Path, file: &File, length: u64) -> Result<BTreeMap<String, Entry>> {
    let header = header_text(path, file, length)?;
    let current = RefCell::new(None);
    let mut reader = serde_json::Deserializer::from_str(&header);
    let read = reader.deserialize_map(Names { current: &current }).and_then(|read| reader.end().map(|()| read));
    let (mut tensors, metadata) = read.map_err(|e| match current.take() {
        Some(tensor) => Error::bad_tensor(path, &tensor, format!("its entry in the header is malformed: {e}")),
        None => Error::bad_file(path, format!("its header is malformed: {e}")),
    })?;
    check_layout(path, &tensors, length - PREFIX - header.len() as u64)?;
    for entry in tensors.values_mut() {
        entry.begin += PREFIX + header.len() as u64;
    }
    groups::apply(path, &mut tensors, &metadata)?;
    Ok(tensors)
}

/// The header's JSON text.
fn header_text(path: &Path, file: &File, length: u64) -> Result<String> {
    if length < PREFIX {
        let reason =
            format!("has {length} bytes, and a safetensors file begins with {PREFIX} that say how long its header is");
        return Err(Error::bad_file(path, reason));
    }
    let mut prefix = [0; PREFIX as usize];
    file.read_at(&mut prefix, 0).map_err(|e| Error::io(path, e))?;
    if let Some((_, reason)) = MISTAKEN.iter().find(|(begin, _)| prefix.starts_with(begin)) {
        return Err(Error::bad_file(path, *reason));
    }
    let claimed = u64::from_le_bytes(prefix);
    if claimed > MAX_HEADER {
        let reason =
            format!("its header would be {claimed} bytes long, {MAX_HEADER} are allowed: it is not a safetensors file");
        return Err(Error::bad_file(path, reason));
    }
    if claimed > length - PREFIX {
        let reason =
            format!("its header would be {claimed} bytes long, and the file has {length} in all: it is truncated");
        return Err(Error::bad_file(path, reason));
    }
    let mut header = vec![0; claimed as usize];
    file.read_at(&mut header, PREFIX).map_err(|e| Error::io(path, e))?;
    if header.first() != Some(&b'{') {
        return Err(Error::bad_file(path, "its header does not begin with '{': it is not a safetensors file"));
    }
    String::from_utf8(header).map_err(|_| Error::bad_file(path, "its header is not UTF-8 text"))
}

/// Checks that each tensor has the bytes its shape needs, and that together they fill `data` bytes without gap or overlap.
fn check_layout(path: &Path, tensors: &BTreeMap<String, Entry>, data: u64) -> Result<()> {
    let mut order: Vec<(&String, &Entry)> = tensors.iter().collect();
    order.sort_by_key(|(_, entry)| (entry.begin, entry.bytes));
    let mut filled = 0;
    let mut previous = "";
    for (name, entry) in order {
        let bad = |reason: String| Err(Error::bad_tensor(path, name, reason));
        let end = entry.begin + entry.bytes;
        if end > data {
            return bad(format!("its bytes end at {end}, and the file has {data} after its header: it is truncated"));
        }
        let needed = entry.axes.iter().try_fold(1u64, |product, &axis| product.checked_mul(axis as u64));
        let bits = needed.and_then(|elements| elements.checked_mul(entry.stored.bitsize() as u64));
        if bits.is_none_or(|bits| bits % 8 != 0 || bits / 8 != entry.bytes) {
            return bad(format!(
                "{} {:?} does not have the {} bytes the header gives it",
                entry.stored, entry.axes, entry.bytes
            ));
        }
        if entry.begin < filled {
            return bad(format!("its bytes overlap those of {previous:?}"));
        }
        if entry.begin > filled {
            return bad(format!("{} bytes before it belong to no tensor", entry.begin - filled));
        }
        (filled, previous) = (end, name);
    }
    if filled != data {
        return Err(Error::bad_file(path, format!("its last {} bytes belong to no tensor", data - filled)));
    }
    Ok(())
}

/// Reads the header's object; `current` holds the tensor whose entry is being read.
struct Names<'a> {
    current: &'a RefCell<Option<String>>,
}

impl<'de> Visitor<'de> for Names<'_> {
    type Value = (BTreeMap<String, Entry>, BTreeMap<String, String>);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut tensors = BTreeMap::new();
        let mut metadata = None;
        while let Some(name) = map.next_key::<String>()? {
            if name == "__metadata__" {
                let Strings(strings) = map.next_value()?;
                if metadata.replace(strings).is_some() {
                    return Err(A::Error::custom("__metadata__ appears twice"));
                }
                continue;
            }
            if tensors.len() == MAX_TENSORS {
                return Err(A::Error::custom(format!("it names more than {MAX_TENSORS} tensors")));
            }
            *self.current.borrow_mut() = Some(name.clone());
            let Place::Vacant(place) = tensors.entry(name) else {
                return Err(A::Error::custom("the name appears twice"));
            };
            place.insert(Entry::try_from(map.next_value::<RawEntry>()?).map_err(A::Error::custom)?);
            *self.current.borrow_mut() = None;
        }
        Ok((tensors, metadata.unwrap_or_default()))
    }
}

/// An entry as it is written; a field more, less or twice is an error.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEntry {
    dtype: Dtype,
    #[serde(deserialize_with = "axes")]
    shape: Vec<usize>,
    data_offsets: (u64, u64),
}

impl TryFrom<RawEntry> for Entry {
    type Error = String;

    fn try_from(raw: RawEntry) -> Result<Self, String> {
        let (begin, end) = raw.data_offsets;
        let bytes =
            end.checked_sub(begin).ok_or_else(|| format!("its bytes end at {end}, before they begin at {begin}"))?;
        Ok(Self { stored: raw.dtype, axes: raw.shape, begin, bytes, groups: None })
    }
}

/// A shape, refused at the first axis too many: a list is not stored before it is known to be short.
fn axes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<usize>, D::Error> {
    struct Axes;
    impl<'de> Visitor<'de> for Axes {
        type Value = Vec<usize>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of sizes")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
            let mut axes = Vec::new();
            while let Some(axis) = sequence.next_element::<u64>()? {
                if axes.len() == MAX_RANK {
                    return Err(A::Error::custom(format!("its shape has more than {MAX_RANK} axes")));
                }
                if axis > MAX_AXIS {
                    return Err(A::Error::custom(format!("an axis of {axis} elements is longer than {MAX_AXIS}")));
                }
                axes.push(usize::try_from(axis).map_err(A::Error::custom)?);
            }
            Ok(axes)
        }
    }
    deserializer.deserialize_seq(Axes)
}

/// An object whose values are strings; those that Quernel wrote are kept.
struct Strings(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Strings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Self(BTreeMap::new()))
    }
}

impl<'de> Visitor<'de> for Strings {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of strings")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self, A::Error> {
        while let Some((key, value)) = map.next_entry::<String, String>()? {
            if key.starts_with(groups::PREFIX) && self.0.insert(key, value).is_some() {
                return Err(A::Error::custom("a key of __metadata__ appears twice"));
            }
        }
        Ok(self)
    }
}
