//! Qwen2 and Qwen2.5: Yang et al. 2024 (arXiv 2407.10671, 2412.15115): Llama whose queries, keys and values have a bias.
//!
//! The later layers may see a window only, where the configuration asks for it.
//!
//! ```text
//! x = embedding[id]
//! for each layer:
//!     x = x + attention(rms_norm(x))      q, k, v = W x + b
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

#[derive(Debug)]
struct Qwen2 {
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
    tied: bool,
}

/// Reads and checks the configuration.
pub(super) fn open(config: &Config, tensors: &dyn Tensors) -> Result<Box<dyn Architecture>> {
    let heads = Heads::read(config, None)?;
    let context = settings::size_or(config, "max_position_embeddings", 32_768)?;
    let layers = settings::layers(config, "num_hidden_layers")?;
    Ok(Box::new(Qwen2 {
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
        tied: settings::tied(config, tensors, EMBEDDING, false)?,
    }))
}

impl Architecture for Qwen2 {
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

impl Qwen2 {
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
        let q = linear(g, &name("q_proj"), x, heads * head_dim, true)?;
        let k = linear(g, &name("k_proj"), x, kv_heads * head_dim, true)?;
        let v = linear(g, &name("v_proj"), x, kv_heads * head_dim, true)?;
        let q = g.rope(q, rope::whole(heads, head_dim), angles)?;
        let k = g.rope(k, rope::whole(kv_heads, head_dim), angles)?;
        g.kv_write(layer, Cache { kv_heads, head_dim }, k, v)?;
        let (scale, window) = ((head_dim as f32).sqrt().recip(), self.windows[layer]);
        let a = g.attention(layer, q, attention::Heads { heads, kv_heads, head_dim, scale, window })?;
        linear(g, &name("o_proj"), a, self.hidden, false)
    }

    fn mlp(&self, g: &mut Builder<'_>, layer: usize, x: Value) -> Result<Value> {
        let name = |part: &str| format!("model.layers.{layer}.mlp.{part}");
        let gate = linear(g, &name("gate_proj"), x, self.inner, false)?;
        let up = linear(g, &name("up_proj"), x, self.inner, false)?;
        let h = g.gated(self.act, gate, up)?;
        linear(g, &name("down_proj"), h, self.hidden, false)
    }
}
