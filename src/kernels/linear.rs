//! `linear`: y = W x for each token, W stored row by row in any of the weight formats, with what surrounds the product:
//! a norm before it; a bias, a residual, a gate, or rotation and the cache after it.
//!
//! Several shaders. `matvec` reads every weight once for up to four tokens and splits the columns among a workgroup's
//! threads; `matmul` tiles rows and tokens for a prompt, and `matmul_coop` does so by cooperative matrices. Where a
//! processor runs the shaders ([`Policy::processor`]), `matvec_rows` and `matmul_rows` take their places: there a thread
//! has rows of its own. They add in different orders, so that where a token's numbers must not depend on the step's size
//! ([`Policy::deterministic`]), the first of each pair serves every size.
//!
//! `matvec_int8` and `matmul_int8` take the places of `matvec` and `matmul` where tokens are rounded to 8 bits
//! ([`Policy::int8`]), each 32 columns with a scale of their own, and multiply four bytes at a time.
//!
//! `matmul_coop` rounds both operands to halves, and adds products up as singles. Halves reach 65,504: finite numbers
//! beyond are taken for that, so a single outlier costs accuracy and never makes an infinity. Residual streams, where such
//! outliers live, are normalised before they are multiplied. Weights stored as `f32` were asked for by someone who wants
//! more than halves have: `matmul` takes them.

use super::activation::Act;
use super::policy::quant;
use super::ways::{LANES, Product, Way, rounds_with, ways};
use super::{KvFormat, Launch, PAGE_TOKENS, Policy, Rung, fold, launch as make, params, quads};
use crate::tensor::{DType, GROUP, pitch};
use std::collections::BTreeSet;

params! {
    /// The `Params` of all the shaders.
    pub struct Params {
        /// How many tokens.
        tokens: u32,
        /// Units of eight rows.
        units: u32,
        /// Rows of this shard of W; of the gate alone where there is one.
        rows: u32,
        /// Columns of W.
        columns: u32,
        /// Packs of a row of W, padding included.
        packs: u32,
        /// 16 bytes from one row of W to the next.
        row_words: u32,
        /// Quads of a row of x.
        x_quads: u32,
        /// Quads of a row of y.
        y_quads: u32,
        /// The shard's first quad in a row of y.
        y_first: u32,
        /// W's first row in its buffer.
        w_first: u32,
        /// The first quad of W's bias in its buffer.
        bias_first: u32,
        /// ε of the norm.
        epsilon: f32,
        /// Query heads.
        heads: u32,
        /// Key heads, and value heads.
        kv_heads: u32,
    }
}

/// Shards of a weight begin at multiples of this many rows: a whole padded row of the output.
pub const SHARD_ROWS: usize = crate::tensor::PITCH;

/// Rows and tokens of a tile of `matmul`.
const TILE: usize = 32;

/// Subgroups of the largest workgroup of `matmul_coop`.
pub(super) const COOPERATIVE_SUBGROUPS: u32 = 8;

/// Bytes of workgroup memory that `matmul_coop` uses at most, with matrices of `size`: as many rows as tokens, each of
/// 40 halves, and a matrix of sums for each subgroup.
pub(super) const fn cooperative_memory(size: u32) -> u32 {
    2 * (8 * size) * 40 * 2 + COOPERATIVE_SUBGROUPS * size * size * 4
}

/// Most tokens of a step that `matvec` takes.
pub const MATVEC_TOKENS: usize = 8;

/// Bytes of the rows of a workgroup of `matvec_rows` that a processor's cache holds while they are multiplied.
const STREAMED: usize = 512 << 10;

/// What surrounds a product.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Form {
    /// The ε of a root mean square norm of x before it.
    pub norm: Option<f32>,
    /// Whether biases are added.
    pub bias: bool,
    /// What becomes of the products.
    pub output: Output,
}

/// What becomes of the products W x.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Output {
    /// They are the result.
    Plain,
    /// They are added to a residual.
    Residual,
    /// W is a gate and as many rows more: act(gate) · up.
    Gated(Act),
    /// W is the rows of queries, of keys and of values: queries are the result, keys and values go into the cache.
    Qkv(Qkv),
}

/// Heads that a product is divided into; queries and keys are turned by their positions, halves of a head in pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Qkv {
    /// Query heads.
    pub heads: usize,
    /// Key heads, and value heads.
    pub kv_heads: usize,
    /// Elements of a head, a multiple of 8.
    pub head_dim: usize,
    /// How the cache stores keys and values: each element by itself.
    pub kv: KvFormat,
}

impl Qkv {
    /// Storage buffers that a kernel with this output binds, more than WebGPU guarantees.
    pub const fn buffers(bias: bool) -> u32 {
        if bias { 10 } else { 9 }
    }
}

impl Form {
    /// The product alone.
    pub const PLAIN: Self = Self { norm: None, bias: false, output: Output::Plain };

    /// Weights that make up W, one after the other.
    pub const fn weights(&self) -> usize {
        match self.output {
            Output::Plain | Output::Residual => 1,
            Output::Gated(_) => 2,
            Output::Qkv(_) => 3,
        }
    }
}

/// The shapes of one dispatch, and where it finds its operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// How many tokens.
    pub tokens: usize,
    /// Columns of W: elements of a token.
    pub columns: usize,
    /// The shard's first row of W; a multiple of [`SHARD_ROWS`].
    pub first_row: usize,
    /// The shard's rows; of the gate or the queries alone where there are such.
    pub rows: usize,
    /// Rows of all shards: elements of an output row.
    pub all_rows: usize,
    /// W's first row in the buffer that is bound.
    pub w_first: usize,
    /// The bias's first element in the buffer that is bound; a multiple of 4.
    pub bias_first: usize,
}

/// One shard's product as it is asked for: [`launch`](Self::launch) makes it a dispatch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Call {
    /// Its shapes.
    pub shape: Shape,
    /// What surrounds it.
    pub form: Form,
    /// How W is stored.
    pub weight: DType,
    /// How its kernel is to be chosen.
    pub policy: Policy,
}

/// [`Call::launch`] in the way that is the default.
pub fn launch(shape: Shape, form: Form, weight: DType, policy: Policy) -> Option<Launch> {
    let call = Call { shape, form, weight, policy };
    call.launch(*call.ways().first()?)
}

impl Call {
    /// Multiplies tokens by one shard of W in one of its [`ways`](Self::ways). Binds `x`, `weight`, `y`; `norm`, `bias` (of
    /// all rows) and `residual`, or `angles`, `positions`, `kv_rows`, `k_cache` and `v_cache`, where the form has them.
    /// `None` where the weight's storage has no codec, or the way is none of this product's.
    pub fn launch(self, way: Way) -> Option<Launch> {
        let Self { shape, form, weight, policy } = self;
        let quant = quant(weight).filter(|_| !weight.is_grouped() || shape.columns.is_multiple_of(GROUP))?;
        if !self.ways().contains(&way) {
            return None;
        }
        let units = self.units();
        let (params, mut constants) = (self.params(units), self.constants());
        let mut slots = vec![quant, bias_slot(form.bias)];
        if let Way::Matmul | Way::MatmulCoop | Way::MatmulInt8 = way {
            return Some(tiled(shape, way, policy.rung, slots, constants, params));
        }
        slots.extend([("input", if form.norm.is_some() { "input/rms_norm" } else { "input/plain" })]);
        slots.extend(form.output.slots());
        let grid = |workgroups: usize, together: u32| {
            let [x, y, _] = fold(workgroups);
            [x, y, (shape.tokens as u32).div_ceil(together)]
        };
        let rows = |threads: u32| units.div_ceil(threads as usize);
        let (shader, grid) = match way {
            Way::Matvec { threads, tokens, subgroups } => {
                slots.push(if subgroups { Rung::Subgroup.reduce() } else { Rung::Portable.reduce() });
                constants.splice(0..0, [("WORKGROUP", threads), ("TOKENS", tokens)]);
                ("matvec", grid(units, tokens))
            }
            Way::MatvecInt8 { threads, tokens, subgroups } => {
                slots.push(if subgroups { Rung::Subgroup.reduce() } else { Rung::Portable.reduce() });
                constants.splice(0..0, [("WORKGROUP", threads), ("TOKENS", tokens)]);
                ("matvec_int8", grid(units, tokens))
            }
            Way::MatmulRows { threads, tokens } => {
                slots.extend([self.words_slot(), self.columns_slot(threads)]);
                constants.splice(0..0, [("WORKGROUP", threads), ("TOKENS", tokens)]);
                ("matmul_rows", grid(rows(threads), tokens))
            }
            Way::MatvecRows { threads } => {
                slots.extend([self.words_slot(), self.columns_slot(threads)]);
                let bytes = 8 * threads as usize * weight.row_bytes(pitch(shape.columns));
                // More threads than lanes would each read all of it.
                let stream = policy.processor && threads == LANES && bytes <= STREAMED;
                constants.splice(0..0, [("WORKGROUP", threads), ("STREAM", u32::from(stream))]);
                ("matvec_rows", grid(rows(threads), 1))
            }
            Way::Matmul | Way::MatmulCoop | Way::MatmulInt8 => return None,
        };
        Some(make("linear", shader, slots, constants, params, grid))
    }

    /// A launch of a kind that is not `refused`: in the `tuned` way where there is one, else in the first of its ways,
    /// and then in those of the policies that take this one's place. `None` where no kernel is left, or none is there.
    pub fn choose(self, tuned: Option<Way>, refused: &BTreeSet<String>) -> Option<Launch> {
        let calls = self.policy.products().map(|policy| Self { policy, ..self });
        let launches = calls.flat_map(|call| call.ways().into_iter().filter_map(move |way| call.launch(way)));
        // One that was tuned for another policy may not be among the ways of this one.
        let tuned = tuned.and_then(|way| self.launch(way));
        tuned.into_iter().chain(launches).find(|launch| !refused.contains(&launch.variant.kind()))
    }

    /// The file that fills the slot `words`.
    fn words_slot(self) -> (&'static str, &'static str) {
        ("words", if self.policy.rung == Rung::Eight { "words/wide" } else { "words/narrow" })
    }

    /// The file that fills the slot `columns` for so many threads.
    fn columns_slot(self, threads: u32) -> (&'static str, &'static str) {
        let lanes = 8;
        let whole = self.shape.columns.is_multiple_of(4 * lanes) && threads as usize == lanes;
        let shared = self.policy.rung == Rung::Eight && whole;
        ("columns", if shared { "columns/subgroup" } else { "columns/own" })
    }

    /// The ways to compute it: the default first, then those that may be faster, as far as numbers must not be the same
    /// whatever the step. Each stays within WebGPU's default limits, or those of the policy's rung.
    pub fn ways(self) -> Vec<Way> {
        let (form, tokens) = (self.form, self.shape.tokens);
        let plain = form == Form { bias: form.bias, ..Form::PLAIN };
        ways(tokens, plain, self.weight, self.policy)
    }

    /// What it is to a tuning.
    pub fn product(self) -> Product {
        let Shape { columns, tokens, .. } = self.shape;
        let rows = match self.form.output {
            Output::Plain | Output::Residual => self.shape.rows,
            Output::Gated(_) => 2 * self.shape.rows,
            Output::Qkv(_) => 8 * self.units(),
        };
        let weights = self.weight.name().to_owned();
        let int8 = self.policy.int8 && rounds_with(self.weight);
        let (form, rung) = (self.form.to_string(), format!("{}{}", self.policy.rung, if int8 { "+int8" } else { "" }));
        Product { form, weights, rows, columns, tokens: Product::bucket(tokens), rung }
    }

    fn units(self) -> usize {
        match self.form.output {
            Output::Plain | Output::Residual => self.shape.rows.div_ceil(8),
            Output::Gated(_) => self.shape.rows.div_ceil(4),
            Output::Qkv(qkv) => (qkv.heads + 2 * qkv.kv_heads) * qkv.head_dim / 8,
        }
    }

    fn params(self, units: usize) -> Params {
        let Self { shape, form, weight, .. } = self;
        let (heads, kv_heads) = match form.output {
            Output::Qkv(qkv) => (qkv.heads as u32, qkv.kv_heads as u32),
            _ => (0, 0),
        };
        Params {
            tokens: shape.tokens as u32,
            units: units as u32,
            rows: shape.rows as u32,
            columns: shape.columns as u32,
            packs: (pitch(shape.columns) / pack(weight)) as u32,
            row_words: (weight.row_bytes(pitch(shape.columns)) / 16) as u32,
            x_quads: quads(shape.columns),
            y_quads: quads(shape.all_rows),
            y_first: (shape.first_row / 4) as u32,
            w_first: shape.w_first as u32,
            bias_first: (shape.bias_first / 4) as u32,
            epsilon: form.norm.unwrap_or(0.0),
            heads,
            kv_heads,
        }
    }

    fn constants(self) -> Vec<(&'static str, u32)> {
        let mut constants = vec![("TAIL", u32::from(!self.shape.columns.is_multiple_of(crate::tensor::PITCH)))];
        if let Output::Qkv(qkv) = self.form.output {
            constants.extend([("HEAD_QUADS", (qkv.head_dim / 4) as u32), ("PAGE_TOKENS", PAGE_TOKENS as u32)]);
        }
        constants
    }
}

/// A launch that tiles rows and tokens.
fn tiled(
    shape: Shape,
    way: Way,
    rung: Rung,
    mut slots: Vec<(&'static str, &'static str)>,
    mut constants: Vec<(&'static str, u32)>,
    params: Params,
) -> Launch {
    let grid = |rows: usize, tokens: usize| {
        let [x, y, _] = fold(shape.rows.div_ceil(rows));
        [x, y, shape.tokens.div_ceil(tokens) as u32]
    };
    let (Rung::Cooperative { size, lanes }, Way::MatmulCoop) = (rung, way) else {
        let shader = if way == Way::MatmulInt8 { "matmul_int8" } else { "matmul" };
        return make("linear", shader, slots, constants, params, grid(TILE, TILE));
    };
    let patch = 2 * size as usize;
    let across = shape.tokens.div_ceil(patch).next_power_of_two().min(COOPERATIVE_SUBGROUPS as usize / 2);
    slots.push(("matrix", if size == 16 { "matrix/16" } else { "matrix/8" }));
    constants.extend([("ACROSS", across as u32), ("LANES", lanes)]);
    make("linear", "matmul_coop", slots, constants, params, grid(8 * size as usize, patch * across))
}

impl std::fmt::Display for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let output = match self.output {
            Output::Plain => "plain",
            Output::Residual => "residual",
            Output::Gated(_) => "gated",
            Output::Qkv(_) => "qkv",
        };
        let (norm, bias) = (if self.norm.is_some() { "norm+" } else { "" }, if self.bias { "bias+" } else { "" });
        write!(f, "{norm}{bias}{output}")
    }
}

impl Output {
    /// The files that fill the slots of the output.
    fn slots(self) -> Vec<(&'static str, &'static str)> {
        match self {
            Self::Plain => vec![("output", "output/plain")],
            Self::Residual => vec![("output", "output/residual")],
            Self::Gated(act) => vec![("output", "output/gated"), act.slot()],
            Self::Qkv(qkv) => vec![("output", "output/qkv"), qkv.kv.slot()],
        }
    }
}

/// Columns that the shaders read of a row at a time.
pub(super) const fn pack(weight: DType) -> usize {
    match weight {
        DType::F32 | DType::U32 => 4,
        DType::F16 | DType::BF16 => 8,
        DType::Q8 | DType::Q4 | DType::Q4A => GROUP,
    }
}

/// The file that fills the slot `bias`.
pub(super) fn bias_slot(bias: bool) -> (&'static str, &'static str) {
    ("bias", if bias { "bias/row" } else { "bias/none" })
}

/// The definition of the product with its bias; what surrounds it is defined by the kernels that it stands for.
pub fn reference(x: &[f64], weight: &[f64], bias: Option<&[f64]>, columns: usize) -> Vec<f64> {
    let rows = weight.chunks(columns.max(1));
    x.chunks(columns.max(1))
        .flat_map(|token| {
            rows.clone().enumerate().map(move |(row, weights)| {
                let sum: f64 = weights.iter().zip(token).map(|(w, x)| w * x).sum();
                sum + bias.map_or(0.0, |bias| bias[row])
            })
        })
        .collect()
}
