//! Gives every value a slot, so that no two values that live at the same time share one.
//!
//! A slot is a whole buffer: wgpu puts a barrier between dispatches at whole-buffer granularity, and refuses a buffer
//! that one dispatch both reads and writes. So a value's life includes the node that yields it and the last that takes
//! it, and a value never shares a slot with an input of the node that yields it.

/// When a value lives, in nodes, both ends included, and its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime {
    /// The node that yields it.
    pub first: usize,
    /// The last node that takes it.
    pub last: usize,
    /// Bytes.
    pub bytes: u64,
}

/// Which slot each value has, and how large each slot is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Memory {
    /// The slot of each value, in the order given.
    pub slot_of: Vec<usize>,
    /// Bytes of each slot.
    pub slots: Vec<u64>,
}

/// Assigns slots greedily in the order in which values come to life: of the free slots the smallest that is large
/// enough, else the largest, which grows, else a new one.
///
/// ```
/// use quernel::graph::{Lifetime, assign};
/// let life = |first, last| Lifetime { first, last, bytes: 64 };
/// let memory = assign(&[life(0, 1), life(1, 2), life(2, 3)]);
/// assert_eq!(memory.slot_of, [0, 1, 0]);
/// ```
pub fn assign(lifetimes: &[Lifetime]) -> Memory {
    let mut order: Vec<usize> = (0..lifetimes.len()).collect();
    order.sort_by_key(|&value| lifetimes[value].first);
    let mut memory = Memory { slot_of: vec![0; lifetimes.len()], slots: Vec::new() };
    let mut busy_until: Vec<usize> = Vec::new();
    for value in order {
        let life = lifetimes[value];
        let free = (0..memory.slots.len()).filter(|&slot| busy_until[slot] < life.first);
        let slot = free.min_by_key(|&slot| {
            let bytes = memory.slots[slot];
            // Large enough ones first, the smallest of them; then the others, the largest of them.
            if bytes >= life.bytes { (0, bytes) } else { (1, u64::MAX - bytes) }
        });
        let slot = slot.unwrap_or_else(|| {
            memory.slots.push(0);
            busy_until.push(0);
            memory.slots.len() - 1
        });
        memory.slots[slot] = memory.slots[slot].max(life.bytes);
        busy_until[slot] = life.last;
        memory.slot_of[value] = slot;
    }
    memory
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_two_live_values_share_a_slot(lives in prop::collection::vec((0usize..60, 0usize..20, 1u64..1000), 0..80)) {
            let lives: Vec<Lifetime> =
                lives.into_iter().map(|(first, more, bytes)| Lifetime { first, last: first + more, bytes }).collect();
            let memory = assign(&lives);
            for (i, a) in lives.iter().enumerate() {
                prop_assert!(memory.slots[memory.slot_of[i]] >= a.bytes);
                for (j, b) in lives.iter().enumerate().skip(i + 1) {
                    let together = a.first <= b.last && b.first <= a.last;
                    prop_assert!(!together || memory.slot_of[i] != memory.slot_of[j], "{a:?} and {b:?}");
                }
            }
        }
    }
}
