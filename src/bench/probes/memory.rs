//! `read` and `copy`: how fast memory is.

use super::make;
use crate::kernels::{Launch, fold, params};

params! {
    /// The `Params` of both shaders.
    pub struct Params {
        /// How many workgroups.
        workgroups: u32,
        /// Rounds of loads that a thread makes.
        rounds: u32,
    }
}

/// Loads of a round of `copy`.
const COPY_LOADS: u32 = 4;

/// How a stretch of memory is divided among threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Division {
    /// Threads of a workgroup.
    pub workgroup: u32,
    /// How many workgroups.
    pub workgroups: u32,
    /// Quads that a thread loads in one round: 4 or 64.
    pub loads: u32,
    /// Whether it loads 64 bits at once, for which the adapter must have such integers.
    pub wide: bool,
    /// Whether the threads of a workgroup all read the same, which counts once.
    pub together: bool,
    /// Rounds that a thread makes.
    pub rounds: u32,
}

impl Division {
    /// This division with as many rounds as `bytes` allow; `None` where that is not one.
    pub fn fitted(self, bytes: u64) -> Option<Self> {
        let round = Self { rounds: 1, ..self }.bytes();
        let rounds = u32::try_from(bytes / round).ok().filter(|rounds| *rounds > 0)?;
        Some(Self { rounds, ..self })
    }

    /// Quads from a load of a thread to its next.
    fn step(self) -> u32 {
        if self.together { 1 } else { self.workgroup }
    }

    /// Quads that a workgroup reads.
    fn part(self) -> u64 {
        u64::from(self.rounds) * u64::from(self.loads) * u64::from(self.step())
    }

    /// Bytes that all of them read.
    pub fn bytes(self) -> u64 {
        16 * u64::from(self.workgroups) * self.part()
    }

    /// Threads in all.
    pub fn threads(self) -> u64 {
        u64::from(self.workgroup) * u64::from(self.workgroups)
    }

    fn params(self) -> Params {
        Params { workgroups: self.workgroups, rounds: self.rounds }
    }
}

/// Adds words up, each thread its own. Binds `x`, `y`; `y` has a word a thread. `None` where there is no code for so
/// many loads.
pub fn read(division: Division) -> Option<Launch> {
    let stretch = match division.loads {
        4 => "bench/stretch/4",
        64 => "bench/stretch/64",
        _ => return None,
    };
    let constants = vec![("WORKGROUP", division.workgroup), ("TOGETHER", u32::from(division.together))];
    let grid = fold(division.workgroups as usize);
    let slots = vec![("words", if division.wide { "words/wide" } else { "words/narrow" }), ("stretch", stretch)];
    Some(make("read", "bench/read", slots, constants, division.params(), grid))
}

/// Copies words. Binds `x`, `y`. `None` where a round does not have 4 loads of 32 bits, or threads would copy the same.
pub fn copy(division: Division) -> Option<Launch> {
    let constants = vec![("WORKGROUP", division.workgroup)];
    let grid = fold(division.workgroups as usize);
    let launch = make("copy", "bench/copy", vec![], constants, division.params(), grid);
    (division.loads == COPY_LOADS && !division.wide && !division.together).then_some(launch)
}

/// The definition of `read`: the sum of words, of 32 bits or of 64, whose halves are added up at the end.
pub fn reference(x: &[u32], division: Division) -> Vec<u32> {
    let (workgroup, step) = (division.workgroup as usize, division.step() as usize);
    let mut sums = vec![0u64; division.threads() as usize];
    for (part, sums) in x.chunks_exact(4 * division.part() as usize).zip(sums.chunks_exact_mut(workgroup)) {
        for (quad, words) in part.chunks_exact(4).enumerate() {
            let sum = words.chunks_exact(2).fold(0u64, |sum, pair| {
                let [low, high] = [pair[0], pair[1]].map(u64::from);
                sum.wrapping_add(if division.wide { low | high << 32 } else { low + high })
            });
            // The threads that read this quad: one of them, or all.
            let readers = sums.iter_mut().skip(quad % step).step_by(step);
            readers.for_each(|total| *total = total.wrapping_add(sum));
        }
    }
    let high = |sum: u64| if division.wide { (sum >> 32) as u32 } else { 0 };
    sums.into_iter().map(|sum| (sum as u32).wrapping_add(high(sum))).collect()
}
