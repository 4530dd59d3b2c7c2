//! How high on its ladder a kernel may climb.

use crate::tensor::{Caps, DType};

/// What a kernel's variant needs of the adapter, from the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rung {
    /// WebGPU's defaults.
    Portable,
    /// Subgroup operations.
    Subgroup,
}

impl Rung {
    /// Every rung that an adapter of `caps` can stand on, from the least.
    pub fn available(caps: &Caps) -> &'static [Self] {
        if caps.subgroup.is_some() { &[Self::Portable, Self::Subgroup] } else { &[Self::Portable] }
    }

    /// The file that fills the slot `reduce`.
    pub(super) fn reduce(self) -> (&'static str, &'static str) {
        ("reduce", if self == Self::Subgroup { "reduce/subgroup" } else { "reduce/portable" })
    }

    /// The file that fills the slot `best`.
    pub(super) fn best(self) -> (&'static str, &'static str) {
        ("best", if self == Self::Subgroup { "best/subgroup" } else { "best/portable" })
    }
}

/// How kernels are to be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Policy {
    /// The highest rung to use.
    pub rung: Rung,
    /// Use only variants that give a token the same numbers, bit for bit, whatever else is in the step.
    pub deterministic: bool,
    /// A processor runs the shaders: a thread is dear, and a barrier dearer still.
    pub processor: bool,
}

impl Policy {
    /// The highest rung that `caps` allow.
    ///
    /// Where subgroups come in several sizes, a driver chooses one for each pipeline, and a sum's order with it: there
    /// only the portable rung is deterministic.
    pub fn new(caps: &Caps, deterministic: bool) -> Self {
        let subgroup = match caps.subgroup {
            Some((smallest, largest)) => smallest == largest || !deterministic,
            None => false,
        };
        let rung = if subgroup { Rung::Subgroup } else { Rung::Portable };
        Self { rung, deterministic, processor: caps.processor }
    }
}

/// The file that fills the slot `quant` for weights stored as `dtype`; `None` where there is no codec.
pub(super) fn quant(dtype: DType) -> Option<(&'static str, &'static str)> {
    match dtype {
        DType::F32 => Some(("quant", "quant/f32")),
        DType::F16 => Some(("quant", "quant/f16")),
        DType::BF16 => Some(("quant", "quant/bf16")),
        DType::Q8 => Some(("quant", "quant/q8")),
        DType::Q4 => Some(("quant", "quant/q4")),
        DType::Q4A => Some(("quant", "quant/q4a")),
        DType::U32 => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn determinism_needs_subgroups_of_one_size() {
        let rung = |subgroup, deterministic| Policy::new(&Caps { subgroup, ..Caps::baseline() }, deterministic).rung;
        assert_eq!(rung(Some((32, 32)), true), Rung::Subgroup);
        assert_eq!(rung(Some((8, 32)), false), Rung::Subgroup);
        assert_eq!(rung(Some((8, 32)), true), Rung::Portable);
        assert_eq!(rung(None, false), Rung::Portable);
    }
}
