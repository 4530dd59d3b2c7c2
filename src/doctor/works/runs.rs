//! Who runs the cases of `linear`.

use crate::kernels::{Policy, Rung};

/// Who runs it: a GPU or a processor, on a rung of its ladder; or a GPU with x rounded to 8 bits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Runs {
    /// A GPU.
    On(Rung),
    /// A processor.
    Processor(Rung),
    /// A GPU, with x rounded.
    Int8(Rung),
}

impl Runs {
    /// How it chooses kernels.
    pub fn policy(self, deterministic: bool) -> Policy {
        let (Self::On(rung) | Self::Processor(rung) | Self::Int8(rung)) = self;
        Policy { rung, deterministic, processor: self.processor(), int8: matches!(self, Self::Int8(_)) }
    }

    /// Its name in those of cases.
    pub fn name(self) -> String {
        match self {
            Self::On(rung) => format!("{rung:?}").to_lowercase(),
            Self::Processor(Rung::Portable) => "processor".to_owned(),
            Self::Processor(rung) => format!("processor-{rung:?}").to_lowercase(),
            Self::Int8(rung) => format!("int8-{rung:?}").to_lowercase(),
        }
    }

    /// Whether it is a processor.
    pub fn processor(self) -> bool {
        matches!(self, Self::Processor(_))
    }

    /// Whether the least device can run it.
    pub fn portable(self) -> bool {
        let (Self::On(rung) | Self::Processor(rung) | Self::Int8(rung)) = self;
        rung == Rung::Portable
    }
}
