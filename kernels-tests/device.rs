//! A device that runs work, with sentinels around everything that a kernel may touch.

use crate::case::{Bound, Work, poison};
use crate::data::POISON;
use quernel::gpu::{Buffer, BufferSlice, Choice, Gpu, Usage};
use quernel::tensor::Caps;
use std::sync::Mutex;

/// Words after every output that must stay as they are; after every input as many that must not be used.
const SENTINEL: usize = 256;

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
        pollster::block_on(self.try_run(work)).map_err(|error| error.to_string())?
    }

    async fn try_run(&self, work: &Work) -> quernel::Result<Result<Vec<Vec<u32>>, String>> {
        let mut bindings = Vec::new();
        for (name, bytes) in &work.inputs {
            bindings.push((*name, self.bound(name, bytes.clone(), Usage::Step)?));
        }
        for output in &work.outputs {
            bindings.push((output.name, self.bound(output.name, poison(output.device_words()), Usage::Activation)?));
        }
        for (launch, own) in &work.launches {
            let mut bindings = bindings.clone();
            for (name, bytes) in own {
                bindings.push((*name, self.bound(name, bytes.clone(), Usage::Weights)?));
            }
            // Launches that follow one another leave values for each other: each has some of the names.
            let pipeline = self.gpu.pipeline(&launch.variant)?;
            let known = &pipeline.reflection().bindings;
            bindings.retain(|(name, _)| work.launches.len() == 1 || known.iter().any(|one| one.name == *name));
            self.gpu.run(launch, &bindings).await?;
        }
        let mut written = Vec::new();
        for (output, (_, slice)) in work.outputs.iter().zip(&bindings[work.inputs.len()..]) {
            let bytes = self.gpu.read(slice.buffer().whole()).await?;
            let words: Vec<u32> = bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
            let begin = slice.offset() as usize / 4;
            let end = begin + output.device_words();
            if let Some(at) = (0..begin).chain(end..words.len()).find(|&at| words[at] != POISON) {
                let reason = format!("word {at} is {:#010x}; {begin} to {end} are {}", words[at], output.name);
                return Ok(Err(format!("written out of bounds: {reason}")));
            }
            written.push(words[begin..end].to_vec());
        }
        Ok(Ok(written))
    }

    /// What the single output of each piece of work is in each of `rounds`: they take turns over the same buffers, so
    /// that a kernel that reads what is not there yet finds other numbers in every round. All are of the same shapes.
    pub fn take_turns(&self, works: &[Work], rounds: usize) -> Result<Vec<Vec<u32>>, String> {
        let _turn = TURN.lock().map_err(|_| "another case panicked".to_owned())?;
        pollster::block_on(self.try_turns(works, rounds)).map_err(|error| error.to_string())
    }

    async fn try_turns(&self, works: &[Work], rounds: usize) -> quernel::Result<Vec<Vec<u32>>> {
        let bound = |work: &Work| -> Vec<Bound> {
            let output = work.outputs.iter().map(|output| (output.name, poison(output.device_words())));
            work.inputs.iter().chain(&work.launches[0].1).cloned().chain(output).collect()
        };
        let mut bindings = Vec::new();
        for (name, bytes) in bound(&works[0]) {
            bindings.push((name, self.bound(name, bytes, Usage::Activation)?));
        }
        let mut written = Vec::new();
        for work in works.iter().cycle().take(rounds) {
            for ((_, slice), (_, bytes)) in bindings.iter().zip(bound(work)) {
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

    /// `bytes` with sentinels before and after. The sentinel after it is bound with it, so that no check of the
    /// driver's hides what a kernel does there.
    fn bound(&self, name: &str, mut bytes: Vec<u8>, usage: Usage) -> quernel::Result<BufferSlice> {
        bytes.extend(poison((4 - bytes.len() % 4) % 4 + SENTINEL));
        bytes.truncate(bytes.len() / 4 * 4);
        let before = u64::from(self.gpu.caps().binding_alignment);
        let buffer: Buffer = self.gpu.buffer(name, before + bytes.len() as u64, usage)?;
        self.gpu.write(&buffer.whole(), &poison(before as usize / 4))?;
        let slice = buffer.slice(before, bytes.len() as u64);
        self.gpu.write(&slice, &bytes)?;
        Ok(slice)
    }
}
