//! Proof that submissions ran: each leaves its number on the device, and the numbers come back with whatever is read.
//!
//! A driver may give a submission up, after an error or because it took too long, and be told to have ended it all the
//! same: on Metal `wgpu` does not look. What is read then is what an earlier step left there, and would pass for an answer.
//! This module knows nothing of what submissions compute.

use crate::Result;
use crate::gpu::{Buffer, BufferSlice, Commands, Gpu, Usage};

/// The numbers of the last submissions.
pub(super) struct Marks {
    /// What the coming submissions take their numbers from, each from its own place.
    numbers: Buffer,
    /// Where they leave them.
    left: Buffer,
    /// How many there were.
    submitted: u64,
    /// Whether the numbers are to be written, not being those of the coming submissions.
    stale: bool,
    /// Up to this one all are known to have run.
    seen: u64,
}

impl Marks {
    /// Submissions whose numbers are kept.
    pub(super) const KEPT: u64 = 1024;

    /// Of the buffer that is read.
    pub(super) const BYTES: u64 = 4 * Self::KEPT;

    pub(super) fn new(gpu: &Gpu) -> Result<Self> {
        let buffer = |name| gpu.buffer(name, Self::BYTES, Usage::Step);
        Ok(Self { numbers: buffer("numbers")?, left: buffer("marks")?, submitted: 0, stale: true, seen: 0 })
    }

    /// Submissions so far.
    pub(super) fn submitted(&self) -> u64 {
        self.submitted
    }

    /// Whether so many more can leave their numbers before those that nobody looked at are forgotten.
    pub(super) fn has_room(&self, submissions: u64) -> bool {
        self.submitted + submissions - self.seen <= Self::KEPT
    }

    /// Has `commands`, which are submitted next, leave their number. Returns it.
    pub(super) fn leave(&mut self, gpu: &Gpu, commands: &mut Commands) -> Result<u64> {
        self.submitted += 1;
        let place = self.submitted % Self::KEPT;
        if place == 0 || self.stale {
            self.stale = true;
            let numbers: Vec<u32> = (0..Self::KEPT).map(|at| (self.submitted - place + at) as u32).collect();
            gpu.write(&self.numbers.whole(), bytemuck::cast_slice(&numbers))?;
            self.stale = false;
        }
        commands.copy(self.numbers.slice(4 * place, 4), self.left.slice(4 * place, 4))?;
        Ok(self.submitted)
    }

    /// The numbers that were left, to be read.
    pub(super) fn left(&self) -> BufferSlice {
        self.left.whole()
    }

    /// Looks through the numbers as they were when `last` had run.
    ///
    /// # Errors
    /// [`DeviceLost`](crate::Error::DeviceLost), with the device given up, where one is missing.
    pub(super) fn look_through(&mut self, gpu: &Gpu, last: u64, left: &[u8]) -> Result<()> {
        let oldest = (last + 1).saturating_sub(Self::KEPT).max(self.seen + 1);
        for number in oldest..=last {
            let at = 4 * (number % Self::KEPT) as usize;
            if left.get(at..at + 4) != Some(&(number as u32).to_le_bytes()) {
                gpu.lose(format!("the driver reported submission {number} as done, which it did not carry out"));
                return gpu.health();
            }
        }
        self.seen = self.seen.max(last);
        Ok(())
    }

    /// Asks no longer for what was submitted until now: the driver refused some of it, and whoever submitted it was told.
    pub(super) fn forgive(&mut self) {
        self.seen = self.submitted;
        self.stale = true;
    }

    /// Counts a submission that never comes to the device.
    #[cfg(test)]
    pub(super) fn lose_one(&mut self) {
        self.submitted += 1;
    }
}
