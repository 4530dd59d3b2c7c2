//! A model's shape filled with random numbers: no files, and no more of the host's memory than a block.

use crate::checkpoint::Config;
use crate::graph::Tensors;
use crate::kernels::random::{self, Numbers};
use crate::quant::encode;
use crate::tensor::{DType, Fact, Shape};
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

/// How far a norm's weights lie from 1, and biases from 0: multiples of 2 to the minus this, up to 255 of them.
const VECTOR_EXPONENT: u32 = 12;

/// The tensors of a model of the Llama family, as its configuration describes them, made of random numbers.
///
/// A matrix's numbers are a function of the seed, its name and the place, so that a device makes the same ones that
/// [`read_rows`](Tensors::read_rows) gives. They are spread so that activations stay as large as those of a trained
/// model, whatever the depth.
///
/// ```
/// use quernel::bench::{Shape, Synthetic};
/// use quernel::graph::Tensors;
/// use quernel::model::Model;
/// let config = Shape::named("smollm2-135m")?.config()?;
/// let tensors = Synthetic::new(&config, 42)?;
/// assert_eq!(tensors.fact("model.embed_tokens.weight")?.to_string(), "bf16 [49152, 576]");
/// assert_eq!(Model::open(&config, &tensors)?.parameters(), 134_515_008);
/// # Ok::<(), quernel::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Synthetic {
    path: PathBuf,
    seed: u64,
    facts: BTreeMap<String, Fact>,
}

impl Synthetic {
    /// The tensors that `config` describes.
    ///
    /// # Errors
    /// [`Error::BadFile`] where a size is missing.
    pub fn new(config: &Config, seed: u64) -> Result<Self> {
        let [vocab, hidden, inner, layers, heads] =
            ["vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"]
                .map(|key| config.usize(key));
        let (vocab, hidden, inner, heads) = (vocab?, hidden?, inner?, heads?);
        let kv_heads = config.usize_or("num_key_value_heads", heads)?;
        let head_dim = config.usize_or("head_dim", hidden / heads.max(1))?;
        let dtype = match config.str_or("torch_dtype", "float32")? {
            "bfloat16" => DType::BF16,
            "float16" => DType::F16,
            _ => DType::F32,
        };
        let mut made = Self { path: config.path().to_owned(), seed, facts: BTreeMap::new() };
        let mut add = |name: String, axes: &[usize]| made.facts.insert(name, Fact::new(dtype, Shape::new(axes)));
        add("model.embed_tokens.weight".to_owned(), &[vocab, hidden]);
        for layer in 0..layers? {
            let mut add = |part: &str, axes: &[usize]| add(format!("model.layers.{layer}.{part}.weight"), axes);
            add("input_layernorm", &[hidden]);
            add("self_attn.q_proj", &[heads * head_dim, hidden]);
            add("self_attn.k_proj", &[kv_heads * head_dim, hidden]);
            add("self_attn.v_proj", &[kv_heads * head_dim, hidden]);
            add("self_attn.q_norm", &[head_dim]);
            add("self_attn.k_norm", &[head_dim]);
            add("self_attn.o_proj", &[hidden, heads * head_dim]);
            add("post_attention_layernorm", &[hidden]);
            add("mlp.gate_proj", &[inner, hidden]);
            add("mlp.up_proj", &[inner, hidden]);
            add("mlp.down_proj", &[hidden, inner]);
        }
        add("model.norm.weight".to_owned(), &[hidden]);
        if !config.bool_or("tie_word_embeddings", false)? {
            add("lm_head.weight".to_owned(), &[vocab, hidden]);
        }
        Ok(made)
    }

    /// The tensors' names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.facts.keys().map(String::as_str)
    }

    /// A seed of the tensor's own: FNV-1a of Fowler, Noll and Vo, begun with the model's seed.
    fn seed(&self, tensor: &str) -> u32 {
        let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let hash = tensor.bytes().fold(self.seed ^ 0xcbf2_9ce4_8422_2325, mix);
        (hash >> 32) as u32 ^ hash as u32
    }
}

impl Tensors for Synthetic {
    fn fact(&self, tensor: &str) -> Result<Fact> {
        let found = self.facts.get(tensor);
        found.cloned().ok_or_else(|| Error::bad_tensor(&self.path, tensor, "is no part of this shape"))
    }

    fn contains(&self, tensor: &str) -> bool {
        self.facts.contains_key(tensor)
    }

    fn file(&self, _: &str) -> PathBuf {
        self.path.clone()
    }

    fn read_rows(&self, tensor: &str, rows: Range<usize>, out: &mut Vec<u8>) -> Result<()> {
        let fact = self.fact(tensor)?;
        let all = fact.shape.axes().first().copied().unwrap_or(1);
        if rows.start > rows.end || rows.end > all {
            return Err(Error::bad_tensor(&self.path, tensor, format!("has {all} rows, and not rows {rows:?}")));
        }
        let values: Vec<f32> = match self.random(tensor) {
            Some(numbers) => {
                random::reference(numbers, rows, fact.shape.columns()).into_iter().map(|x| x as f32).collect()
            }
            None => {
                let middle = if tensor.contains("norm") { 1.0 } else { 0.0 };
                let numbers = Numbers { seed: self.seed(tensor), exponent: VECTOR_EXPONENT };
                let values = random::reference(numbers, 0..1, all);
                values[rows].iter().map(|x| (middle + x) as f32).collect()
            }
        };
        *out = encode(fact.dtype, &values, fact.shape.columns());
        Ok(())
    }

    fn random(&self, tensor: &str) -> Option<Numbers> {
        match *self.facts.get(tensor)?.shape.axes() {
            [_, columns] => Some(Numbers::for_columns(columns, self.seed(tensor))),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{SHAPES, Shape};
    use crate::model::Model;

    fn open(name: &str) -> (Model, Synthetic) {
        let config = Shape::named(name).unwrap().config().unwrap();
        let tensors = Synthetic::new(&config, 42).unwrap();
        (Model::open(&config, &tensors).unwrap(), tensors)
    }

    #[test]
    fn shapes_have_the_parameters_that_were_published() {
        let published = [
            ("smollm2-135m", 134_515_008),
            ("qwen3-0.6b", 596_049_920),
            ("llama-3.2-1b", 1_235_814_400),
            ("llama-3.2-3b", 3_212_749_824),
            ("llama-3.1-8b", 8_030_261_248),
            ("mistral-7b", 7_248_023_552),
        ];
        for (name, parameters) in published {
            assert_eq!(open(name).0.parameters(), parameters, "{name}");
        }
        assert_eq!(published.len() + 1, SHAPES.len(), "every published shape is counted, and tiny is not published");
        let error = Shape::named("gpt-5").err().unwrap().to_string();
        assert!(error.contains("there are smollm2-135m, qwen3-0.6b"), "{error}");
    }

    #[test]
    fn numbers_follow_from_the_seed_the_name_and_the_place() {
        let (_, tensors) = open("tiny");
        let read = |tensors: &Synthetic, name: &str, rows| {
            let mut out = Vec::new();
            tensors.read_rows(name, rows, &mut out).unwrap();
            out
        };
        let (up, gate) = ("model.layers.0.mlp.up_proj.weight", "model.layers.0.mlp.gate_proj.weight");
        let whole = read(&tensors, up, 0..128);
        assert_eq!(whole.len(), 128 * 64 * 2);
        assert_eq!(whole[5 * 128..9 * 128], read(&tensors, up, 5..9));
        assert_ne!(whole, read(&tensors, gate, 0..128));
        assert_ne!(whole, read(&Synthetic { seed: 43, ..tensors.clone() }, up, 0..128));
        let norm: Vec<f32> = crate::quant::decode(DType::BF16, &read(&tensors, "model.norm.weight", 0..64), 64);
        assert!(norm.iter().all(|x| (0.9..1.1).contains(x)), "{norm:?}");
        assert!(tensors.read_rows(up, 127..129, &mut Vec::new()).is_err());
        assert!(tensors.read_rows("model.layers.2.mlp.up_proj.weight", 0..1, &mut Vec::new()).is_err());
    }
}
