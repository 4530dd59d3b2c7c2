//! Tensors in groups: how a safetensors file stores them, which has no name for such storage.
//!
//! A matrix of a grouped storage is a `U8` tensor (rows, bytes of a row), its bytes those that [`encode`] gives. The
//! header's metadata says what they are: [`VERSION_KEY`] that this is version 1 of the representation, and a key
//! [`TENSOR_KEY`] + name for each such tensor its format and columns, such as `q4 576`. Rows are those that are
//! multiplied: where a plain checkpoint stores a matrix transposed, as GPT-2's does, one in groups is turned round,
//! since a group lies along a row.
//!
//! [`encode`]: crate::quant::encode

use super::header::Entry;
use crate::tensor::{DType, GROUP};
use crate::{Error, Result};
use safetensors::Dtype;
use std::collections::BTreeMap;
use std::path::Path;

/// What the keys of the metadata that are read here begin with.
pub(super) const PREFIX: &str = "quernel.";
/// The key of the representation's version.
pub(super) const VERSION_KEY: &str = "quernel.version";
/// The only version.
pub(super) const VERSION: &str = "1";
/// What the key of a tensor's format begins with.
pub(super) const TENSOR_KEY: &str = "quernel.tensor.";

/// What the bytes of a `U8` tensor are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Groups {
    pub dtype: DType,
    pub columns: usize,
}

/// The metadata of one tensor in groups.
pub(super) fn metadata(name: &str, groups: Groups) -> (String, String) {
    (format!("{TENSOR_KEY}{name}"), format!("{} {}", groups.dtype, groups.columns))
}

/// Tells each of `tensors` that `metadata` names what it holds.
///
/// # Errors
/// [`Error::BadTensor`] where a tensor is not what the metadata says, or the metadata says nothing that can be
/// understood.
pub(super) fn apply(
    path: &Path,
    tensors: &mut BTreeMap<String, Entry>,
    metadata: &BTreeMap<String, String>,
) -> Result<()> {
    let named = metadata.iter().filter_map(|(key, value)| Some((key.strip_prefix(TENSOR_KEY)?, value)));
    for (name, value) in named {
        let bad = |reason: String| Error::bad_tensor(path, name, reason);
        match metadata.get(VERSION_KEY).map(String::as_str) {
            Some(VERSION) => {}
            Some(other) => {
                let reason = format!(
                    "is in groups as version {other:?} of {VERSION_KEY} has them; version {VERSION} is read: quantize \
                     the checkpoint again"
                );
                return Err(bad(reason));
            }
            None => return Err(bad(format!("is in groups, and the metadata has no {VERSION_KEY}"))),
        }
        let entry =
            tensors.get_mut(name).ok_or_else(|| bad("is named by the metadata and is not in the file".into()))?;
        entry.groups = Some(understood(value, entry).map_err(bad)?);
    }
    Ok(())
}

/// What `value` says of `entry`, where both agree.
fn understood(value: &str, entry: &Entry) -> Result<Groups, String> {
    let wrong = || {
        let known = DType::WEIGHTS.into_iter().filter(|dtype| dtype.is_grouped()).map(DType::name).collect::<Vec<_>>();
        format!("its metadata is {value:?}, and should be one of {} and the number of columns", known.join(", "))
    };
    let (format, columns) = value.split_once(' ').ok_or_else(wrong)?;
    let dtype: DType = format.parse().map_err(|_| wrong())?;
    let columns: usize = columns.parse().map_err(|_| wrong())?;
    if !dtype.is_grouped() {
        return Err(wrong());
    }
    if columns == 0 || !columns.is_multiple_of(GROUP) {
        return Err(format!("has {columns} columns by its metadata, which are no whole groups of {GROUP}"));
    }
    if entry.stored != Dtype::U8 {
        return Err(format!("is {dtype} by its metadata, which is stored as U8, and it is stored as {}", entry.stored));
    }
    match entry.axes[..] {
        // No row is longer than the file, so what its columns need cannot overflow.
        [_, bytes] if columns <= bytes.saturating_mul(2) && dtype.row_bytes(columns) == bytes => {
            Ok(Groups { dtype, columns })
        }
        [_, bytes] => Err(format!("has rows of {bytes} bytes, and {columns} columns of {dtype} do not take as many")),
        _ => Err(format!("is {dtype} by its metadata, and {:?} is no matrix", entry.axes)),
    }
}

#[cfg(test)]
mod tests {
    use crate::checkpoint::{Checkpoint, Stored, Writer};
    use crate::quant::encode;
    use crate::tensor::DType;
    use crate::{Error, Result};
    use safetensors::Dtype;
    use std::fs;

    /// A file with one tensor `w` of so many bytes, and metadata.
    fn open(dtype: &str, shape: &str, bytes: usize, metadata: &str) -> Result<Checkpoint> {
        let entry = format!(r#""w":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[0,{bytes}]}}"#);
        let header = format!(r#"{{"__metadata__":{metadata},{entry}}}"#);
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend_from_slice(header.as_bytes());
        file.resize(file.len() + bytes, 0);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("model.safetensors");
        fs::write(&path, file).unwrap();
        Checkpoint::open(path)
    }

    #[test]
    fn a_tensor_in_groups_has_the_columns_that_its_metadata_says() {
        let metadata = r#"{"quernel.version":"1","quernel.tensor.w":"q4 576","other":"x"}"#;
        let bytes = DType::Q4.row_bytes(576);
        let checkpoint = open("U8", &format!("[3,{bytes}]"), 3 * bytes, metadata).unwrap();
        assert_eq!(checkpoint.fact("w").unwrap().to_string(), "q4 [3, 576]");
        assert_eq!(checkpoint.bytes(), 3 * bytes as u64);
        let mut out = Vec::new();
        checkpoint.read_rows("w", 1..3, &mut out).unwrap();
        assert_eq!(out.len(), 2 * bytes);
    }

    #[test]
    fn whatever_does_not_agree_is_an_error_that_names_file_and_tensor() {
        let sound = r#"{"quernel.version":"1","quernel.tensor.w":"q4 32"}"#;
        assert!(open("U8", "[2,32]", 64, sound).is_ok());
        for (dtype, shape, metadata, reason) in [
            ("U8", "[2,32]", r#"{"quernel.tensor.w":"q4 32"}"#, "the metadata has no quernel.version"),
            ("U8", "[2,32]", &sound.replace("\"1\"", "\"2\""), "version \"2\" of quernel.version"),
            ("U8", "[2,32]", &sound.replace("q4", "q3"), "its metadata is \"q3 32\", and should be one of q8, q4, q4a"),
            ("U8", "[2,32]", &sound.replace("q4", "f16"), "its metadata is \"f16 32\""),
            ("U8", "[2,32]", &sound.replace("q4 32", "q4"), "its metadata is \"q4\""),
            ("U8", "[2,32]", &sound.replace("q4 32", "q4 -32"), "its metadata is \"q4 -32\""),
            ("U8", "[2,32]", &sound.replace("q4 32", "q4 0"), "has 0 columns by its metadata"),
            ("U8", "[2,32]", &sound.replace("q4 32", "q4 33"), "33 columns by its metadata, which are no whole groups"),
            ("U8", "[2,32]", &sound.replace("q4 32", "q4 64"), "rows of 32 bytes, and 64 columns of q4"),
            ("U8", "[2,32]", &sound.replace("q4 32", "q4 18446744073709551584"), "rows of 32 bytes"),
            ("U8", "[2,32]", &sound.replace("q4", "q8"), "rows of 32 bytes, and 32 columns of q8"),
            ("I8", "[2,32]", sound, "is stored as U8, and it is stored as I8"),
            ("U8", "[64]", sound, "[64] is no matrix"),
            ("U8", "[1,2,32]", sound, "[1, 2, 32] is no matrix"),
        ] {
            let error = open(dtype, shape, 64, metadata).unwrap_err();
            let Error::BadTensor { path, tensor, .. } = &error else { panic!("{error}") };
            assert!(path.ends_with("model.safetensors") && tensor == "w", "{error}");
            assert!(error.to_string().contains(reason), "{reason:?} in {error}");
        }
        let error = open("U8", "[2,32]", 64, &sound.replace("tensor.w", "tensor.v")).unwrap_err().to_string();
        assert!(error.contains("tensor \"v\": is named by the metadata and is not in the file"), "{error}");
        let error = open("U8", "[2,32]", 64, "{}").unwrap().fact("w").unwrap_err().to_string();
        assert!(error.contains("or groups that the file's metadata describes"), "{error}");
        let twice = sound.replace('}', r#","quernel.version":"1"}"#);
        assert!(matches!(open("U8", "[2,32]", 64, &twice), Err(Error::BadFile { .. })));
    }

    #[test]
    fn a_writer_refuses_what_would_not_be_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("model.safetensors");
        let w = Stored::groups(DType::Q8, 2, 64);
        let create = |tensors: &[(&str, Stored)]| Writer::create(&path, tensors);
        assert!(matches!(create(&[("w", w.clone()), ("w", w.clone())]), Err(Error::BadTensor { .. })));
        assert!(matches!(create(&[("__metadata__", w.clone())]), Err(Error::BadTensor { .. })));
        assert!(matches!(create(&[("w", Stored::plain(Dtype::F4, vec![3]))]), Err(Error::BadTensor { .. })));
        let bytes = encode(DType::Q8, &[0.25; 128], 64);
        let mut writer = create(&[("w", w.clone())]).unwrap();
        writer.write(&bytes[1..]).unwrap();
        assert!(matches!(writer.finish(), Err(Error::BadFile { .. })), "a byte is missing");
        let mut writer = create(&[("w", w.clone())]).unwrap();
        writer.write(&bytes).unwrap();
        assert!(matches!(writer.write(&[0]), Err(Error::BadFile { .. })), "a byte too many");
        drop(writer);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left");
        let mut writer = create(&[("w", w.clone()), ("none", Stored::plain(Dtype::F32, vec![0, 4]))]).unwrap();
        writer.write(&bytes).unwrap();
        writer.finish().unwrap();
        let written = Checkpoint::open(&path).unwrap();
        assert_eq!(written.stored("w").unwrap(), w);
        assert_eq!(written.fact("w").unwrap().to_string(), "q8 [2, 64]");
    }
}
