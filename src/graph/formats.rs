//! Which matrices are stored how, and why: what a user is told of the choice.

use super::{Graph, Source};
use crate::tensor::{DType, GROUP};
use std::collections::BTreeMap;
use std::fmt;

/// Why a matrix is stored as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// As was asked for.
    Asked,
    /// As the checkpoint has it: nothing else was asked for.
    Stored,
    /// It is an embedding or an output head, which every token passes.
    Table,
    /// Its rows are no whole numbers of groups.
    NoGroups,
}

impl Why {
    /// As it is told beside a format; nothing where it is what is to be expected.
    fn told(self) -> Option<String> {
        Some(match self {
            Self::Asked | Self::Stored => return None,
            Self::Table => "embeddings and head".to_owned(),
            Self::NoGroups => format!("rows that are no whole groups of {GROUP}"),
        })
    }
}

/// How many of a graph's matrices are stored how.
///
/// ```
/// use quernel::checkpoint::Checkpoint;
/// use quernel::graph::StepShape;
/// use quernel::model::{Model, Outputs};
/// use quernel::tensor::DType;
/// let checkpoint = Checkpoint::open("assets/golden/qwen3")?;
/// let model = Model::open(&checkpoint.config()?, &checkpoint)?;
/// let step = StepShape { tokens: 1, outputs: 1, sequences: 1, table_pitch: 1 };
/// let graph = model.graph(step, 32, Outputs::Argmax, &checkpoint, Some(DType::F16))?;
/// assert!(graph.formats().to_string().starts_with("f16 "));
/// # Ok::<(), quernel::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Formats {
    counts: BTreeMap<(Why, DType), usize>,
}

impl Formats {
    /// Each format with the reason for it, and how many matrices have it; what was asked for comes first.
    pub fn iter(&self) -> impl Iterator<Item = (DType, Why, usize)> + '_ {
        self.counts.iter().map(|(&(why, dtype), &count)| (dtype, why, count))
    }
}

impl Graph {
    /// How the matrices that come from tensors are stored. Rows of one tensor that are weights by themselves count each.
    pub fn formats(&self) -> Formats {
        let mut counts = BTreeMap::new();
        for weight in &self.weights {
            if let (Source::Tensor { .. }, [_, _]) = (&weight.source, weight.fact.shape.axes()) {
                *counts.entry((weight.why, weight.fact.dtype)).or_default() += 1;
            }
        }
        Formats { counts }
    }
}

impl fmt::Display for Formats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (dtype, why, count)) in self.iter().enumerate() {
            let (comma, noun) = match (place, count) {
                (0, 1) => ("", " matrix"),
                (0, _) => ("", " matrices"),
                _ => (", ", ""),
            };
            write!(f, "{comma}{dtype} {count}{noun}")?;
            if let Some(reason) = why.told() {
                write!(f, " ({reason})")?;
            }
        }
        if self.counts.keys().any(|(why, _)| *why == Why::Stored) {
            f.write_str(", as stored")?;
        }
        Ok(())
    }
}
