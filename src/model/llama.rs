//! Llama 1, 2 and 3: Touvron et al. 2023 (arXiv 2302.13971, 2307.09288), Grattafiori et al. 2024 (arXiv 2407.21783).
//!
//! Every token is a vector x of `hidden` elements. It begins as a row of the embedding table, and each block adds to
//! it twice: what attention gathers from the tokens before, then what the MLP makes of the vector by itself. Its
//! products with the rows of the head, one for each token of the vocabulary, are the logits.
//!
//! ```text
//! x = embedding[id]
//! for each layer:
//!     x = x + attention(rms_norm(x))
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
struct Llama {
    vocab: usize,
    hidden: usize,
    inner: usize,
    layers: usize,
    heads: Heads,
    context: usize,
    epsilon: f64,
    act: Act,
    angles: Angles,
    attention_bias: bool,
    mlp_bias: bool,
    tied: bool,
}

/// Reads and checks the configuration.
pub(super) fn open(config: &Config, tensors: &dyn Tensors) -> Result<Box<dyn Architecture>> {
    let heads = Heads::read(config, None)?;
    let context = settings::size_or(config, "max_position_embeddings", 2048)?;
    Ok(Box::new(Llama {
        vocab: settings::size(config, "vocab_size")?,
        hidden: settings::size(config, "hidden_size")?,
        inner: settings::size(config, "intermediate_size")?,
        layers: settings::layers(config, "num_hidden_layers")?,
        heads,
        context,
        epsilon: settings::epsilon(config, "rms_norm_eps", 1e-6)?,
        act: settings::activation(config, "hidden_act", "silu")?,
        angles: rope::angles(config, heads.head_dim, context)?,
        attention_bias: config.bool_or("attention_bias", false)?,
        mlp_bias: config.bool_or("mlp_bias", false)?,
        tied: settings::tied(config, tensors, EMBEDDING, false)?,
    }))
}

impl Architecture for Llama {
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

impl Llama {
    fn block(&self, g: &mut Builder<'_>, layer: usize, x: Value, angles: Value) -> Result<Value> {
        let name = |part: &str| format!("model.layers.{layer}.{part}");
        let h = rms_norm(g, &name("input_layernorm"), x, self.hidden, self.epsilon)?;
        let a = self.attention(g, layer, h, angles)?;
        let x = g.add(x, a)?;
        let h = rms_norm(g, &name("post_attention_layernorm"), x, self.hidden, self.epsilon)?;
        let f = self.mlp(g, layer, h)?;
        g.add(x, f)
    }

    /// Queries and keys are turned by their positions, so that their product depends on how far apart they are.
    /// Several query heads share one key head and one value head (Ainslie et al. 2023, arXiv 2305.13245).
    fn attention(&self, g: &mut Builder<'_>, layer: usize, x: Value, angles: Value) -> Result<Value> {
        let name = |part: &str| format!("model.layers.{layer}.self_attn.{part}");
        let Heads { heads, kv_heads, head_dim } = self.heads;
        let q = linear(g, &name("q_proj"), x, heads * head_dim, self.attention_bias)?;
        let k = linear(g, &name("k_proj"), x, kv_heads * head_dim, self.attention_bias)?;
        let v = linear(g, &name("v_proj"), x, kv_heads * head_dim, self.attention_bias)?;
        let q = g.rope(q, rope::whole(heads, head_dim), angles)?;
        let k = g.rope(k, rope::whole(kv_heads, head_dim), angles)?;
        g.kv_write(layer, Cache { kv_heads, head_dim }, k, v)?;
        let scale = (head_dim as f32).sqrt().recip();
        let a = g.attention(layer, q, attention::Heads { heads, kv_heads, head_dim, scale, window: None })?;
        linear(g, &name("o_proj"), a, self.hidden, self.attention_bias)
    }

    /// Shazeer 2020 (arXiv 2002.05202): `down · (act(gate · x) ⊙ up · x)`.
    fn mlp(&self, g: &mut Builder<'_>, layer: usize, x: Value) -> Result<Value> {
        let name = |part: &str| format!("model.layers.{layer}.mlp.{part}");
        let gate = linear(g, &name("gate_proj"), x, self.inner, self.mlp_bias)?;
        let up = linear(g, &name("up_proj"), x, self.inner, self.mlp_bias)?;
        let h = g.gated(self.act, gate, up)?;
        linear(g, &name("down_proj"), h, self.hidden, self.mlp_bias)
    }
}
