//! GPT-2: Radford et al. 2019, "Language Models are Unsupervised Multitask Learners".
//!
//! Positions are learned: each has a vector of its own that is added to the token's, so there are no tokens beyond the
//! table of positions. Norms subtract the mean, every linear layer has a bias, and the MLP has one way in, not two.
//!
//! ```text
//! x = wte[id] + wpe[position]
//! for each layer:
//!     x = x + attention(layer_norm(x))
//!     x = x + mlp(layer_norm(x))
//! logits = wte · layer_norm(x)
//! ```

use super::Architecture;
use super::parts::{head, layer_norm};
use super::settings::{self, Heads};
use crate::Result;
use crate::checkpoint::Config;
use crate::graph::{Builder, Cache, Tensors, Value};
use crate::kernels::activation::Act;
use crate::kernels::attention;
use std::ops::Range;

#[derive(Debug)]
struct Gpt2 {
    /// What names of tensors begin with: `transformer.`, or nothing in the checkpoints first published.
    prefix: &'static str,
    vocab: usize,
    hidden: usize,
    inner: usize,
    layers: usize,
    heads: Heads,
    context: usize,
    epsilon: f64,
    act: Act,
    /// Whether scores are divided by √head_dim.
    scaled: bool,
    /// Whether scores are divided by the layer's number, from 1.
    scaled_by_layer: bool,
    tied: bool,
}

/// Reads and checks the configuration.
pub(super) fn open(config: &Config, tensors: &dyn Tensors) -> Result<Box<dyn Architecture>> {
    if config.bool_or("add_cross_attention", false)? {
        return Err(settings::unsupported(config, "add_cross_attention", true, "false"));
    }
    let hidden = settings::size(config, "n_embd")?;
    let heads = settings::size(config, "n_head")?;
    if hidden % heads != 0 {
        let supported = format!("a divisor of \"n_embd\", {hidden},");
        return Err(settings::unsupported(config, "n_head", heads, &supported));
    }
    let prefix = if tensors.contains("transformer.wte.weight") { "transformer." } else { "" };
    Ok(Box::new(Gpt2 {
        prefix,
        vocab: settings::size(config, "vocab_size")?,
        hidden,
        inner: settings::size_or(config, "n_inner", 4 * hidden)?,
        layers: settings::layers(config, "n_layer")?,
        heads: Heads { heads, kv_heads: heads, head_dim: hidden / heads }.checked(config, "n_embd")?,
        context: settings::size_or(config, "n_positions", 1024)?,
        epsilon: settings::epsilon(config, "layer_norm_epsilon", 1e-5)?,
        act: settings::activation(config, "activation_function", "gelu_new")?,
        scaled: config.bool_or("scale_attn_weights", true)?,
        scaled_by_layer: config.bool_or("scale_attn_by_inverse_layer_idx", false)?,
        tied: settings::tied(config, tensors, &format!("{prefix}wte.weight"), true)?,
    }))
}

impl Architecture for Gpt2 {
    fn context(&self) -> usize {
        self.context
    }

    fn logits(&self, g: &mut Builder<'_>, _context: usize) -> Result<Value> {
        let wte = g.table(&format!("{}wte.weight", self.prefix), [self.vocab, self.hidden])?;
        let wpe = g.table(&format!("{}wpe.weight", self.prefix), [self.context, self.hidden])?;
        let (token, position) = (g.embed(wte)?, g.embed_positions(wpe)?);
        let mut x = g.add(token, position)?;
        for layer in 0..self.layers {
            x = self.block(g, layer, x)?;
        }
        let x = g.output_rows(x)?;
        let x = layer_norm(g, &format!("{}ln_f", self.prefix), x, self.epsilon)?;
        if self.tied { g.linear(x, wte, None) } else { head(g, "lm_head", x, self.vocab) }
    }
}

impl Gpt2 {
    fn block(&self, g: &mut Builder<'_>, layer: usize, x: Value) -> Result<Value> {
        let name = |part: &str| format!("{}h.{layer}.{part}", self.prefix);
        let h = layer_norm(g, &name("ln_1"), x, self.epsilon)?;
        let a = self.attention(g, layer, h)?;
        let x = g.add(x, a)?;
        let h = layer_norm(g, &name("ln_2"), x, self.epsilon)?;
        let f = self.mlp(g, layer, h)?;
        g.add(x, f)
    }

    fn attention(&self, g: &mut Builder<'_>, layer: usize, x: Value) -> Result<Value> {
        let name = |part: &str| format!("{}h.{layer}.attn.{part}", self.prefix);
        let Heads { heads, kv_heads, head_dim } = self.heads;
        // One tensor holds the weights of queries, keys and values, one after the other.
        let (n, all) = (self.hidden, 3 * self.hidden);
        let q = conv1d(g, &name("c_attn"), x, 0..n, all)?;
        let k = conv1d(g, &name("c_attn"), x, n..2 * n, all)?;
        let v = conv1d(g, &name("c_attn"), x, 2 * n..all, all)?;
        g.kv_write(layer, Cache { kv_heads, head_dim }, k, v)?;
        let scale = self.scale(layer);
        let a = g.attention(layer, q, attention::Heads { heads, kv_heads, head_dim, scale, window: None })?;
        conv1d(g, &name("c_proj"), a, 0..n, n)
    }

    fn mlp(&self, g: &mut Builder<'_>, layer: usize, x: Value) -> Result<Value> {
        let name = |part: &str| format!("{}h.{layer}.mlp.{part}", self.prefix);
        let h = conv1d(g, &name("c_fc"), x, 0..self.inner, self.inner)?;
        let h = g.activation(self.act, h);
        conv1d(g, &name("c_proj"), h, 0..self.hidden, self.hidden)
    }

    /// What the scores of a layer are multiplied by.
    fn scale(&self, layer: usize) -> f32 {
        let width = if self.scaled { (self.heads.head_dim as f32).sqrt() } else { 1.0 };
        let depth = if self.scaled_by_layer { (layer + 1) as f32 } else { 1.0 };
        1.0 / (width * depth)
    }
}

/// `x W + b` for the outputs `part` of a layer that has `all`, whose weight lies (inputs, outputs): the transpose of
/// what other models store.
#[track_caller]
fn conv1d(g: &mut Builder<'_>, name: &str, x: Value, part: Range<usize>, all: usize) -> Result<Value> {
    let columns = g.fact(x).shape.columns();
    let weight = g.weight_transposed(&format!("{name}.weight"), part.clone(), [all, columns])?;
    let bias = g.vector_part(&format!("{name}.bias"), part, all)?;
    g.linear(x, weight, Some(bias))
}
