//! `model.safetensors.index.json`: which shard holds which tensor.

use super::header::MAX_TENSORS;
use crate::{Error, Result, files};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Place;
use std::fmt;
use std::path::{Component, Path};

/// Bytes an index may have.
const MAX_INDEX: u64 = 32 << 20;

/// The shard's file name for each tensor's name.
#[derive(Deserialize)]
pub(super) struct Index {
    #[serde(deserialize_with = "weight_map")]
    pub weight_map: BTreeMap<String, String>,
}

/// Reads the index at `path`.
///
/// # Errors
/// [`Error::Io`] where it cannot be read, [`Error::BadFile`] where it is malformed, and [`Error::BadTensor`] where a
/// shard's name is more than the name of a safetensors file.
pub(super) fn read(path: &Path) -> Result<Index> {
    let text = files::read_text(path, MAX_INDEX)?;
    let index: Index = serde_json::from_str(&text).map_err(|e| Error::bad_file(path, e.to_string()))?;
    for (tensor, shard) in &index.weight_map {
        if !is_shard_name(shard) {
            let reason = format!("its shard {shard:?} is not the name of a .safetensors file in the same folder");
            return Err(Error::bad_tensor(path, tensor, reason));
        }
    }
    Ok(index)
}

/// Whether `name` is a plain file name, so that no index leads out of its folder.
///
/// Links are followed: Hugging Face's cache is made of them, and an index cannot make one.
fn is_shard_name(name: &str) -> bool {
    let plain =
        matches!(Path::new(name).components().collect::<Vec<_>>()[..], [Component::Normal(part)] if part == name);
    plain && name.ends_with(".safetensors") && !name.contains(['/', '\\', ':', '\0'])
}

fn weight_map<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    struct WeightMap;
    impl<'de> Visitor<'de> for WeightMap {
        type Value = BTreeMap<String, String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object of file names")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut shards = BTreeMap::new();
            while let Some((tensor, shard)) = map.next_entry::<String, String>()? {
                if shards.len() == MAX_TENSORS {
                    return Err(A::Error::custom(format!("it names more than {MAX_TENSORS} tensors")));
                }
                match shards.entry(tensor) {
                    Place::Vacant(place) => place.insert(shard),
                    Place::Occupied(place) => {
                        return Err(A::Error::custom(format!("tensor {:?} appears twice", place.key())));
                    }
                };
            }
            Ok(shards)
        }
    }
    deserializer.deserialize_map(WeightMap)
}
