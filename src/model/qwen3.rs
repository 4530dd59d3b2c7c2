//! Qwen3, dense: Yang et al. 2025 (arXiv 2505.09388): Llama that norms every query and key head before turning it.
//!
//! Normed heads keep their products within bounds however long training lasts (Dehghani et al. 2023,
//! arXiv 2302.05442). The weight of the norm is one head long, and every head shares it.
//!
//! ```text
//! x = embedding[id]
//! for each layer:
//!     x = x + attention(rms_norm(x))      q, k = rope(rms_norm(W x)), head by head
//!     x = x + mlp(rms_norm(x))
//! logits = head · rms_norm(x)
//! ```

use super::parts::{head, linear, rms_norm};
use super::settings::{self, Heads};
use super::{Architecture, rope};
use crate::Result;
use crate::checkpoint::Config;
use crate::graph::{Builder, Cache, Tensors, Value};
use crate::kernels::activation::Act;
use crate::kernels::attention;
use crate::kernels::rope::Angles;

const EMBEDDING: &str = "model.embed_tokens.weight";

/// The width of a head where the configuration does not say: not hidden_size by heads, as it is elsewhere.
const HEAD_DIM: usize = 128;

#[derive(Debug)]
struct Qwen3 {
    vocab: usize,
    hidden: usize,
    inner: usize,
    layers: usize,
    heads: Heads,
    windows: Vec<Option<usize>>,
    context: usize,
    epsilon: f64,
    act: Act,
    angles: Angles,
    attention_bias: bool,
    tied: bool,
}

/// Reads and checks the configuration.
pub(super) fn open(config: &Config, tensors: &dyn Tensors) -> Result<Box<dyn Architecture>> {
    let heads = Heads::read(config, Some(HEAD_DIM))?;
    let context = settings::size_or(config, "max_position_embeddings", 32_768)?;
    let layers = settings::layers(config, "num_hidden_layers")?;
    Ok(Box::new(Qwen3 {
        vocab: settings::size(config, "vocab_size")?,
        hidden: settings::size(config, "hidden_size")?,
        inner: settings::size(config, "intermediate_size")?,
        layers,
        heads,
        windows: settings::windows(config, layers)?,
        context,
        epsilon: settings::epsilon(config, "rms_norm_eps", 1e-6)?,
        act: settings::activation(config, "hidden_act", "silu")?,
        angles: rope::angles(config, heads.head_dim, context)?,
        attention_bias: config.bool_or("attention_bias", false)?,
        tied: settings::tied(config, tensors, EMBEDDING, false)?,
    }))
}

impl Architecture for Qwen3 {
    fn context(&self) -> usize {
        self.context
    }

    fn logits(&self, g: &mut Builder<'_>, context: usize) -> Result<Value> {
        let angles = g.angles(&self.angles, context);
        let embedding = g.table(EMBEDDING, [self.vocab, self.hidden])?;
        let mut x = g.embed(embedding)?;
        for layer in 0..self.layers {
            x = self.block(g, layer, x, angles)?;
        }
        let x = g.output_rows(x)?;
        let x = rms_norm(g, "model.norm", x, self.hidden, self.epsilon)?;
        if self.tied { g.linear(x, embedding, None) } else { head(g, "lm_head", x, self.vocab) }
    }
}

impl Qwen3 {
    fn block(&self, g: &mut Builder<'_>, layer: usize, x: Value, angles: Value) -> Result<Value> {
        let name = |part: &str| format!("model.layers.{layer}.{part}");
        let h = rms_norm(g, &name("input_layernorm"), x, self.hidden, self.epsilon)?;
        let a = self.attention(g, layer, h, angles)?;
        let x = g.add(x, a)?;
        let h = rms_norm(g, &name("post_attention_layernorm"), x, self.hidden, self.epsilon)?;
        let f = self.mlp(g, layer, h)?;
        g.add(x, f)
    }

    fn attention(&self, g: &mut Builder<'_>, layer: usize, x: Value, angles: Value) -> Result<Value> {
        let name = |part: &str| format!("model.layers.{layer}.self_attn.{part}");
        let Heads { heads, kv_heads, head_dim } = self.heads;
        let q = linear(g, &name("q_proj"), x, heads * head_dim, self.attention_bias)?;
        let k = linear(g, &name("k_proj"), x, kv_heads * head_dim, self.attention_bias)?;
        let v = linear(g, &name("v_proj"), x, kv_heads * head_dim, self.attention_bias)?;
        let q = rms_norm(g, &name("q_norm"), q, head_dim, self.epsilon)?;
        let k = rms_norm(g, &name("k_norm"), k, head_dim, self.epsilon)?;
        let q = g.rope(q, rope::whole(heads, head_dim), angles)?;
        let k = g.rope(k, rope::whole(kv_heads, head_dim), angles)?;
        g.kv_write(layer, Cache { kv_heads, head_dim }, k, v)?;
        let (scale, window) = ((head_dim as f32).sqrt().recip(), self.windows[layer]);
        let a = g.attention(layer, q, attention::Heads { heads, kv_heads, head_dim, scale, window })?;
        linear(g, &name("o_proj"), a, self.hidden, self.attention_bias)
    }

    fn mlp(&self, g: &mut Builder<'_>, layer: usize, x: Value) -> Result<Value> {
        let name = |part: &str| format!("model.layers.{layer}.mlp.{part}");
        let gate = linear(g, &name("gate_proj"), x, self.inner, false)?;
        let up = linear(g, &name("up_proj"), x, self.inner, false)?;
        let h = g.gated(self.act, gate, up)?;
        linear(g, &name("down_proj"), h, self.hidden, false)
    }
}
