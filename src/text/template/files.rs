//! Where a checkpoint keeps its chat templates, and the special tokens that they write.

use super::MAX_TEMPLATE;
use crate::{Error, Result, files};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// Bytes that a JSON file with settings may have.
const MAX_JSON: u64 = 64 << 20;
/// The special tokens that transformers hands to a template.
const SPECIALS: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];
const SETTINGS: &str = "tokenizer_config.json";
const DEFAULT: &str = "default";
/// The folder of templates that have a name.
const NAMED: &str = "additional_chat_templates";

/// The text of the template called `name`, or of the default one, and the file that it is in.
pub(super) fn find(dir: &Path, name: Option<&str>) -> Result<(PathBuf, String)> {
    let wanted = name.unwrap_or(DEFAULT);
    let alone = match wanted {
        DEFAULT => dir.join("chat_template.jinja"),
        name => dir.join(NAMED).join(format!("{name}.jinja")),
    };
    if is_name(wanted) && exists(&alone) {
        let text = files::read_text(&alone, MAX_TEMPLATE as u64)?;
        return Ok((alone, text));
    }
    let mut names = Vec::new();
    for path in [dir.join("chat_template.json"), dir.join(SETTINGS)] {
        let bad = |reason: &str| Error::ChatTemplate { path: path.clone(), reason: reason.to_owned() };
        let (one, several) = match object(&path)?.get("chat_template") {
            None | Some(Value::Null) => continue,
            Some(Value::String(text)) => (Some(text.clone()), Vec::new()),
            Some(Value::Array(items)) => (None, items.clone()),
            Some(_) => return Err(bad("\"chat_template\" must be a text, or a list of named ones")),
        };
        if let (Some(text), DEFAULT) = (one, wanted) {
            return Ok((path, text));
        }
        for item in &several {
            match (item.get("name").and_then(Value::as_str), item.get("template").and_then(Value::as_str)) {
                (Some(name), Some(text)) if name == wanted => return Ok((path, text.to_owned())),
                (Some(name), Some(_)) => names.push(name.to_owned()),
                _ => return Err(bad("each of \"chat_template\" must have a \"name\" and a \"template\"")),
            }
        }
    }
    names.extend(alone_in(dir));
    Err(Error::ChatTemplate { path: dir.to_owned(), reason: none(wanted, &names) })
}

fn none(wanted: &str, names: &[String]) -> String {
    let others = match names {
        [] => String::new(),
        names => format!("; it has {}", names.join(", ")),
    };
    let which = match wanted {
        DEFAULT => "no chat template".to_owned(),
        name => format!("no chat template {name:?}"),
    };
    format!("has {which}{others}; --chat-template FILE gives one, --chat-template chatml takes a common form")
}

/// The names of the templates that have a file each.
fn alone_in(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir.join(NAMED)).into_iter().flatten().flatten();
    let name = |entry: std::fs::DirEntry| Some(entry.file_name().to_str()?.strip_suffix(".jinja")?.to_owned());
    let mut names: Vec<_> = entries.filter_map(name).collect();
    names.sort();
    names
}

/// Names lead to files, and must not lead elsewhere.
fn is_name(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// A link that leads nowhere is a broken checkpoint, not an absent file.
fn exists(path: &Path) -> bool {
    files::exists(path)
}

/// The object in a JSON file; an empty one where there is no file.
fn object(path: &Path) -> Result<Map<String, Value>> {
    if !exists(path) {
        return Ok(Map::new());
    }
    serde_json::from_str(&files::read_text(path, MAX_JSON)?).map_err(|e| Error::bad_file(path, e.to_string()))
}

/// The special tokens of the checkpoint by their names.
pub(super) fn specials(dir: &Path) -> Result<Vec<(String, String)>> {
    let settings = object(&dir.join(SETTINGS))?;
    let text = |name: &str| {
        let token = settings.get(name)?;
        token.as_str().or_else(|| token.get("content").and_then(Value::as_str)).map(str::to_owned)
    };
    Ok(SPECIALS.iter().filter_map(|&name| Some((name.to_owned(), text(name)?))).collect())
}
