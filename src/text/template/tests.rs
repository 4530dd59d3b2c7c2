use super::*;
use serde_json::json;
use std::fs;

fn said(words: &str) -> Prompt {
    Prompt { messages: vec![Message::new("user", words)], ..Prompt::default() }
}

/// A checkpoint's folder with these files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

#[test]
fn a_template_is_found_wherever_checkpoints_keep_it() {
    let one = json!({"chat_template": "settings", "bos_token": {"content": "<s>"}}).to_string();
    let several =
        json!({"chat_template": [{"name": "default", "template": "first"}, {"name": "tool_use", "template": "t"}]});
    let several = several.to_string();
    let rendered = |files: &[(&str, &str)], name: Option<&str>| {
        ChatTemplate::open(folder(files).path(), name).and_then(|template| template.render(&said("x")))
    };
    assert_eq!(rendered(&[("tokenizer_config.json", &one)], None).unwrap(), "settings");
    assert_eq!(rendered(&[("tokenizer_config.json", &several)], None).unwrap(), "first");
    assert_eq!(rendered(&[("tokenizer_config.json", &several)], Some("tool_use")).unwrap(), "t");
    let processor = ("chat_template.json", r#"{"chat_template": "processor"}"#);
    assert_eq!(rendered(&[("tokenizer_config.json", &one), processor], None).unwrap(), "processor");
    let alone = ("chat_template.jinja", "{{ bos_token }}alone");
    assert_eq!(rendered(&[("tokenizer_config.json", &one), processor, alone], None).unwrap(), "<s>alone");
    let named = ("additional_chat_templates/rag.jinja", "rag");
    assert_eq!(rendered(&[alone, named], Some("rag")).unwrap(), "rag");

    for (files, name, what) in [
        (&[][..], None, "no chat template; --chat-template FILE"),
        (
            &[("tokenizer_config.json", several.as_str())],
            Some("rag"),
            "no chat template \"rag\"; it has default, tool_use",
        ),
        (&[alone, named], Some("tool_use"), "no chat template \"tool_use\"; it has rag; --chat-template FILE"),
        (&[alone], Some("../chat_template"), "no chat template"),
        (&[("tokenizer_config.json", "{\"chat_template\": 1}")], None, "must be a text"),
        (&[("tokenizer_config.json", "{\"chat_template\": [1]}")], None, "\"name\" and a \"template\""),
        (&[("tokenizer_config.json", "[")], None, "tokenizer_config.json"),
        (&[("chat_template.jinja", "a\n{% if %}")], None, "line 2: syntax error"),
    ] {
        let error = rendered(files, name).unwrap_err().to_string();
        assert!(error.contains(what), "{error} has {what}");
    }
}

#[test]
fn errors_say_where_and_why() {
    let error = |source: &str| match ChatTemplate::new(source).and_then(|template| template.render(&said("x"))) {
        Err(Error::ChatTemplate { reason, .. }) => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(error("{{ raise_exception('Not you.') }}"), "the template says: Not you.");
    assert!(error("\n\n{{ messages[0].content.nothing() }}").starts_with("line 3: "));
    assert!(error("{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}").contains("fuel"));
    assert!(error("{{ strftime_now('%!') }}").contains("strftime_now"));
}

#[test]
fn the_clock_and_a_moment_are_told() {
    let template = ChatTemplate::new("{{ strftime_now('%Y-%m-%d %H:%M') }}").unwrap();
    let now = template.render(&said("x")).unwrap();
    assert_eq!(now.len(), "2026-11-05 09:07".len());
    let moment = Moment { year: 1784, month: 5, day: 1, hour: 0, minute: 9 };
    let then = template.render(&Prompt { now: Some(moment), ..said("x") }).unwrap();
    assert_eq!(then, "1784-05-01 00:09");
    assert!(template.render(&Prompt { now: Some(Moment { month: 13, ..moment }), ..said("x") }).is_err());
}

#[test]
fn chatml_is_the_common_form() {
    let text = ChatTemplate::chatml().unwrap().render(&Prompt { add_generation_prompt: true, ..said("Hello.") });
    assert_eq!(text.unwrap(), "<|im_start|>user\nHello.<|im_end|>\n<|im_start|>assistant\n");
}
