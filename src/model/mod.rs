//! Architectures: what a checkpoint's numbers mean, written down as graphs.
//!
//! Each architecture has one file that reads from top to bottom as its paper does; begin with `llama.rs`. A file reads
//! the checkpoint's configuration and adds operations to a [`Builder`], and knows nothing of kernels chosen, buffers,
//! sessions, or how weights are stored. `README.md` beside this file is the recipe for adding one.

mod gpt2;
mod llama;
mod mistral;
mod parts;
mod qwen2;
mod qwen3;
mod rope;
mod settings;
#[cfg(test)]
mod tests;

use crate::checkpoint::Config;
use crate::graph::{Builder, Cache, Graph, Source, StepShape, Tensors, Value};
use crate::kernels::{KvFormat, PAGE_TOKENS};
use crate::tensor::DType;
use crate::{Error, Result};
use std::fmt;
use std::panic::Location;

/// Every architecture, by both names that `config.json` may give it. Adding one is adding a line.
const ARCHITECTURES: &[Entry] = &[
    Entry { class: "LlamaForCausalLM", model_type: "llama", open: llama::open },
    Entry { class: "MistralForCausalLM", model_type: "mistral", open: mistral::open },
    Entry { class: "Qwen2ForCausalLM", model_type: "qwen2", open: qwen2::open },
    Entry { class: "Qwen3ForCausalLM", model_type: "qwen3", open: qwen3::open },
    Entry { class: "GPT2LMHeadModel", model_type: "gpt2", open: gpt2::open },
];

struct Entry {
    class: &'static str,
    model_type: &'static str,
    open: fn(&Config, &dyn Tensors) -> Result<Box<dyn Architecture>>,
}

/// What an architecture's file provides: its own settings, and the computation that they describe.
trait Architecture: fmt::Debug + Send + Sync {
    /// Positions that the model was made for.
    fn context(&self) -> usize;

    /// From the step's token ids to logits, (outputs, vocab), for positions below `context`.
    fn logits(&self, g: &mut Builder<'_>, context: usize) -> Result<Value>;
}

/// What the host reads after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outputs {
    /// The logits, `F32` (outputs, vocab).
    Logits,
    /// The largest logit's token, then the number of logits that are not finite, for each output: `U32` (2 · outputs).
    Argmax,
    /// As `Argmax`, but the token is drawn by chance, as the step's [`Draws`](crate::graph::StepInput::Draws) say.
    Sample,
}

/// A model: its configuration understood and checked, and the graphs that follow from it.
///
/// ```
/// use quernel::checkpoint::Checkpoint;
/// use quernel::graph::StepShape;
/// use quernel::model::{Model, Outputs};
/// let checkpoint = Checkpoint::open("assets/golden/llama")?;
/// let model = Model::open(&checkpoint.config()?, &checkpoint)?;
/// assert_eq!((model.name(), model.vocab()), ("LlamaForCausalLM", 421));
/// let step = StepShape { tokens: 5, outputs: 1, sequences: 1, table_pitch: 2 };
/// let graph = model.graph(step, 64, Outputs::Logits, &checkpoint, None)?;
/// assert_eq!(graph.caches.len(), model.layers());
/// # Ok::<(), quernel::Error>(())
/// ```
#[derive(Debug)]
pub struct Model {
    name: &'static str,
    architecture: Box<dyn Architecture>,
    vocab: usize,
    caches: Vec<Cache>,
    parameters: u64,
}

impl Model {
    /// Understands `config`, and checks that `tensors` has all that it needs, in the right shapes.
    ///
    /// # Errors
    /// [`Error::UnknownArchitecture`]; [`Error::BadFile`] where a setting is missing, malformed or not supported, by
    /// its key; [`Error::BadTensor`] where a tensor is missing or has another shape than the
    /// configuration says.
    pub fn open(config: &Config, tensors: &dyn Tensors) -> Result<Self> {
        let entry = find(config)?;
        if let Some(quantization) = config.object("quantization_config")? {
            let method = quantization.str_or("quant_method", "an unnamed method")?;
            return Err(
                config.bad("quantization_config", &format!("names {method}; only unquantized checkpoints are read"))
            );
        }
        let architecture = (entry.open)(config, tensors)?;
        let mut model = Self { name: entry.class, architecture, vocab: 0, caches: Vec::new(), parameters: 0 };
        // The smallest graph asks for every tensor, so that whatever is amiss is found before anything is uploaded.
        let smallest = StepShape { tokens: 1, outputs: 1, sequences: 1, table_pitch: 1 };
        let mut g = Builder::new(smallest, tensors, None);
        let logits = model.architecture.logits(&mut g, 1)?;
        model.vocab = g.fact(logits).shape.columns();
        let graph = g.finish(vec![logits]);
        let stored = graph.weights.iter().filter(|weight| matches!(weight.source, Source::Tensor { .. }));
        model.parameters = stored.map(|weight| weight.fact.shape.elements() as u64).sum();
        model.caches = graph.caches;
        Ok(model)
    }

    /// The graph of a step of shape `step` over a cache of `context` positions.
    ///
    /// Matrices keep the storage they have in `tensors`, or take `width` where it is given.
    ///
    /// # Errors
    /// [`Error::Option`] where `context` is not one to [`context`](Self::context); as [`open`](Self::open) where
    /// `tensors` are not those that the model was opened with.
    #[track_caller]
    pub fn graph(
        &self,
        step: StepShape,
        context: usize,
        outputs: Outputs,
        tensors: &dyn Tensors,
        width: Option<DType>,
    ) -> Result<Graph> {
        if !(1..=self.context()).contains(&context) {
            let reason = format!("{context} tokens; the model was made for 1 to {}", self.context());
            return Err(Error::option("context", reason));
        }
        if step.tokens == 0 || step.outputs == 0 {
            let reason = format!("a step of {} tokens and {} outputs; both are 1 or more", step.tokens, step.outputs);
            return Err(Error::Shape { op: "model", reason, at: Location::caller() });
        }
        let mut g = Builder::new(step, tensors, width);
        let logits = self.architecture.logits(&mut g, context)?;
        let output = match outputs {
            Outputs::Logits => logits,
            Outputs::Argmax => g.argmax(logits)?,
            Outputs::Sample => g.sample(logits)?,
        };
        Ok(g.finish(vec![output]))
    }

    /// The architecture's name: the class in transformers.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The most positions that a sequence may have.
    pub fn context(&self) -> usize {
        self.architecture.context()
    }

    /// Tokens of the vocabulary: columns of the logits.
    pub fn vocab(&self) -> usize {
        self.vocab
    }

    /// Layers that keep keys and values.
    pub fn layers(&self) -> usize {
        self.caches.len()
    }

    /// What each layer keeps of a token.
    pub fn caches(&self) -> &[Cache] {
        &self.caches
    }

    /// Bytes that all layers' caches of `format` keep of one token.
    pub fn cache_bytes_per_token(&self, format: KvFormat) -> u64 {
        self.caches.iter().map(|cache| 2 * cache.bytes(1, format) / PAGE_TOKENS as u64).sum()
    }

    /// Numbers in the weights; those that two layers share count once.
    pub fn parameters(&self) -> u64 {
        self.parameters
    }

    /// The names of all architectures that are known.
    pub fn known() -> Vec<&'static str> {
        ARCHITECTURES.iter().map(|entry| entry.class).collect()
    }
}

fn find(config: &Config) -> Result<&'static Entry> {
    let classes = if config.contains("architectures") { config.strings("architectures")? } else { Vec::new() };
    let (found, entry) = match classes.into_iter().next() {
        Some(class) => {
            let entry = ARCHITECTURES.iter().find(|entry| entry.class == class);
            (class, entry)
        }
        None => {
            let model_type = config.str("model_type")?.to_owned();
            let entry = ARCHITECTURES.iter().find(|entry| entry.model_type == model_type);
            (model_type, entry)
        }
    };
    entry.ok_or_else(|| Error::UnknownArchitecture { path: config.path().to_owned(), found, known: Model::known() })
}
