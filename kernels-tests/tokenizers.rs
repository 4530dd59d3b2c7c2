//! Tokenizers of each kind against transformers: the same ids and the same text, on lines that tokenizers get wrong.

use quernel::text::{TextStream, Tokenizer};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const KINDS: [&str; 4] = ["byte-level", "sentencepiece", "unigram", "wordpiece"];

fn assets() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/tokenizers")
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// CRC-32 as zlib has it.
fn crc(bytes: impl Iterator<Item = u8>) -> u64 {
    let step = |crc: u32, byte: u8| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & 0_u32.wrapping_sub(crc & 1)))
    };
    u64::from(!bytes.fold(u32::MAX, step))
}

#[test]
fn ids_and_texts_are_those_of_transformers() {
    let lines = json(&assets().join("lines.json"));
    let lines: Vec<&str> = lines.as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    assert_eq!(lines.len(), 2000);
    for kind in KINDS {
        let tokenizer = Tokenizer::open(assets().join(kind)).unwrap();
        let expected = json(&assets().join(kind).join("ids.json"));
        let mut differences = Vec::new();
        for (index, line) in lines.iter().enumerate() {
            let ids = tokenizer.encode(line).unwrap();
            let decoded = tokenizer.decode(&ids).unwrap();
            if crc(ids.iter().flat_map(|id| id.to_le_bytes())) != expected["ids"][index] {
                differences.push(format!("{line:?}: {ids:?}, and not {}", expected["first"][index]));
            }
            if crc(decoded.bytes()) != expected["decoded"][index] {
                differences.push(format!("{line:?}: {decoded:?}, and not {}", expected["first_decoded"][index]));
            }
            let mut stream = TextStream::new(&tokenizer, &[]).unwrap();
            let mut text: String = ids.iter().map(|&id| stream.push(id).unwrap()).collect();
            text += &stream.finish().unwrap();
            if text != decoded {
                differences.push(format!("{line:?}: streamed {text:?}, and not {decoded:?}"));
            }
        }
        assert!(differences.is_empty(), "{kind}: {} differ\n{}", differences.len(), differences.join("\n"));
    }
}

/// What is quadratic somewhere takes minutes here.
#[test]
fn a_megabyte_of_one_character_takes_a_second_at_most() {
    for kind in KINDS {
        let tokenizer = Tokenizer::open(assets().join(kind)).unwrap();
        for character in ['a', ' ', '😀', '\u{300}'] {
            let text = character.to_string().repeat((1 << 20) / character.len_utf8());
            let begin = Instant::now();
            let ids = tokenizer.encode(&text);
            let took = begin.elapsed();
            eprintln!("{kind}: {character:?}: {took:?}, {:?}", ids.as_ref().map(Vec::len));
            assert!(took < Duration::from_secs(1), "{kind}: {character:?} took {took:?}");
        }
    }
}
