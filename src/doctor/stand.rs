//! A device that runs work, with sentinels around everything that a kernel may touch.

use super::data::POISON;
use super::work::{Work, poison};
use crate::Result;
use crate::gpu::{BufferSlice, Gpu, Usage};

/// Words after every output that must stay as they are; after every input as many that must not be used.
const SENTINEL: usize = 256;

/// The words of each output after the work, without the sentinels around it; or where one was written to.
///
/// # Errors
/// What running kernels returns.
pub async fn run(gpu: &Gpu, work: &Work) -> Result<Result<Vec<Vec<u32>>, String>> {
    let mut bindings = Vec::new();
    for (name, bytes) in &work.inputs {
        bindings.push((*name, bound(gpu, name, bytes.clone(), Usage::Step)?));
    }
    for output in &work.outputs {
        bindings.push((output.name, bound(gpu, output.name, poison(output.device_words()), Usage::Activation)?));
    }
    for (launch, own) in &work.launches {
        let mut bindings = bindings.clone();
        for (name, bytes) in own {
            bindings.push((*name, bound(gpu, name, bytes.clone(), Usage::Weights)?));
        }
        // Launches that follow one another leave values for each other: each has some of the names.
        let pipeline = gpu.pipeline(&launch.variant)?;
        let known = &pipeline.reflection().bindings;
        bindings.retain(|(name, _)| work.launches.len() == 1 || known.iter().any(|one| one.name == *name));
        gpu.run(launch, &bindings).await?;
    }
    let mut written = Vec::new();
    for (output, (_, slice)) in work.outputs.iter().zip(&bindings[work.inputs.len()..]) {
        let bytes = gpu.read(slice.buffer().whole()).await?;
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

/// `bytes` with sentinels before and after. The sentinel after it is bound with it, so that no check of the
/// driver's hides what a kernel does there.
///
/// # Errors
/// What making and filling buffers returns.
pub fn bound(gpu: &Gpu, name: &str, mut bytes: Vec<u8>, usage: Usage) -> Result<BufferSlice> {
    bytes.extend(poison((4 - bytes.len() % 4) % 4 + SENTINEL));
    bytes.truncate(bytes.len() / 4 * 4);
    let before = u64::from(gpu.caps().binding_alignment);
    let buffer = gpu.buffer(name, before + bytes.len() as u64, usage)?;
    gpu.write(&buffer.whole(), &poison(before as usize / 4))?;
    let slice = buffer.slice(before, bytes.len() as u64);
    gpu.write(&slice, &bytes)?;
    Ok(slice)
}
