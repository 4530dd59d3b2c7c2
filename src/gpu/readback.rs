//! Reading from the device.

use super::signal::signal;
use super::{Buffer, BufferSlice, Gpu, Submission, Usage};
use crate::{Error, Result};
use std::sync::atomic::{AtomicBool, Ordering};

/// A buffer that the host can read, made once and used for every step.
///
/// Record a copy into [`buffer`](Self::buffer), submit it, then read.
pub struct Readback {
    gpu: Gpu,
    buffer: Buffer,
    /// A read is under way: the interface allows one at a time.
    busy: AtomicBool,
}

impl Readback {
    /// Room for `bytes` bytes.
    ///
    /// # Errors
    /// As [`Gpu::buffer`].
    pub fn new(gpu: &Gpu, bytes: u64) -> Result<Self> {
        let buffer = gpu.buffer("readback", bytes, Usage::Readback)?;
        Ok(Self { gpu: gpu.clone(), buffer, busy: AtomicBool::new(false) })
    }

    /// The target for copies.
    pub fn buffer(&self) -> &Buffer {
        &self.buffer
    }

    /// Waits for all that was submitted, and puts the first `bytes` bytes into `out`, in place of what it held.
    ///
    /// # Errors
    /// [`Error::Gpu`] when there are fewer bytes, or when another read is under way; [`Error::DeviceLost`].
    pub async fn read_into(&self, out: &mut Vec<u8>, bytes: u64) -> Result<()> {
        self.read(out, bytes, wgpu::PollType::wait_indefinitely()).await
    }

    /// As [`read_into`](Self::read_into), waiting for `submission` and no longer: what was submitted after it may still
    /// run.
    ///
    /// # Errors
    /// As [`read_into`](Self::read_into).
    pub async fn read_after(&self, submission: &Submission, out: &mut Vec<u8>, bytes: u64) -> Result<()> {
        let until = wgpu::PollType::Wait { submission_index: Some(submission.index.clone()), timeout: None };
        self.read(out, bytes, until).await
    }

    async fn read(&self, out: &mut Vec<u8>, bytes: u64, until: wgpu::PollType) -> Result<()> {
        out.clear();
        self.gpu.health()?;
        if bytes == 0 {
            return Ok(());
        }
        self.buffer.slice(0, bytes).check("reading back")?;
        if self.busy.swap(true, Ordering::Acquire) {
            return Err(Error::Gpu { message: "reading back: another read is under way".to_owned() });
        }
        // Unmaps on every way out, a future dropped half-way included.
        let mapping = Mapping(self);
        let raw = &self.buffer.inner.raw;
        let size = bytes.next_multiple_of(4);
        let (sender, receiver) = signal();
        raw.slice(0..size).map_async(wgpu::MapMode::Read, move |mapped| sender.send(mapped));
        self.gpu.poll(until)?;
        let mapped = receiver.receive().await;
        self.gpu.health()?;
        let Some(Ok(())) = mapped else {
            return Err(Error::Gpu { message: "reading back: the buffer could not be mapped".to_owned() });
        };
        let view = raw.get_mapped_range(0..size);
        let view = view.map_err(|error| Error::Gpu { message: format!("reading back: {error}") })?;
        out.extend_from_slice(&view[..bytes as usize]);
        drop(view);
        drop(mapping);
        Ok(())
    }
}

/// A map that is asked for or there.
struct Mapping<'a>(&'a Readback);

impl Drop for Mapping<'_> {
    fn drop(&mut self) {
        self.0.buffer.inner.raw.unmap();
        self.0.busy.store(false, Ordering::Release);
    }
}

impl Gpu {
    /// The bytes of `slice`, after all that was submitted has run.
    ///
    /// Makes a buffer each time; a step reads through a [`Readback`] instead.
    ///
    /// # Errors
    /// [`Error::Gpu`] when the slice is misplaced, [`Error::OutOfMemory`], [`Error::DeviceLost`].
    pub async fn read(&self, slice: BufferSlice) -> Result<Vec<u8>> {
        let bytes = slice.bytes;
        let readback = Readback::new(self, bytes)?;
        let mut commands = self.encoder();
        commands.copy(slice, readback.buffer().whole())?;
        self.submit(commands)?;
        let mut out = Vec::new();
        readback.read_into(&mut out, bytes).await?;
        Ok(out)
    }
}
