//! The memory that a model takes on a device, known before any of it is made.

use super::marks::Marks;
use super::resident;
use crate::gpu::Buffer;
use crate::graph::Plan;
use crate::tensor::Caps;

/// Bytes that a model takes on a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    /// Its weights.
    pub weights: u64,
    /// Its key-value cache.
    pub cache: u64,
    /// What steps write for themselves: one runs at a time.
    pub steps: u64,
    /// What each plan has for itself: the numbers that its steps take and give, and its kernels' parameters.
    pub plans: u64,
}

impl Need {
    /// What an [`Executor`](super::Executor) takes that runs `plans`, which are of one model, with caches of `pages`
    /// pages.
    ///
    /// ```
    /// use quernel::checkpoint::Checkpoint;
    /// use quernel::graph::{Plan, StepShape};
    /// use quernel::kernels::Policy;
    /// use quernel::model::{Model, Outputs};
    /// use quernel::runtime::Need;
    /// use quernel::tensor::Caps;
    /// let checkpoint = Checkpoint::open("assets/golden/llama")?;
    /// let model = Model::open(&checkpoint.config()?, &checkpoint)?;
    /// let step = StepShape { tokens: 16, outputs: 1, sequences: 1, table_pitch: 1 };
    /// let graph = model.graph(step, 32, Outputs::Argmax, &checkpoint, None)?;
    /// let caps = Caps::baseline();
    /// let plan = Plan::new(graph, &caps, Policy::new(&caps, false))?;
    /// let need = Need::new(&[&plan], 1, &caps);
    /// assert!(need.weights >= plan.weight_bytes() && need.total() > need.weights + need.cache);
    /// # Ok::<(), quernel::Error>(())
    /// ```
    pub fn new(plans: &[&Plan], pages: usize, caps: &Caps) -> Self {
        let first = plans.first();
        let weights = first.iter().flat_map(|plan| &plan.weight_buffers).map(|buffer| Buffer::memory(buffer.bytes));
        let caches = first.iter().flat_map(|plan| plan.graph.caches.iter().map(|cache| (cache, plan.graph.kv)));
        let cache = caches.map(|(cache, kv)| 2 * Buffer::memory(cache.bytes(pages, kv)));
        // Plans share their slots: of each place by size, the largest.
        let mut slots: Vec<u64> = Vec::new();
        for plan in plans {
            let mut own = plan.slots.clone();
            own.sort_unstable_by(|a, b| b.cmp(a));
            slots.resize(slots.len().max(own.len()), 0);
            slots.iter_mut().zip(own).for_each(|(slot, own)| *slot = (*slot).max(own));
        }
        let steps = slots.into_iter().chain([Marks::BYTES; 2]).map(Buffer::memory).sum();
        let own = plans.iter().map(|plan| Self::of_plan(plan, caps)).sum();
        Self { weights: weights.sum(), cache: cache.sum(), steps, plans: own }
    }

    /// Bytes that a plan has for itself where it is resident.
    pub fn of_plan(plan: &Plan, caps: &Caps) -> u64 {
        resident::own_bytes(plan, caps).into_iter().map(Buffer::memory).sum()
    }

    /// All of it.
    pub fn total(&self) -> u64 {
        self.weights + self.cache + self.steps + self.plans
    }
}
