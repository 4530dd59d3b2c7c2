//! Settings that several architectures share, read from `config.json` and checked before any use is made of them.
//!
//! Names and defaults are those of transformers, whose `config.json` this is. A size that would overflow, divide by
//! zero, or that no kernel can run is refused here, by the key that holds it.

use crate::checkpoint::Config;
use crate::graph::Tensors;
use crate::kernels::activation::Act;
use crate::kernels::attention::MAX_HEAD_DIM;
use crate::tensor::PITCH;
use crate::{Error, Result};

/// The largest width, vocabulary or context: beyond any model, and small enough that products of two fit 64 bits.
const MAX_SIZE: usize = 1 << 28;

/// The most layers: several times those of the deepest model, and few enough to be walked in no time.
const MAX_LAYERS: usize = 1024;

/// A size of at least 1.
pub(super) fn size(config: &Config, key: &str) -> Result<usize> {
    in_range(config, key, config.usize(key)?, MAX_SIZE)
}

/// As [`size`], with what transformers takes where the key is absent.
pub(super) fn size_or(config: &Config, key: &str, default: usize) -> Result<usize> {
    in_range(config, key, config.usize_or(key, default)?, MAX_SIZE)
}

/// A size where it is given, and is not null.
pub(super) fn optional_size(config: &Config, key: &str) -> Result<Option<usize>> {
    if config.contains(key) { size(config, key).map(Some) } else { Ok(None) }
}

/// A number of layers.
pub(super) fn layers(config: &Config, key: &str) -> Result<usize> {
    in_range(config, key, config.usize(key)?, MAX_LAYERS)
}

fn in_range(config: &Config, key: &str, value: usize, most: usize) -> Result<usize> {
    if (1..=most).contains(&value) {
        return Ok(value);
    }
    Err(unsupported(config, key, value, &format!("1 to {most}")))
}

/// A norm's ε.
pub(super) fn epsilon(config: &Config, key: &str, default: f64) -> Result<f64> {
    let epsilon = config.f64_or(key, default)?;
    if (0.0..1.0).contains(&epsilon) {
        return Ok(epsilon);
    }
    Err(unsupported(config, key, epsilon, "a number from 0 to 1"))
}

/// An activation function by its name.
pub(super) fn activation(config: &Config, key: &str, default: &str) -> Result<Act> {
    let name = config.str_or(key, default)?;
    Act::from_config(name).ok_or_else(|| {
        let known = "silu, swish, gelu, gelu_new, gelu_fast, gelu_pytorch_tanh and relu";
        unsupported(config, key, format!("{name:?}"), known)
    })
}

/// How a layer's attention is divided into heads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Heads {
    /// Query heads: a multiple of `kv_heads`.
    pub(super) heads: usize,
    /// Key and value heads, each shared by `heads / kv_heads` query heads.
    pub(super) kv_heads: usize,
    /// Elements of a head.
    pub(super) head_dim: usize,
}

impl Heads {
    /// The heads of the Llama family, where one head is `hidden_size / num_attention_heads` wide if nothing else is
    /// said, neither by the configuration nor by `head_dim`, the architecture's own default.
    pub(super) fn read(config: &Config, head_dim: Option<usize>) -> Result<Self> {
        let heads = size(config, "num_attention_heads")?;
        let kv_heads = size_or(config, "num_key_value_heads", heads)?;
        let hidden = size(config, "hidden_size")?;
        if !config.contains("head_dim") && head_dim.is_none() && hidden % heads != 0 {
            let supported = format!("a divisor of \"hidden_size\", {hidden},");
            return Err(unsupported(config, "num_attention_heads", heads, &supported));
        }
        if heads % kv_heads != 0 {
            let supported = format!("a divisor of the {heads} query heads");
            return Err(unsupported(config, "num_key_value_heads", kv_heads, &supported));
        }
        let head_dim = size_or(config, "head_dim", head_dim.unwrap_or(hidden / heads))?;
        Self { heads, kv_heads, head_dim }.checked(config, "head_dim")
    }

    /// The heads, if the attention kernels can run them; `key` is where `head_dim` comes from.
    pub(super) fn checked(self, config: &Config, key: &str) -> Result<Self> {
        if !self.head_dim.is_multiple_of(PITCH) || self.head_dim > MAX_HEAD_DIM {
            let supported = format!("a multiple of {PITCH} up to {MAX_HEAD_DIM}");
            return Err(unsupported(config, key, self.head_dim, &supported));
        }
        Ok(self)
    }
}

/// The window of each layer of Qwen2 and Qwen3; `None` where a token sees all before it.
///
/// `layer_types` says it layer by layer; older files have the first `max_window_layers` layers see all.
pub(super) fn windows(config: &Config, layers: usize) -> Result<Vec<Option<usize>>> {
    let window = match config.bool_or("use_sliding_window", false)? {
        true => Some(size_or(config, "sliding_window", 4096)?),
        false => None,
    };
    if !config.contains("layer_types") {
        let full = config.usize_or("max_window_layers", 28)?;
        return Ok((0..layers).map(|layer| window.filter(|_| layer >= full)).collect());
    }
    let types = config.strings("layer_types")?;
    if types.len() != layers {
        return Err(config.bad("layer_types", &format!("has {} entries for {layers} layers", types.len())));
    }
    let of = |kind: &String| match (kind.as_str(), window) {
        ("full_attention", _) => Ok(None),
        ("sliding_attention", Some(window)) => Ok(Some(window)),
        ("sliding_attention", None) => {
            Err(config.bad("layer_types", "has sliding layers, and \"use_sliding_window\" is false"))
        }
        (other, _) => {
            Err(unsupported(config, "layer_types", format!("{other:?}"), "full_attention and sliding_attention"))
        }
    };
    types.iter().map(of).collect()
}

/// Whether the logits come from the table of embeddings, `embedding`, and not from a `lm_head.weight` of its own.
///
/// A checkpoint without a head shares the table whatever its configuration says. One that calls the two tied and yet
/// stores both is taken at its tensors' word: rows from either end and the middle tell whether they are the same.
pub(super) fn tied(config: &Config, tensors: &dyn Tensors, embedding: &str, default: bool) -> Result<bool> {
    const HEAD: &str = "lm_head.weight";
    if !tensors.contains(HEAD) {
        return Ok(true);
    }
    if !config.bool_or("tie_word_embeddings", default)? {
        return Ok(false);
    }
    let fact = tensors.fact(HEAD)?;
    if fact != tensors.fact(embedding)? {
        return Ok(false);
    }
    let rows = fact.shape.axes().first().copied().unwrap_or(0);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for row in [0, rows / 2, rows.saturating_sub(1)] {
        let row = row..rows.min(row + 1);
        tensors.read_rows(HEAD, row.clone(), &mut ours)?;
        tensors.read_rows(embedding, row, &mut theirs)?;
        if ours != theirs {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A value that is well formed and that this version cannot run.
pub(super) fn unsupported(config: &Config, key: &str, found: impl std::fmt::Display, supported: &str) -> Error {
    config.bad(key, &format!("is {found}; {supported} is supported"))
}
