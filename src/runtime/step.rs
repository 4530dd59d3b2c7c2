//! The numbers of one step, laid out as its buffer is.

use crate::graph::{StepInput, StepLayout, StepShape};

/// What the host fills before every step: ids, positions, and where the tokens' keys and values go.
///
/// ```
/// use quernel::graph::{StepInput, StepShape};
/// use quernel::runtime::StepInputs;
/// let shape = StepShape { tokens: 4, outputs: 1, sequences: 1, table_pitch: 2 };
/// let mut inputs = StepInputs::new(shape, 256);
/// inputs.list_mut(StepInput::Ids).copy_from_slice(&[5, 6, 7, 8]);
/// assert_eq!(inputs.list(StepInput::Ids), [5, 6, 7, 8]);
/// assert_eq!(inputs.list(StepInput::Pages), [0, 0]);
/// ```
#[derive(Debug, Clone)]
pub struct StepInputs {
    shape: StepShape,
    layout: StepLayout,
    words: Vec<u32>,
}

impl StepInputs {
    /// Lists of zeros for steps of `shape`, each at a multiple of `alignment` bytes.
    pub fn new(shape: StepShape, alignment: u32) -> Self {
        let layout = StepLayout::new(shape, u64::from(alignment));
        Self { shape, layout, words: vec![0; (layout.bytes() / 4) as usize] }
    }

    /// How large the step is.
    pub fn shape(&self) -> StepShape {
        self.shape
    }

    /// Where the lists lie.
    pub fn layout(&self) -> StepLayout {
        self.layout
    }

    /// One list.
    pub fn list(&self, input: StepInput) -> &[u32] {
        let first = (self.layout.offset(input) / 4) as usize;
        &self.words[first..first + self.shape.len(input)]
    }

    /// One list, to be filled.
    pub fn list_mut(&mut self, input: StepInput) -> &mut [u32] {
        let first = (self.layout.offset(input) / 4) as usize;
        &mut self.words[first..first + self.shape.len(input)]
    }

    /// The whole buffer's contents.
    pub fn bytes(&self) -> &[u8] {
        bytemuck::cast_slice(&self.words)
    }
}
