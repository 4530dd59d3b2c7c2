use super::*;
use crate::{Error, Result};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::fs;
use std::sync::LazyLock;
use tempfile::TempDir;

/// A folder with the given `tokenizer.json` and `tokenizer_config.json`.
fn folder(tokenizer: &Value, settings: Option<&str>) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("tokenizer.json"), tokenizer.to_string()).unwrap();
    if let Some(settings) = settings {
        fs::write(dir.path().join("tokenizer_config.json"), settings).unwrap();
    }
    dir
}

fn open(tokenizer: &Value, settings: Option<&str>) -> Result<Tokenizer> {
    Tokenizer::open(folder(tokenizer, settings).path())
}

fn added(id: usize, content: &str, special: bool) -> Value {
    json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
           "special": special})
}

/// A `tokenizer.json` of the tokens given, which are not merged; the first three are special.
fn tokenizer_json(tokens: &[String], byte_fallback: bool, decoder: Value) -> Value {
    let vocab: serde_json::Map<String, Value> =
        tokens.iter().enumerate().map(|(id, t)| (t.clone(), json!(id))).collect();
    json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": (0..3).map(|id| added(id, &tokens[id], true)).collect::<Vec<_>>(),
        "normalizer": null, "pre_tokenizer": null, "decoder": decoder,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}},
        },
        "model": {"type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null,
                  "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": byte_fallback, "ignore_merges": false,
                  "vocab": vocab, "merges": []},
    })
}

fn tokens(rest: impl IntoIterator<Item = String>) -> Vec<String> {
    ["<unk>", "<s>", "</s>"].into_iter().map(str::to_owned).chain(rest).collect()
}

/// As Llama's: spaces written as "▁", bytes as "<0x41>", and a text's first space dropped.
fn with_byte_fallback() -> Value {
    let words = ["▁", "a", "▁a", "▁the", "é", "\u{FFFD}", "▁▁", "<0x+5>"];
    let vocab = tokens((0..=255).map(|byte| format!("<0x{byte:02X}>")).chain(words.map(str::to_owned)));
    let decoder = json!({"type": "Sequence", "decoders": [
        {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
        {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]});
    let mut json = tokenizer_json(&vocab, true, decoder);
    json["normalizer"] = json!({"type": "Sequence", "normalizers": [
        {"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]});
    json
}

/// As GPT-2's: every byte written as a character.
fn with_byte_level() -> Value {
    let mut bytes: Vec<char> = tokenizers::pre_tokenizers::byte_level::ByteLevel::alphabet().into_iter().collect();
    bytes.sort();
    let words = ["Ġthe", "Ã©", "ðŁĺ", "ï¿½"].map(str::to_owned);
    let vocab = tokens(bytes.into_iter().map(String::from).chain(words));
    let byte_level = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false});
    let mut json = tokenizer_json(&vocab, false, byte_level.clone());
    json["pre_tokenizer"] = byte_level;
    json["added_tokens"].as_array_mut().unwrap().push(added(vocab.len(), "<think é>", false));
    json
}

fn with_words(decoder: Value) -> Value {
    let words = ["▁a", "b", "##c", "d</w>", "▁", "▁▁e", ".", "'m", "é", "\u{FFFD}"];
    tokenizer_json(&tokens(words.map(str::to_owned)), false, decoder)
}

/// A tokenizer of each kind of decoder.
static KINDS: LazyLock<Vec<(&str, Tokenizer)>> = LazyLock::new(|| {
    let metaspace = json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": true});
    [
        ("byte fallback", with_byte_fallback()),
        ("byte level", with_byte_level()),
        ("metaspace", with_words(metaspace)),
        ("word piece", with_words(json!({"type": "WordPiece", "prefix": "##", "cleanup": true}))),
        ("word end", with_words(json!({"type": "BPEDecoder", "suffix": "</w>"}))),
        ("no decoder", with_words(Value::Null)),
    ]
    .into_iter()
    .map(|(name, json)| (name, open(&json, None).unwrap()))
    .collect()
});

/// The pieces that a stream gives for `ids` after `prompt`, the last being what was held back.
fn pieces(tokenizer: &Tokenizer, prompt: &[u32], ids: &[u32]) -> Vec<String> {
    let mut stream = TextStream::new(tokenizer, prompt).unwrap();
    let mut pieces: Vec<String> = ids.iter().map(|&id| stream.push(id).unwrap()).collect();
    pieces.push(stream.finish().unwrap());
    pieces
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_stream_gives_what_decoding_at_once_gives(
        parts in prop::collection::vec(prop_oneof![
            prop::collection::vec(0u32..300, 1..4).prop_map(Ok),
            "[aé€😀\u{FFFD} ]{1,4}".prop_map(Err),
        ], 0..40),
        at in 0usize..100,
    ) {
        for (name, tokenizer) in KINDS.iter() {
            let mut ids = Vec::new();
            for part in &parts {
                match part {
                    Ok(random) => ids.extend(random.iter().map(|id| id % (tokenizer.vocab_size() as u32 + 2))),
                    Err(text) => ids.extend(tokenizer.encode_plain(text).unwrap()),
                }
            }
            let (prompt, rest) = ids.split_at(at.min(ids.len()));
            let (before, all) = (tokenizer.decode(prompt).unwrap(), tokenizer.decode(&ids).unwrap());
            let text = pieces(tokenizer, prompt, rest).concat();
            // A prompt that ends within a character has no text that all begins with.
            if let Some(expected) = all.strip_prefix(before.as_str()) {
                prop_assert_eq!(&text, expected, "{}, {:?} after {:?}", name, rest, prompt);
            } else {
                prop_assert!(all.ends_with(&text), "{}: {:?} does not end {:?}", name, text, all);
            }
        }
    }
}

#[test]
fn characters_are_given_out_whole() {
    for json in [with_byte_fallback(), with_byte_level()] {
        let tokenizer = open(&json, None).unwrap();
        let prompt = tokenizer.encode_plain("a").unwrap();
        let ids = tokenizer.encode_plain("😀a").unwrap();
        let ids = &ids[ids.len() - 5..];
        let pieces = pieces(&tokenizer, &prompt, ids);
        assert_eq!(pieces[..3].concat(), "", "{ids:?}");
        assert_eq!(pieces.concat(), "😀a");
        assert!(pieces.iter().all(|piece| !piece.contains('\u{FFFD}')), "{pieces:?}");
    }
}

#[test]
fn a_special_token_does_not_make_the_next_the_first() {
    let tokenizer = open(&with_byte_fallback(), None).unwrap();
    let (the, a) = (tokenizer.token_id("▁the").unwrap(), tokenizer.token_id("▁a").unwrap());
    let long = [vec![the; 100], vec![2; 100]].concat();
    assert_eq!(pieces(&tokenizer, &long, &[2, a]).concat(), " a");
    assert_eq!(pieces(&tokenizer, &[1], &[the, a]).concat(), "the a");
}

#[test]
fn the_window_of_a_stream_stays_small() {
    for (name, tokenizer) in KINDS.iter() {
        let largest = tokenizer.vocab_size() as u32;
        let mut stream = TextStream::new(tokenizer, &[]).unwrap();
        // Ids that are no run of bytes, with an invalid byte or U+FFFD among them.
        for step in 0..10_000 {
            stream.push(largest - 1 - step % 8).unwrap();
        }
        assert!(format!("{stream:?}").len() < 2_000, "{name}: {stream:?}");
    }
}

#[test]
fn prompts_get_their_special_tokens() {
    let json = with_byte_fallback();
    let mut bare = json.clone();
    bare["post_processor"] = Value::Null;
    let named = r#""bos_token": {"content": "<s>", "lstrip": false}, "eos_token": "</s>", "model_max_length": 1e30"#;
    let settings = |add: &str| format!("{{{named}{add}}}");
    for (json, add, begins) in [
        (&json, "", true),
        (&json, r#", "add_bos_token": true"#, true),
        (&json, r#", "add_bos_token": false"#, false),
        (&json, r#", "add_bos_token": null"#, true),
        (&bare, "", false),
        (&bare, r#", "add_bos_token": true"#, true),
    ] {
        let tokenizer = open(json, Some(&settings(add))).unwrap();
        let (prompt, plain) = (tokenizer.encode("a a").unwrap(), tokenizer.encode_plain("a a").unwrap());
        assert_eq!(plain.len(), 4);
        assert_eq!(prompt, if begins { [vec![1], plain].concat() } else { plain }, "{add}");
        assert_eq!(tokenizer.eos(), Some(2));
        assert_eq!(tokenizer.decode(&prompt).unwrap(), "a a");
    }
    let tokenizer = open(&json, Some(&settings(r#", "add_bos_token": false"#))).unwrap();
    assert_eq!(tokenizer.encode("<s>").unwrap()[0], 1, "a token in the text itself stays");
    assert_eq!(tokenizer.encode("").unwrap(), [] as [u32; 0]);
}

#[test]
fn tokens_are_found_by_id_and_by_name() {
    let tokenizer = open(&with_byte_fallback(), None).unwrap();
    assert_eq!(tokenizer.vocab_size(), 3 + 256 + 8);
    assert_eq!((tokenizer.token_id("▁the"), tokenizer.token_id("nowhere")), (Some(262), None));
    assert_eq!((tokenizer.token(262).as_deref(), tokenizer.token(9999)), (Some("▁the"), None));
    assert_eq!(tokenizer.eos(), None);
    assert_eq!(tokenizer.decode(&[9999, 262, 2]).unwrap(), "the");
}

#[test]
fn training_truncation_and_padding_are_dropped() {
    let mut json = with_byte_fallback();
    json["truncation"] = json!({"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0});
    json["padding"] = json!({"strategy": {"Fixed": 1_000_000_000_000_u64}, "direction": "Right", "pad_to_multiple_of": null,
                             "pad_id": 0, "pad_type_id": 0, "pad_token": "<unk>"});
    assert_eq!(open(&json, None).unwrap().encode_plain("aaaa").unwrap().len(), 5);
}

#[test]
fn malformed_tokenizers_are_typed_errors() {
    let none = tempfile::tempdir().unwrap();
    let error = Tokenizer::open(none.path()).unwrap_err().to_string();
    assert!(error.contains("tokenizer.json: is missing") && error.contains("save_pretrained"), "{error}");

    let sound = with_byte_fallback();
    let text = sound.to_string();
    let mut no_model = sound.clone();
    no_model["model"] = Value::Null;
    let mut lost_merge = sound.clone();
    lost_merge["model"]["merges"] = json!(["x y"]);
    let mut bad_regex = sound.clone();
    bad_regex["pre_tokenizer"] =
        json!({"type": "Split", "pattern": {"Regex": "("}, "behavior": "Isolated", "invert": false});
    let mut lost_special = sound.clone();
    lost_special["post_processor"]["special_tokens"] = json!({});
    let mut far_id = sound.clone();
    far_id["model"]["vocab"]["far"] = json!(4_294_967_295_u32);
    let texts = [far_id, no_model, lost_merge, bad_regex, lost_special].map(|json| json.to_string());
    let deep = "[".repeat(100_000);
    for text in
        ["", "{}", "[]", "null", &deep, &text[..text.len() / 2]].into_iter().chain(texts.iter().map(String::as_str))
    {
        fs::write(none.path().join("tokenizer.json"), text).unwrap();
        let error = Tokenizer::open(none.path()).err().unwrap_or_else(|| panic!("{text}: accepted"));
        assert!(matches!(error, Error::BadFile { .. }) && error.to_string().contains("tokenizer.json"), "{error}");
    }
    for settings in
        ["", "[]", "{", r#"{"bos_token": 1}"#, r#"{"eos_token": {"text": "</s>"}}"#, r#"{"add_bos_token": 1}"#]
    {
        let error = open(&sound, Some(settings)).err().unwrap_or_else(|| panic!("{settings}: accepted"));
        assert!(
            matches!(error, Error::BadFile { .. }) && error.to_string().contains("tokenizer_config.json"),
            "{error}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever happens to a tokenizer's bytes, opening and using it ends in a value or an error.
    #[test]
    fn mutations_never_panic(
        level: bool,
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(b"[]{},:\"-0129ae ".to_vec())), 1..6),
    ) {
        let json = if level { with_byte_level() } else { with_byte_fallback() };
        let mut bytes = json.to_string().into_bytes();
        // The vocabulary is the longest part and the least telling: half of the changes go elsewhere.
        let elsewhere = bytes.windows(7).position(|word| word == b"\"vocab\"").unwrap_or(bytes.len());
        for (turn, (index, byte)) in changes.iter().enumerate() {
            let range = if turn % 2 == 0 { elsewhere } else { bytes.len() };
            bytes[index.index(range)] = *byte;
        }
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("tokenizer.json"), &bytes).unwrap();
        if let Ok(tokenizer) = Tokenizer::open(dir.path())
            && let Ok(ids) = tokenizer.encode("a é 😀 <s>")
        {
            let _text = tokenizer.decode(&ids);
        }
    }
}
