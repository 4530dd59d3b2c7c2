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
    /// What steps write for themselves, and the numbers that they take and give.
    pub steps: u64,
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
        let own = plans.iter().flat_map(|plan| resident::own_bytes(plan, caps));
        let marks = [Marks::BYTES; 2];
        let steps = slots.into_iter().chain(own).chain(marks).map(Buffer::memory).sum();
        Self { weights: weights.sum(), cache: cache.sum(), steps }
    }

    /// All of it.
    pub fn total(&self) -> u64 {
        self.weights + self.cache + self.steps
    }
}
