//! How high on its ladder a kernel may climb.

use super::linear::{COOPERATIVE_SUBGROUPS, cooperative_memory};
use crate::tensor::{Caps, DType, Matrix};

/// What a kernel's variant needs of the adapter, from the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rung {
    /// WebGPU's defaults.
    Portable,
    /// Subgroup operations.
    Subgroup,
    /// Subgroups of eight lanes each, which are the vectors of a processor, and integers of 64 bits.
    Eight,
    /// Cooperative matrices too, of halves, which are added up as singles.
    Cooperative {
        /// Rows and columns of every matrix: 8 or 16.
        size: u32,
        /// Lanes of the smallest subgroup that the driver may choose.
        lanes: u32,
    },
}

impl Rung {
    /// Every rung that an adapter of `caps` can stand on, from the least.
    pub fn available(caps: &Caps) -> Vec<Self> {
        let subgroup = caps.subgroup.map(|_| Self::Subgroup);
        let eight = Self::has_eight(caps).then_some(Self::Eight);
        std::iter::once(Self::Portable).chain(subgroup).chain(eight).chain(Self::cooperative(caps)).collect()
    }

    fn has_eight(caps: &Caps) -> bool {
        caps.processor && caps.subgroup == Some((8, 8)) && caps.int64
    }

    /// The rungs of cooperative matrices that `caps` have, from the smallest matrices.
    fn cooperative(caps: &Caps) -> impl Iterator<Item = Self> {
        // Where subgroups may be still larger, the smallest workgroup might not fill one, as these matrices demand.
        let lanes = caps.subgroup.filter(|(smallest, largest)| caps.f16 && *largest <= 2 * smallest);
        lanes.into_iter().flat_map(move |(lanes, _)| {
            let has = move |size: &u32| {
                let (input, output) = (Some(DType::F16), Some(DType::F32));
                caps.matrices.contains(&Matrix { m: *size, n: *size, k: *size, input, output })
                    && cooperative_memory(*size) <= caps.max_workgroup_memory
                    && COOPERATIVE_SUBGROUPS * lanes <= caps.max_workgroup_threads
            };
            [8, 16].into_iter().filter(has).map(move |size| Self::Cooperative { size, lanes })
        })
    }

    /// The file that fills the slot `reduce`.
    pub(super) fn reduce(self) -> (&'static str, &'static str) {
        ("reduce", if self == Self::Portable { "reduce/portable" } else { "reduce/subgroup" })
    }

    /// The file that fills the slot `best`.
    pub(super) fn best(self) -> (&'static str, &'static str) {
        ("best", if self == Self::Portable { "best/portable" } else { "best/subgroup" })
    }
}

impl std::fmt::Display for Rung {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Portable => f.write_str("portable"),
            Self::Subgroup => f.write_str("subgroup"),
            Self::Eight => f.write_str("eight"),
            Self::Cooperative { size, .. } => write!(f, "cooperative {size}"),
        }
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
    /// Round what is multiplied by weights of 4 bits to 8 bits, with a scale for each 32 numbers.
    pub int8: bool,
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
        let rung = match subgroup {
            true if Rung::has_eight(caps) => Rung::Eight,
            true => Rung::Subgroup,
            false => Rung::Portable,
        };
        Self { rung, deterministic, processor: caps.processor, int8: false }
    }

    /// The same with the largest cooperative matrices that `caps` have, if any: they leave a sum's order to the driver,
    /// so nothing that is to be deterministic has them.
    #[must_use]
    pub fn with_matrices(self, caps: &Caps) -> Self {
        match Rung::cooperative(caps).last() {
            Some(rung) if !self.deterministic => Self { rung, processor: false, ..self },
            _ => self,
        }
    }
}

impl Policy {
    /// This policy, and then those that take its place where variants of it are refused: the lower rungs in turn.
    pub fn ladder(self) -> impl Iterator<Item = Self> {
        let lower = [Rung::Subgroup, Rung::Portable].into_iter().filter(move |rung| *rung < self.rung);
        std::iter::once(self.rung).chain(lower).map(move |rung| Self { rung, ..self })
    }

    /// As [`ladder`](Self::ladder), and at its end what computes every product: the kernels for processors where they
    /// are not used yet, and those that take steps of any size. None gives up determinism, or rounds more.
    pub(super) fn products(self) -> impl Iterator<Item = Self> {
        let exact = Self { int8: false, ..self };
        let other = Self { processor: !self.processor, ..exact };
        let whole = [exact, other].map(|policy| Self { deterministic: true, ..policy });
        let all = [self, exact, other].into_iter().chain(whole);
        all.flat_map(Self::ladder)
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
        assert_eq!(rung(Some((8, 8)), false), Rung::Subgroup);
        let processor = Caps { subgroup: Some((8, 8)), processor: true, int64: true, ..Caps::baseline() };
        assert_eq!(Policy::new(&processor, true).rung, Rung::Eight);
        assert_eq!(Policy::new(&Caps { int64: false, ..processor.clone() }, true).rung, Rung::Subgroup);
        assert_eq!(Rung::available(&processor), [Rung::Portable, Rung::Subgroup, Rung::Eight]);
    }

    #[test]
    fn a_self_test_tells_wide_loads_from_narrow_ones() {
        use crate::kernels::linear::{Form, Shape, launch};
        // Columns that no lanes share, so that nothing else is different.
        let (columns, rows) = (36, 8);
        let shape = Shape { tokens: 1, columns, first_row: 0, rows, all_rows: rows, w_first: 0, bias_first: 0 };
        let kind = |rung| {
            let policy = Policy { rung, deterministic: true, processor: true, int8: false };
            launch(shape, Form::PLAIN, DType::F32, policy).map(|launch| launch.variant.kind())
        };
        assert_eq!(kind(Rung::Subgroup).as_deref(), Some("matvec_rows/own/f32"));
        assert_eq!(kind(Rung::Eight).as_deref(), Some("matvec_rows/own/f32/wide"));
    }

    #[test]
    fn cooperative_matrices_are_for_gpus_that_have_them() {
        let matrix = |size| {
            let (input, output) = (Some(DType::F16), Some(DType::F32));
            Matrix { m: size, n: size, k: size, input, output }
        };
        let (f16, max_workgroup_memory) = (true, 32 << 10);
        let baseline = Caps { f16, max_workgroup_memory, subgroup: Some((32, 32)), ..Caps::baseline() };
        let rung = |caps: &Caps| Policy::new(caps, false).with_matrices(caps).rung;
        let (eight, sixteen) = (Rung::Cooperative { size: 8, lanes: 32 }, Rung::Cooperative { size: 16, lanes: 32 });
        let caps = Caps { matrices: vec![matrix(16), matrix(8)], ..baseline.clone() };
        assert_eq!(Rung::available(&caps), [Rung::Portable, Rung::Subgroup, eight, sixteen]);
        assert_eq!(rung(&caps), sixteen);
        assert_eq!(rung(&Caps { subgroup: Some((32, 64)), ..caps.clone() }), sixteen);
        assert_eq!(rung(&Caps { max_workgroup_memory: 16 << 10, ..caps.clone() }), eight);
        assert_eq!(rung(&Caps { subgroup: Some((8, 32)), ..caps.clone() }), Rung::Subgroup);
        assert_eq!(rung(&Caps { f16: false, ..caps.clone() }), Rung::Subgroup);
        // On demand alone, and never where sums must keep their order.
        assert_eq!(Policy::new(&caps, false).rung, Rung::Subgroup);
        assert_eq!(Policy::new(&caps, true).with_matrices(&caps).rung, Rung::Subgroup);
        let wide = Matrix { output: Some(DType::F16), ..matrix(16) };
        assert_eq!(rung(&Caps { matrices: vec![wide], ..baseline }), Rung::Subgroup);
    }
}
