//! The devices that run the cases.

use quernel::doctor::{Bound, Work, bound, poison, run};
use quernel::gpu::{Choice, Gpu, Usage};
use quernel::tensor::Caps;
use std::sync::Mutex;

/// One piece of work at a time in all: the interface to OpenGL gives up on a thread that waits for another's.
static TURN: Mutex<()> = Mutex::new(());

pub struct Device {
    gpu: Gpu,
}

impl Device {
    /// The adapter present, with at most what `ceiling` allows.
    pub fn open(ceiling: Option<Caps>) -> Result<Self, String> {
        let gpu = pollster::block_on(Gpu::open_with(&Choice::default(), ceiling)).map_err(|error| error.to_string())?;
        gpu.check_shaders(std::env::var_os("QUERNEL_CHECKED_SHADERS").is_some());
        Ok(Self { gpu })
    }

    /// The adapter, its backend and its driver.
    pub fn title(&self) -> String {
        let info = self.gpu.info();
        format!("{} ({}, {} {})", info.name, info.backend, info.driver, info.driver_info)
    }

    /// What the device was granted.
    pub fn caps(&self) -> &Caps {
        self.gpu.caps()
    }

    /// The words of each output after the work, without its sentinels, which must be untouched.
    pub fn run(&self, work: &Work) -> Result<Vec<Vec<u32>>, String> {
        let _turn = TURN.lock().map_err(|_| "another case panicked".to_owned())?;
        pollster::block_on(run(&self.gpu, work)).map_err(|error| error.to_string())?
    }

    /// Runs the work and compares every output; the worst error.
    pub fn check(&self, work: &Work) -> Result<f64, String> {
        let written = self.run(work)?;
        let errors = work.outputs.iter().zip(&written).map(|(output, words)| output.compare(words));
        errors.collect::<Result<Vec<_>, _>>().map(|errors| errors.into_iter().fold(0.0, f64::max))
    }

    /// What the single output of each piece of work is in each of `rounds`: they take turns over the same buffers, so
    /// that a kernel that reads what is not there yet finds other numbers in every round. All are of the same shapes.
    pub fn take_turns(&self, works: &[Work], rounds: usize) -> Result<Vec<Vec<u32>>, String> {
        let _turn = TURN.lock().map_err(|_| "another case panicked".to_owned())?;
        pollster::block_on(self.try_turns(works, rounds)).map_err(|error| error.to_string())
    }

    async fn try_turns(&self, works: &[Work], rounds: usize) -> quernel::Result<Vec<Vec<u32>>> {
        let all = |work: &Work| -> Vec<Bound> {
            let output = work.outputs.iter().map(|output| (output.name, poison(output.device_words())));
            work.inputs.iter().chain(&work.launches[0].1).cloned().chain(output).collect()
        };
        let mut bindings = Vec::new();
        for (name, bytes) in all(&works[0]) {
            bindings.push((name, bound(&self.gpu, name, bytes, Usage::Activation)?));
        }
        let mut written = Vec::new();
        for work in works.iter().cycle().take(rounds) {
            for ((_, slice), (_, bytes)) in bindings.iter().zip(all(work)) {
                self.gpu.write(&slice.buffer().slice(slice.offset(), bytes.len() as u64), &bytes)?;
            }
            self.gpu.run(&work.launches[0].0, &bindings).await?;
            let words = work.outputs[0].device_words();
            let slice = &bindings[bindings.len() - 1].1;
            let bytes = self.gpu.read(slice.buffer().slice(slice.offset(), 4 * words as u64)).await?;
            written.push(bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect());
        }
        Ok(written)
    }
}
