//! Mistral 7B: Jiang et al. 2023 (arXiv 2310.06825): Llama without biases, whose tokens may see a window only.
//!
//! With a window of w, a token attends to itself and the w − 1 tokens before it. What lies further back still reaches
//! it, one window a layer, through the tokens between.
//!
//! ```text
//! x = embedding[id]
//! for each layer:
//!     x = x + attention(rms_norm(x))      over the last w tokens
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
struct Mistral {
    vocab: usize,
    hidden: usize,
    inner: usize,
    layers: usize,
    heads: Heads,
    window: Option<usize>,
    context: usize,
    epsilon: f64,
    act: Act,
    angles: Angles,
    tied: bool,
}

/// Reads and checks the configuration.
pub(super) fn open(config: &Config, tensors: &dyn Tensors) -> Result<Box<dyn Architecture>> {
    let heads = Heads::read(config, None)?;
    let context = settings::size_or(config, "max_position_embeddings", 131_072)?;
    Ok(Box::new(Mistral {
        vocab: settings::size(config, "vocab_size")?,
        hidden: settings::size(config, "hidden_size")?,
        inner: settings::size(config, "intermediate_size")?,
        layers: settings::layers(config, "num_hidden_layers")?,
        heads,
        window: settings::optional_size(config, "sliding_window")?,
        context,
        epsilon: settings::epsilon(config, "rms_norm_eps", 1e-6)?,
        act: settings::activation(config, "hidden_act", "silu")?,
        angles: rope::angles(config, heads.head_dim, context)?,
        tied: settings::tied(config, tensors, EMBEDDING, false)?,
    }))
}

impl Architecture for Mistral {
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

impl Mistral {
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
        let q = linear(g, &name("q_proj"), x, heads * head_dim, false)?;
        let k = linear(g, &name("k_proj"), x, kv_heads * head_dim, false)?;
        let v = linear(g, &name("v_proj"), x, kv_heads * head_dim, false)?;
        let q = g.rope(q, rope::whole(heads, head_dim), angles)?;
        let k = g.rope(k, rope::whole(kv_heads, head_dim), angles)?;
        g.kv_write(layer, Cache { kv_heads, head_dim }, k, v)?;
        let (scale, window) = ((head_dim as f32).sqrt().recip(), self.window);
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
