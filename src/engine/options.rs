//! What an engine is to be like.

use crate::gpu::AdapterInfo;
use crate::kernels::KvFormat;
use crate::tensor::DType;
use crate::tune::{Device, Tuning};
use crate::{Error, Result};

/// How an [`Engine`](super::Engine) is set up.
///
/// ```
/// use quernel::engine::EngineOptions;
/// let options = EngineOptions { context: Some(2048), sessions: 4, ..EngineOptions::default() };
/// assert!(options.validate().is_ok());
/// assert!(EngineOptions { batch: 0, ..options }.validate().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineOptions {
    /// Tokens that a session can hold; by default what the model was trained for, and
    /// [`DEFAULT_CONTEXT`](Self::DEFAULT_CONTEXT) at most, since the cache of a long context is large.
    pub context: Option<usize>,
    /// Most tokens of prompts that are taken up together.
    pub batch: usize,
    /// Most tokens of a step, where it is to be fewer than `batch`. Below both, the time that steps take decides: see
    /// [`Pace`](super::Pace).
    pub ubatch: Option<usize>,
    /// Sessions that a step can hold, each of the whole context.
    pub sessions: usize,
    /// Give a token the same numbers, bit for bit, alone, in a batch, and however its prompt is cut up.
    pub deterministic: bool,
    /// How matrices are stored on the GPU; by default as in the checkpoint.
    pub dtype: Option<DType>,
    /// Bytes of the device's memory that may be in use; by default all that it has, where the backend tells. A model
    /// that needs more is refused before anything of it is made.
    pub memory: Option<u64>,
    /// How the cache stores keys and values. Halves are the default, on any adapter: they need no feature.
    pub kv: KvFormat,
    /// Multiply prompts by the adapter's cooperative matrices, where it has them: they round activations to halves.
    pub matrices: bool,
    /// Round what is multiplied by `q4` and `q4a` weights to 8 bits, with a scale for each 32 numbers: for GPUs that
    /// multiply four bytes at a time. It loses little beside what such weights have lost.
    pub int8: bool,
    /// The fastest ways of products, as [`Engine::tuning`](super::Engine::tuning) gave them; ignored where it belongs to
    /// another device or version, and where numbers are to be deterministic.
    pub tuning: Option<Tuning>,
    /// Compute every step by definition as well, node by node, and stop where the GPU differs. Slow.
    pub check: bool,
}

impl EngineOptions {
    /// The longest context that is chosen by itself.
    pub const DEFAULT_CONTEXT: usize = 4096;

    /// Most tokens that a step may have.
    pub const MAX_BATCH: usize = 4096;

    /// Most sessions that a step may have.
    pub const MAX_SESSIONS: usize = 256;

    /// Checks every value against its range.
    ///
    /// # Errors
    /// [`Error::Option`] names the first that is outside.
    pub fn validate(&self) -> Result<()> {
        let within = |option, value: usize, most: usize| match value {
            1.. if value <= most => Ok(()),
            _ => Err(Error::option(option, format!("{value} is not between 1 and {most}"))),
        };
        within("--batch-size", self.batch, Self::MAX_BATCH)?;
        within("--ubatch-size", self.step_tokens(), Self::MAX_BATCH)?;
        within("--sessions", self.sessions, Self::MAX_SESSIONS)?;
        match self.dtype {
            Some(DType::U32) => Err(Error::option("--dtype", "u32 is no format for weights; use f32, f16 or bf16")),
            _ => Ok(()),
        }
    }

    /// Most tokens that a step has.
    pub fn step_tokens(&self) -> usize {
        self.ubatch.map_or(self.batch, |ubatch| ubatch.min(self.batch))
    }

    /// The tuning for an adapter: what was given, if it belongs to it.
    pub(super) fn tuning_of(&self, info: &AdapterInfo) -> Tuning {
        let device = Device::new(info);
        match &self.tuning {
            Some(tuning) if tuning.device == device => tuning.clone(),
            None => Tuning::new(device),
            Some(tuning) => {
                tracing::warn!(of = ?tuning.device, "ignored a tuning that belongs to another device or version");
                Tuning::new(device)
            }
        }
    }

    /// The context for a model that was trained for `trained` tokens.
    ///
    /// # Errors
    /// [`Error::Option`] where it is 0, or more than the model was trained for.
    pub fn context(&self, trained: usize) -> Result<usize> {
        match self.context {
            None => Ok(trained.min(Self::DEFAULT_CONTEXT)),
            Some(context) if (1..=trained).contains(&context) => Ok(context),
            Some(context) => {
                let reason =
                    format!("{context} is not between 1 and the {trained} tokens that the model was trained for");
                Err(Error::option("--ctx-size", reason))
            }
        }
    }
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            context: None,
            batch: 512,
            ubatch: None,
            sessions: 1,
            deterministic: false,
            dtype: None,
            memory: None,
            kv: KvFormat::F16,
            matrices: false,
            int8: false,
            tuning: None,
            check: false,
        }
    }
}
