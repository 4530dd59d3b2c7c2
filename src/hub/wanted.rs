//! Which of a repository's files are fetched.

use super::Spec;
use super::spec::is_plain;
use crate::{Error, Result, files};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

pub(super) const CONFIG: &str = "config.json";
pub(super) const TOKENIZER: &str = "tokenizer.json";
pub(super) const SINGLE: &str = "model.safetensors";
pub(super) const INDEX: &str = "model.safetensors.index.json";

/// Besides the weights, in the order in which they are fetched.
const SMALL: [&str; 7] = [
    CONFIG,
    "generation_config.json",
    TOKENIZER,
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "chat_template.json",
];

/// Where a model keeps chat templates that have a name.
const TEMPLATES: &str = "additional_chat_templates";

/// Bytes an index may have.
const MAX_INDEX: u64 = 32 << 20;

/// The files of `names` that are wanted, the weights last, and without the shards that an index names.
///
/// # Errors
/// [`Error::HubNotFound`] where settings or weights are not among them.
pub(super) fn small(spec: &Spec, names: &[String]) -> Result<Vec<String>> {
    let has = |wanted: &str| names.iter().any(|name| name == wanted);
    let lacks = |what: &str, found: String| Error::HubNotFound {
        what: format!("{what} in {spec}"),
        reason: format!("it holds {found}; Quernel reads {CONFIG} and safetensors"),
    };
    if !has(CONFIG) {
        return Err(lacks(CONFIG, "no model in the layout of transformers".to_owned()));
    }
    if !has(SINGLE) && !has(INDEX) {
        let other = |name: &&String| [".bin", ".gguf", ".pt", ".pth", ".safetensors"].iter().any(|e| name.ends_with(e));
        let found = names.iter().find(other).map_or_else(|| "no weights".to_owned(), |name| format!("{name:?}"));
        return Err(lacks(SINGLE, found));
    }
    let (settings, weights) = (SMALL.into_iter(), [SINGLE].into_iter());
    let templates = names.iter().map(String::as_str).filter(|name| is_template(name));
    Ok(settings
        .filter(|name| has(name))
        .chain(templates)
        .chain(weights.filter(|name| has(name)))
        .map(str::to_owned)
        .collect())
}

/// Whether a file is a named chat template, in the one folder where such are.
fn is_template(path: &str) -> bool {
    let name = path.strip_prefix(TEMPLATES).and_then(|rest| rest.strip_prefix('/'));
    name.is_some_and(|name| is_plain(name) && name.ends_with(".jinja"))
}

/// The index, where the weights are divided.
pub(super) fn index(names: &[String]) -> Option<&'static str> {
    let has = |wanted: &str| names.iter().any(|name| name == wanted);
    (!has(SINGLE) && has(INDEX)).then_some(INDEX)
}

/// The shards that the index at `path` names, all of which are to be among `names`.
///
/// # Errors
/// [`Error::BadFile`] where the index is malformed, or names what is no plain file beside it.
pub(super) fn shards(path: &Path, names: &[String]) -> Result<Vec<String>> {
    let shards = read(path)?;
    match shards.iter().find(|shard| !names.contains(shard)) {
        Some(shard) => Err(Error::bad_file(path, format!("names {shard:?}, which its repository does not have"))),
        None => Ok(shards),
    }
}

/// Files that the snapshot in `folder` needs and does not have.
pub(super) fn missing(folder: &Path) -> Vec<String> {
    let lacks = |name: &str| !folder.join(name).is_file();
    let weights = match (lacks(SINGLE), lacks(INDEX)) {
        (true, false) => read(&folder.join(INDEX)).unwrap_or_else(|_| vec![INDEX.to_owned()]),
        _ => vec![SINGLE.to_owned()],
    };
    // An index that cannot be read is as good as none.
    let lost = |name: &String| name == INDEX || lacks(name);
    [CONFIG, TOKENIZER].map(str::to_owned).into_iter().chain(weights).filter(lost).collect()
}

fn read(path: &Path) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let text = files::read_text(path, MAX_INDEX)?;
    let index: Index = serde_json::from_str(&text).map_err(|e| Error::bad_file(path, e.to_string()))?;
    let shards: BTreeSet<String> = index.weight_map.into_values().collect();
    match shards.iter().find(|shard| !is_plain(shard) || !shard.ends_with(".safetensors")) {
        Some(shard) => {
            Err(Error::bad_file(path, format!("{shard:?} is not the name of a .safetensors file beside it")))
        }
        None => Ok(shards.into_iter().collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn only_what_is_read_is_fetched() {
        let spec: Spec = "a/b".parse().unwrap();
        let all =
            names(&["README.md", "model.safetensors", "config.json", "consolidated.safetensors", "onnx/model.onnx"]);
        assert_eq!(small(&spec, &all).unwrap(), ["config.json", "model.safetensors"]);
        assert_eq!(index(&all), None);
        let templates = ["rag.jinja", "../rag.jinja", "a/b.jinja", ".jinja", "README.md"];
        let all = [all, templates.map(|name| format!("{TEMPLATES}/{name}")).into()].concat();
        assert_eq!(
            small(&spec, &all).unwrap(),
            ["config.json", &format!("{TEMPLATES}/rag.jinja"), "model.safetensors"]
        );
        let error = small(&spec, &names(&["config.json", "pytorch_model.bin"])).unwrap_err().to_string();
        assert!(error.contains("pytorch_model.bin") && error.contains("safetensors"), "{error}");
        let error = small(&spec, &names(&["model.gguf"])).unwrap_err().to_string();
        assert!(error.contains("config.json"), "{error}");
    }

    #[test]
    fn an_index_names_files_beside_it_and_none_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(INDEX);
        let shards = |text: &str, has: &[&str]| {
            std::fs::write(&path, text).unwrap();
            shards(&path, &names(has))
        };
        let good = r#"{"metadata": {"total_size": 1}, "weight_map": {"a": "x.safetensors", "b": "x.safetensors"}}"#;
        assert_eq!(shards(good, &["x.safetensors"]).unwrap(), ["x.safetensors"]);
        assert!(shards(good, &["y.safetensors"]).is_err());
        for bad in ["../x.safetensors", "a/x.safetensors", "C:x.safetensors", ".x.safetensors", "x.bin"] {
            assert!(shards(&good.replace("x.safetensors", bad), &[bad]).is_err(), "{bad}");
        }
        assert!(shards("[", &[]).is_err());
        assert_eq!(missing(dir.path()), ["config.json", "tokenizer.json", INDEX]);
        std::fs::write(&path, good).unwrap();
        assert_eq!(missing(dir.path()), ["config.json", "tokenizer.json", "x.safetensors"]);
        for name in ["config.json", "tokenizer.json", "x.safetensors"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        assert_eq!(missing(dir.path()).len(), 0);
    }
}
