//! The plans of steps that an engine has ready: those that were used last, as many as their memory holds. Others are made
//! anew when a step wants them, which takes as long as some dispatches.

use crate::graph::{Costs, StepShape};
use crate::model::Outputs;
use crate::runtime::{PlanId, StepInputs};
use std::collections::HashMap;

/// A plan that is resident, and the step's numbers in its layout.
pub(super) struct Ready {
    pub(super) plan: PlanId,
    pub(super) inputs: StepInputs,
    pub(super) costs: Costs,
    /// What the plan has for itself.
    pub(super) bytes: u64,
}

/// Resident plans, by the steps that they are for.
pub(super) struct Plans {
    ready: HashMap<(StepShape, Outputs), (u64, Ready)>,
    /// Uses so far: with each plan stands the number of its last.
    uses: u64,
    /// Bytes that the plans may have for themselves.
    budget: u64,
}

impl Plans {
    /// So many of the largest plans there is to be memory for.
    pub(super) const LEAST: usize = 2;

    /// Bytes that plans may have where that is more: little to any device, and enough for all the sizes that a conversation
    /// alternates between.
    pub(super) const BUDGET: u64 = 8 << 20;

    pub(super) fn new(budget: u64) -> Self {
        Self { ready: HashMap::new(), uses: 0, budget }
    }

    /// The plan for such steps, which is used now.
    pub(super) fn get(&mut self, shape: StepShape, outputs: Outputs) -> Option<&mut Ready> {
        let (used, ready) = self.ready.get_mut(&(shape, outputs))?;
        self.uses += 1;
        *used = self.uses;
        Some(ready)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.ready.len()
    }

    pub(super) fn insert(&mut self, shape: StepShape, outputs: Outputs, ready: Ready) {
        self.uses += 1;
        self.ready.insert((shape, outputs), (self.uses, ready));
    }

    /// Takes out those used longest ago, until there is room for a plan of so many bytes.
    pub(super) fn make_room(&mut self, bytes: u64) -> Vec<PlanId> {
        let mut taken: u64 = bytes + self.ready.values().map(|(_, ready)| ready.bytes).sum::<u64>();
        let mut oldest: Vec<_> = self.ready.iter().map(|(key, (used, ready))| (*used, *key, ready.bytes)).collect();
        oldest.sort_unstable_by_key(|(used, ..)| *used);
        let mut out = Vec::new();
        for (_, key, bytes) in oldest {
            if taken <= self.budget || self.ready.len() < Self::LEAST {
                break;
            }
            taken -= bytes;
            out.extend(self.ready.remove(&key).map(|(_, ready)| ready.plan));
        }
        out
    }

    /// Takes out all.
    pub(super) fn clear(&mut self) -> Vec<PlanId> {
        self.ready.drain().map(|(_, (_, ready))| ready.plan).collect()
    }
}
