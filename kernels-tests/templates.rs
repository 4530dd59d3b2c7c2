//! Chat templates against transformers, byte for byte, and against those who mean harm.

#[path = "templates/attacks.rs"]
mod attacks;

use quernel::Error;
use quernel::text::{ChatTemplate, Message, Moment, Prompt};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// What the clock said when `scripts/templates.py` rendered the fixtures.
const NOW: Moment = Moment { year: 2026, month: 11, day: 5, hour: 9, minute: 7 };

fn fixtures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/templates");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "jinja"));
    paths.sort();
    assert!(paths.len() >= 20, "{} templates", paths.len());
    paths
}

/// A case without what is expected of it.
fn prompt(mut case: Map<String, Value>) -> Prompt {
    let list = |value: Value| value.as_array().unwrap().clone();
    let messages: Vec<Message> = serde_json::from_value(case.remove("messages").unwrap()).unwrap();
    let (tools, documents) = (case.remove("tools").map(list), case.remove("documents").map(list));
    let add_generation_prompt = case.remove("add_generation_prompt").is_some_and(|value| value == true);
    Prompt { messages, tools, documents, add_generation_prompt, more: case, now: Some(NOW) }
}

/// A folder whose settings have the special tokens of the fixtures.
fn checkpoint() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let settings =
        r#"{"bos_token": "<s>", "eos_token": {"content": "</s>"}, "unk_token": "<unk>", "pad_token": "<pad>"}"#;
    std::fs::write(dir.path().join("tokenizer_config.json"), settings).unwrap();
    dir
}

#[test]
fn texts_are_those_of_transformers() {
    let (dir, mut differences, mut texts) = (checkpoint(), Vec::new(), 0);
    for path in fixtures() {
        let template = ChatTemplate::read(&path, dir.path()).unwrap();
        let cases = std::fs::read_to_string(path.with_extension("json")).unwrap();
        let cases: Vec<Map<String, Value>> = serde_json::from_str(&cases).unwrap();
        for mut case in cases {
            let (text, error) = (case.remove("text"), case.remove("error"));
            let name = format!("{}, {}", path.file_stem().unwrap().display(), case.remove("name").unwrap());
            let rendered = template.render(&prompt(case));
            texts += usize::from(text.is_some());
            match (&rendered, text, error) {
                (Ok(found), Some(Value::String(expected)), None) if *found == expected => {}
                (Err(Error::ChatTemplate { reason, .. }), None, Some(Value::String(said)))
                    if *reason == format!("the template says: {said}") => {}
                (Err(Error::ChatTemplate { .. }), None, Some(Value::Null)) => {}
                (_, text, error) => differences.push(format!("{name}:\n{rendered:?}\n{text:?} {error:?}")),
            }
        }
    }
    assert!(differences.is_empty(), "{} differ\n{}", differences.len(), differences.join("\n\n"));
    assert!(texts >= 400, "{texts} texts were compared");
}
