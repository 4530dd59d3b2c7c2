//! Text to token ids and back, by `tokenizer.json`.

use crate::{Error, Result, files};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use tokenizers::DecoderWrapper;

/// Bytes that `tokenizer.json` may have; the largest vocabularies in use take a sixth of it.
const MAX_TOKENIZER: u64 = 256 << 20;
/// Tokens that a vocabulary may have; programs hold a number for each.
const MAX_VOCAB: usize = 1 << 24;
/// Bytes that `tokenizer_config.json` may have.
const MAX_CONFIG: u64 = 64 << 20;

/// A model's tokenizer. Clones share one vocabulary.
///
/// ```no_run
/// # fn main() -> quernel::Result<()> {
/// let tokenizer = quernel::text::Tokenizer::open("path/to/model")?;
/// let ids = tokenizer.encode("Once upon a time")?;
/// assert_eq!(tokenizer.decode(&ids)?, "Once upon a time");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Tokenizer {
    shared: Arc<Shared>,
}

struct Shared {
    inner: tokenizers::Tokenizer,
    vocab_size: usize,
    byte_fallback: bool,
    bos: Option<u32>,
    eos: Option<u32>,
    /// Whether a prompt begins with `bos`; `None` leaves it to the post-processor of `tokenizer.json`.
    add_bos: Option<bool>,
}

/// The part of `tokenizer_config.json` that is used. Other values are passed over and never converted: a
/// `model_max_length` may be 1e30.
#[derive(Deserialize, Default)]
struct Settings {
    bos_token: Option<Value>,
    eos_token: Option<Value>,
    add_bos_token: Option<bool>,
}

impl Tokenizer {
    /// Reads `tokenizer.json` and, where there is one, `tokenizer_config.json` in the folder `dir`.
    ///
    /// # Errors
    /// [`Error::BadFile`] where `tokenizer.json` is absent or one of them is malformed, [`Error::Io`] where one may not
    /// be read.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self> {
        let dir = dir.as_ref();
        let path = dir.join("tokenizer.json");
        if !files::exists(&path) {
            let reason = "is missing, so text cannot be turned into tokens; the model's folder must hold it (transformers \
                          writes it: AutoTokenizer.from_pretrained(MODEL).save_pretrained(FOLDER))";
            return Err(Error::bad_file(path, reason));
        }
        let inner = load(&path, &files::read_text(&path, MAX_TOKENIZER)?)?;
        let vocab_size = inner.get_vocab(true).into_values().max().map_or(0, |id| id as usize + 1);
        if vocab_size > MAX_VOCAB {
            let reason = format!("has a token with the id {}; ids must be below {MAX_VOCAB}", vocab_size - 1);
            return Err(Error::bad_file(path, reason));
        }
        let path = dir.join("tokenizer_config.json");
        let settings = match files::exists(&path) {
            false => Settings::default(),
            true => serde_json::from_str(&files::read_text(&path, MAX_CONFIG)?)
                .map_err(|e| Error::bad_file(&path, e.to_string()))?,
        };
        let id = |key: &str, token: &Option<Value>| special(&path, key, token, &inner);
        let bos = id("bos_token", &settings.bos_token)?;
        let eos = id("eos_token", &settings.eos_token)?;
        let byte_fallback = inner.get_decoder().is_some_and(falls_back_to_bytes);
        let shared = Shared { inner, vocab_size, byte_fallback, bos, eos, add_bos: settings.add_bos_token };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The ids of a prompt: those of `text`, and the special tokens that a prompt of this model begins and ends with.
    ///
    /// `add_bos_token` in `tokenizer_config.json` decides on the first token, and where it is absent, the
    /// post-processor of `tokenizer.json`. The text of a special token within `text` is that token.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] where the text has no tokens in this vocabulary.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let mut ids = self.encoded(text, true)?;
        if let (Some(bos), Some(add)) = (self.shared.bos, self.shared.add_bos) {
            match (add, ids.first() == Some(&bos)) {
                (true, false) => ids.insert(0, bos),
                // The text may itself begin with the token; that one stays.
                (false, true) if ids[1..].starts_with(&self.encoded(text, false)?) => drop(ids.remove(0)),
                _ => {}
            }
        }
        Ok(ids)
    }

    /// The ids of `text` alone. The text of a special token within it is that token.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] where the text has no tokens in this vocabulary.
    pub fn encode_plain(&self, text: &str) -> Result<Vec<u32>> {
        self.encoded(text, false)
    }

    /// The text of `ids`, without special tokens and without ids that are no tokens. Bytes that are no characters
    /// become U+FFFD.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] where the tokenizer's decoder fails.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        guarded(|| self.shared.inner.decode(ids, true))
    }

    /// One more than the largest id of a token. A model may have logits for more ids; those are no tokens.
    pub fn vocab_size(&self) -> usize {
        self.shared.vocab_size
    }

    /// The id of the token that is written `token` in the vocabulary.
    pub fn token_id(&self, token: &str) -> Option<u32> {
        self.shared.inner.token_to_id(token)
    }

    /// How the token is written in the vocabulary: spaces and bytes may be encoded.
    pub fn token(&self, id: u32) -> Option<String> {
        self.shared.inner.id_to_token(id)
    }

    /// Whether a token is special: it brings no text, and no text but its own name becomes it.
    pub fn is_special(&self, id: u32) -> bool {
        let vocabulary = self.shared.inner.get_added_vocabulary();
        self.token(id).is_some_and(|token| vocabulary.is_special_token(&token))
    }

    /// The token that ends a text, by `tokenizer_config.json`.
    pub fn eos(&self) -> Option<u32> {
        self.shared.eos
    }

    /// What a token brings to a text.
    pub(super) fn role(&self, id: u32) -> Role {
        match self.token(id) {
            None => Role::Nothing,
            Some(_) if self.is_special(id) => Role::Nothing,
            Some(token) if self.shared.byte_fallback && is_byte(&token) => Role::Byte,
            Some(_) => Role::Text,
        }
    }

    fn encoded(&self, text: &str, as_prompt: bool) -> Result<Vec<u32>> {
        Ok(guarded(|| self.shared.inner.encode_fast(text, as_prompt))?.get_ids().to_vec())
    }
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer").field("vocab_size", &self.shared.vocab_size).finish_non_exhaustive()
    }
}

/// What a token brings to a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Nothing: it is special, or no token at all.
    Nothing,
    /// A byte, which makes a character together with the bytes beside it.
    Byte,
    /// Text.
    Text,
}

/// Reads `tokenizer.json` from its text.
fn load(path: &Path, text: &str) -> Result<tokenizers::Tokenizer> {
    let bad = |reason: String| Error::bad_file(path, reason);
    // First as JSON of any kind: on a file cut short, the tokenizers' own reader panics.
    serde_json::from_str::<IgnoredAny>(text).map_err(|e| bad(format!("is not JSON: {e}")))?;
    let mut inner =
        guarded(|| tokenizers::Tokenizer::from_bytes(text)).map_err(|e| bad(format!("is malformed: {e}")))?;
    // What a training run cut and padded its texts to is not for prompts.
    inner.with_padding(None).with_truncation(None).map_err(|e| bad(e.to_string()))?;
    // A post-processor that names what is not there is found out by its use.
    guarded(|| inner.encode_fast("", true)).map_err(|e| bad(format!("is malformed: {e}")))?;
    Ok(inner)
}

/// Runs code of the tokenizers crate, which panics on some malformed files and on what they lead to.
fn guarded<T>(run: impl FnOnce() -> tokenizers::Result<T>) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(result) => result.map_err(|e| Error::Tokenizer(e.to_string())),
        Err(panic) => {
            let message = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
            Err(Error::Tokenizer(format!(
                "tokenizer.json leads to a state it has no answer for: {}",
                message.unwrap_or("unknown")
            )))
        }
    }
}

/// The id of a special token, which is given as its text or as an object with its text as `content`.
fn special(path: &Path, key: &str, token: &Option<Value>, inner: &tokenizers::Tokenizer) -> Result<Option<u32>> {
    let content = match token {
        None => return Ok(None),
        Some(Value::Object(token)) => token.get("content").and_then(Value::as_str),
        Some(token) => token.as_str(),
    };
    let content = content.ok_or_else(|| {
        Error::bad_file(path, format!("\"{key}\" must be a token's text, or an object with that text as \"content\""))
    })?;
    Ok(inner.token_to_id(content))
}

fn falls_back_to_bytes(decoder: &DecoderWrapper) -> bool {
    match decoder {
        DecoderWrapper::ByteFallback(_) => true,
        DecoderWrapper::Sequence(sequence) => sequence.get_decoders().iter().any(falls_back_to_bytes),
        _ => false,
    }
}

/// Whether a token is written as a byte: `<0x41>`.
fn is_byte(token: &str) -> bool {
    let digits = token.strip_prefix("<0x").and_then(|rest| rest.strip_suffix('>')).filter(|digits| digits.len() == 2);
    digits.is_some_and(|digits| u8::from_str_radix(digits, 16).is_ok())
}
