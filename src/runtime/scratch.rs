//! The slots' buffers, shared by all plans of a model: only one step runs at a time.

use crate::Result;
use crate::gpu::{Buffer, Gpu, Usage};

/// Buffers that hold no value from one step to the next, the largest first.
#[derive(Default)]
pub struct Scratch {
    buffers: Vec<Buffer>,
}

impl Scratch {
    /// A buffer for each slot, of at least its bytes; no two slots get the same one.
    ///
    /// Buffers are given in the order of size, so after those of the largest plan no other plan makes new ones.
    pub(super) fn slots(&mut self, gpu: &Gpu, slots: &[u64]) -> Result<Vec<Buffer>> {
        let mut order: Vec<usize> = (0..slots.len()).collect();
        order.sort_by_key(|&slot| std::cmp::Reverse(slots[slot]));
        let mut chosen = vec![None; slots.len()];
        for (place, &slot) in order.iter().enumerate() {
            let large_enough = self.buffers.get(place).is_some_and(|buffer| buffer.bytes() >= slots[slot]);
            if !large_enough {
                let buffer = gpu.buffer(&format!("slot {place}"), slots[slot], Usage::Activation)?;
                if place < self.buffers.len() {
                    self.buffers[place] = buffer;
                } else {
                    self.buffers.push(buffer);
                }
            }
            chosen[slot] = Some(self.buffers[place].clone());
        }
        Ok(chosen.into_iter().flatten().collect())
    }
}
