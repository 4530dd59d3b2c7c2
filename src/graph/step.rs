//! The numbers that change from step to step, and where they lie.

use crate::kernels::sample::Draw;

/// One list of numbers that the host fills before every step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StepInput {
    /// The id of each token.
    Ids,
    /// The position of each token in its sequence.
    Positions,
    /// The sequence of each token: a row of the page tables.
    Sequences,
    /// The cache row that each token's key and value go to.
    KvRows,
    /// The page of each stretch of positions: (sequence, position / page).
    Pages,
    /// The tokens that logits are wanted for.
    OutputRows,
    /// How each output's token is drawn: [`Draw::WORDS`] words for each.
    Draws,
}

impl StepInput {
    /// Every list, in the order in which they lie in the step's buffer.
    pub const ALL: [Self; 7] =
        [Self::Ids, Self::Positions, Self::Sequences, Self::KvRows, Self::Pages, Self::OutputRows, Self::Draws];

    /// The name used in plans and as the shaders' binding.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ids => "ids",
            Self::Positions => "positions",
            Self::Sequences => "sequences",
            Self::KvRows => "kv_rows",
            Self::Pages => "pages",
            Self::OutputRows => "output_rows",
            Self::Draws => "draws",
        }
    }
}

/// How large a step is: what a plan depends on. Positions, lengths and page tables are values, never shapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StepShape {
    /// Tokens, of one or more sequences.
    pub tokens: usize,
    /// Tokens that logits are wanted for.
    pub outputs: usize,
    /// Page tables: sequences that a step can hold.
    pub sequences: usize,
    /// Pages of one table: no sequence of the step has more.
    pub table_pitch: usize,
}

impl StepShape {
    /// Numbers in a list.
    pub const fn len(&self, input: StepInput) -> usize {
        match input {
            StepInput::Pages => self.sequences * self.table_pitch,
            StepInput::OutputRows => self.outputs,
            StepInput::Draws => self.outputs * Draw::WORDS,
            _ => self.tokens,
        }
    }

    /// Whether the step has no tokens.
    pub const fn is_empty(&self) -> bool {
        self.tokens == 0
    }
}

/// Where each list lies in the step's one buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepLayout {
    shape: StepShape,
    offsets: [u64; StepInput::ALL.len()],
    bytes: u64,
}

impl StepLayout {
    /// Lists one after the other, each at a multiple of `alignment` bytes.
    pub fn new(shape: StepShape, alignment: u64) -> Self {
        let mut offsets = [0; StepInput::ALL.len()];
        let mut end = 0u64;
        for (offset, input) in offsets.iter_mut().zip(StepInput::ALL) {
            *offset = end;
            end = (end + 4 * shape.len(input).max(1) as u64).next_multiple_of(alignment.max(4));
        }
        Self { shape, offsets, bytes: end }
    }

    /// The list's first byte.
    pub fn offset(&self, input: StepInput) -> u64 {
        self.offsets[input as usize]
    }

    /// The list's bytes; at least one number's, since a binding cannot be empty.
    pub fn len(&self, input: StepInput) -> u64 {
        4 * self.shape.len(input).max(1) as u64
    }

    /// Bytes of the whole buffer.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether the buffer has no bytes; it never is.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }
}
