//! What can go wrong, sorted by who can act on it.
//!
//! Every fallible function of the library returns [`Result`]. The kinds follow the reader, not the module that failed:
//! a bad file is for whoever made the file, a shape error for whoever wrote the model, an unsupported device for
//! whoever bought it. This module knows nothing of GPUs, files or models.

use std::panic::Location;
use std::path::{Path, PathBuf};

/// The library's result type.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything the library reports. It never panics on input.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },

    /// A file was read, and its contents are not what they must be.
    #[error("{}: {reason}", path.display())]
    BadFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and where known, what would be right.
        reason: String,
    },

    /// One tensor of a checkpoint is missing or malformed.
    #[error("{}: tensor {tensor:?}: {reason}", path.display())]
    BadTensor {
        /// The file, or the checkpoint's folder when the tensor is missing.
        path: PathBuf,
        /// The tensor's name in the file.
        tensor: String,
        /// What is wrong with it.
        reason: String,
    },

    /// The checkpoint's architecture is not one that this version knows.
    #[error("{}: unknown architecture {found:?}; known ones are {}", path.display(), known.join(", "))]
    UnknownArchitecture {
        /// The `config.json` that named it.
        path: PathBuf,
        /// The name found.
        found: String,
        /// The names that would have been understood.
        known: Vec<&'static str>,
    },

    /// A graph was put together wrongly; the location is the model author's line.
    #[error("{op}: {reason} (at {at})")]
    Shape {
        /// The operation.
        op: &'static str,
        /// Which shapes met, and what was expected.
        reason: String,
        /// The line that called the graph builder.
        at: &'static Location<'static>,
    },

    /// A shader did not link or did not validate; the location is in the shader's own source file.
    #[error("shaders/{file}:{line}: {reason}")]
    Shader {
        /// The source file under `shaders/`.
        file: String,
        /// The line in that file, from 1.
        line: usize,
        /// What the linker or the validator said.
        reason: String,
    },

    /// No adapter matched what was asked for.
    #[error("no GPU adapter: {reason}")]
    NoAdapter {
        /// What was looked for and what is there.
        reason: String,
    },

    /// The adapter is there and cannot do what is needed.
    #[error("the adapter {adapter:?} cannot run this: {reason}")]
    Unsupported {
        /// The adapter's name.
        adapter: String,
        /// The limit or feature, what is needed and what is there.
        reason: String,
    },

    /// The model, its cache or its scratch memory does not fit this adapter.
    #[error("{what} does not fit: it needs {need} bytes and {limit_name} is {have} bytes{way_out}")]
    DoesNotFit {
        /// What was to be placed.
        what: String,
        /// Bytes needed.
        need: u64,
        /// Bytes there are.
        have: u64,
        /// The limit's name.
        limit_name: String,
        /// What would help; begins with its own punctuation, or is empty.
        way_out: String,
    },

    /// The driver ran out of memory.
    #[error("the GPU is out of memory while {doing}: {message}; a shorter context (-c) or a smaller model needs less")]
    OutOfMemory {
        /// What was being done.
        doing: String,
        /// The driver's words.
        message: String,
    },

    /// The device was lost: the driver reset it, or it was removed.
    #[error("the GPU device was lost: {message}; load the engine again to go on")]
    DeviceLost {
        /// The driver's words.
        message: String,
    },

    /// The GPU interface refused a command: a defect in this program, reported and not hidden.
    #[error("the GPU interface refused a command: {message}")]
    Gpu {
        /// What it said.
        message: String,
    },

    /// The prompt and what was generated have used up the context.
    #[error(
        "the context is full: {tokens} tokens do not fit in {context}; ask for a longer context (-c) or shorten the prompt"
    )]
    ContextFull {
        /// Tokens that were to be held.
        tokens: usize,
        /// Tokens that can be held.
        context: usize,
    },

    /// An option has a value outside its range.
    #[error("{option}: {reason}")]
    Option {
        /// The option's name as the user spells it.
        option: &'static str,
        /// The value found and the range allowed.
        reason: String,
    },

    /// The hub has no such model, revision or file; for whoever named it.
    #[error("the hub has no {what}: {reason}")]
    HubNotFound {
        /// Which of them, and its name.
        what: String,
        /// What the hub said, and what may be wrong with the name.
        reason: String,
    },

    /// The hub has the model and does not give it to this user; for whoever has the account.
    #[error(
        "the hub refuses {repo} ({status}): {reason}; accept the model's licence on its page, and put a token of that \
         account into HF_TOKEN"
    )]
    HubRefused {
        /// The model.
        repo: String,
        /// The status of the reply.
        status: u16,
        /// What the hub said.
        reason: String,
    },

    /// The hub could not be reached, or went on failing; the same again goes on where this ended.
    #[error("{url}: {reason}; what has arrived is kept, and the same command goes on from there")]
    Network {
        /// What was asked for, without its query.
        url: String,
        /// What happened last, and how often it was tried.
        reason: String,
    },

    /// The hub replied with something that cannot be used; for whoever runs it.
    #[error("{url}: {reason}")]
    HubReply {
        /// What was asked for, without its query.
        url: String,
        /// What is wrong with the reply.
        reason: String,
    },

    /// The network is switched off, and the cache lacks files.
    #[error(
        "{repo} is not whole in the cache {}, which lacks {}; HF_HUB_OFFLINE is set, so nothing was asked for: unset it, \
         or bring the files here",
        cache.display(),
        missing.join(", ")
    )]
    Offline {
        /// The model, with its revision.
        repo: String,
        /// The cache's folder.
        cache: PathBuf,
        /// Files that are not there.
        missing: Vec<String>,
    },

    /// Text could not be turned into tokens, or tokens into text.
    #[error("tokenizer: {0}")]
    Tokenizer(String),

    /// A conversation could not be written as a prompt: the template is none, refuses it, or asks for too much.
    #[error("{}: chat template: {reason}", path.display())]
    ChatTemplate {
        /// The template's file, or the checkpoint's folder where there is none.
        path: PathBuf,
        /// What is wrong, and where known, what would help.
        reason: String,
    },

    /// A template was still at work when its time was over. Nothing can end it but the end of the process: until then it
    /// may take more and more memory.
    #[error("{}: chat template: it takes longer than {seconds} s", path.display())]
    ChatTemplateTime {
        /// The template's file, or the checkpoint's folder where there is none.
        path: PathBuf,
        /// How long a template may take.
        seconds: u64,
    },

    /// The logits of a step hold a NaN or an infinity, so no token can be chosen.
    #[error("the model produced {count} non-finite logits; its weights or the driver are at fault (try --check)")]
    NotFinite {
        /// How many.
        count: usize,
    },

    /// A self-test found every variant of a kernel wrong on this adapter.
    #[error(
        "the adapter {adapter:?} computes {what} wrongly, as its self-test found, and nothing takes its place; another \
         driver or another adapter (--adapter) may be right: see `quernel doctor`"
    )]
    SelfTest {
        /// The adapter's name.
        adapter: String,
        /// The kernel, or the kind of its variants.
        what: String,
    },

    /// `--check` found a value where the GPU and the reference disagree.
    #[error("{0}")]
    Diverged(Box<Divergence>),
}

/// The first place where the GPU and the reference definition disagree.
#[derive(Debug, Clone)]
pub struct Divergence {
    /// The graph node, counted from 0.
    pub node: usize,
    /// The operation's name.
    pub op: String,
    /// The kernel variant that computed it.
    pub variant: String,
    /// Normalised mean squared error of the whole value.
    pub nmse: f64,
    /// The largest error allowed.
    pub allowed: f64,
    /// Index, GPU value and reference value of the first elements that differ.
    pub first: Vec<(usize, f64, f64)>,
}

impl std::fmt::Display for Divergence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "the GPU and the reference diverge at node {} ({}), variant {}: error {:.3e}, allowed {:.1e}",
            self.node, self.op, self.variant, self.nmse, self.allowed
        )?;
        for (index, gpu, reference) in &self.first {
            write!(f, "\n  [{index}] GPU {gpu:e}, reference {reference:e}")?;
        }
        Ok(())
    }
}

impl Error {
    /// An [`Error::Io`] about `path`.
    pub fn io(path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Self::Io { path: path.as_ref().to_owned(), source }
    }

    /// An [`Error::BadFile`] about `path`.
    pub fn bad_file(path: impl AsRef<Path>, reason: impl Into<String>) -> Self {
        Self::BadFile { path: path.as_ref().to_owned(), reason: reason.into() }
    }

    /// An [`Error::BadTensor`] about `tensor` in `path`.
    pub fn bad_tensor(path: impl AsRef<Path>, tensor: &str, reason: impl Into<String>) -> Self {
        Self::BadTensor { path: path.as_ref().to_owned(), tensor: tensor.to_owned(), reason: reason.into() }
    }

    /// An [`Error::Option`] about `option`.
    pub fn option(option: &'static str, reason: impl Into<String>) -> Self {
        Self::Option { option, reason: reason.into() }
    }
}
