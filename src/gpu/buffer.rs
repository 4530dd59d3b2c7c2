//! Buffers: making, slicing and writing them.

use super::Gpu;
use super::health::caught;
use crate::{Error, Result};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError};

/// What a buffer is for; nothing else can be done with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Usage {
    /// A model's weights: written once, read by kernels. Never mixed with what kernels write, since the interface
    /// puts a barrier on the whole buffer between a write and a read.
    Weights,
    /// What kernels write for each other, the key-value cache included.
    Activation,
    /// The numbers of a step, written by the host and read by kernels.
    Step,
    /// A kernel's parameters: the only usage that a `var<uniform>` takes.
    Params,
    /// Read by the host; the target of copies alone.
    Readback,
}

impl Usage {
    fn wgpu(self) -> wgpu::BufferUsages {
        use wgpu::BufferUsages as B;
        match self {
            Self::Weights | Self::Activation | Self::Step => B::STORAGE | B::COPY_DST | B::COPY_SRC,
            Self::Params => B::UNIFORM | B::COPY_DST | B::COPY_SRC,
            Self::Readback => B::MAP_READ | B::COPY_DST,
        }
    }
}

/// How much buffer memory is alive, and how many buffers were made.
#[derive(Default)]
pub(super) struct Live {
    pub(super) bytes: AtomicU64,
    pub(super) made: AtomicU64,
}

/// Memory on the device; a clone is the same memory.
///
/// Its memory goes back when the last clone and the last [`BindGroup`](super::BindGroup) on it are dropped.
#[derive(Clone)]
pub struct Buffer {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) raw: wgpu::Buffer,
    label: String,
    bytes: u64,
    usage: Usage,
    live: Arc<Live>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.live.bytes.fetch_sub(self.raw.size(), Ordering::Relaxed);
    }
}

impl Buffer {
    /// The bytes asked for. The memory behind them is a whole number of quads.
    pub fn bytes(&self) -> u64 {
        self.inner.bytes
    }

    /// The bytes of memory behind a buffer of `bytes` bytes: a whole number of quads, and at least one.
    pub fn memory(bytes: u64) -> u64 {
        bytes.max(1).checked_next_multiple_of(16).unwrap_or(u64::MAX)
    }

    /// What it is for.
    pub fn usage(&self) -> Usage {
        self.inner.usage
    }

    /// Its name in messages.
    pub fn label(&self) -> &str {
        &self.inner.label
    }

    /// All of it.
    pub fn whole(&self) -> BufferSlice {
        self.slice(0, self.bytes())
    }

    /// `bytes` bytes from `offset`. Whoever uses the slice checks that it lies within the buffer.
    pub fn slice(&self, offset: u64, bytes: u64) -> BufferSlice {
        BufferSlice { buffer: self.clone(), offset, bytes }
    }
}

impl std::fmt::Debug for Buffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Buffer({:?}, {} bytes, {:?})", self.label(), self.bytes(), self.usage())
    }
}

/// A part of a buffer.
#[derive(Debug, Clone)]
pub struct BufferSlice {
    pub(super) buffer: Buffer,
    pub(super) offset: u64,
    pub(super) bytes: u64,
}

impl BufferSlice {
    /// The buffer it is a part of.
    pub fn buffer(&self) -> &Buffer {
        &self.buffer
    }

    /// Where it begins, in bytes.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// How long it is, in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Fails where the slice is empty, leaves its buffer, or begins inside a word of 4 bytes.
    pub(super) fn check(&self, doing: &str) -> Result<()> {
        let end = self.offset.checked_add(self.bytes);
        let inside = end.is_some_and(|end| end <= self.buffer.bytes());
        if inside && self.bytes > 0 && self.offset.is_multiple_of(4) {
            return Ok(());
        }
        let message = format!(
            "{doing}: a slice of {} bytes at {} of the buffer {:?} of {} bytes; a slice holds at least one byte, lies \
             within its buffer, and begins at a multiple of 4",
            self.bytes,
            self.offset,
            self.buffer.label(),
            self.buffer.bytes()
        );
        Err(Error::Gpu { message })
    }

    /// The bytes up to the next multiple of `unit`, or to the end of the memory.
    pub(super) fn rounded(&self, unit: u64) -> u64 {
        self.bytes.next_multiple_of(unit).min(self.buffer.inner.raw.size() - self.offset)
    }
}

/// Bytes that are handed to the queue before it is told to send them.
const STAGED: u64 = 32 << 20;

/// Bytes of one copy to the device.
const CHUNK: usize = 8 << 20;

/// What the queue holds in memory of its own until the device has it.
#[derive(Default)]
pub(super) struct Staged {
    /// Since the last submission.
    pub(super) bytes: u64,
    /// The last upload that was sent.
    sent: Option<wgpu::SubmissionIndex>,
}

impl Gpu {
    /// A new buffer, all zeros.
    ///
    /// # Errors
    /// [`Error::DoesNotFit`] above the device's limit, [`Error::OutOfMemory`] when the driver has no more.
    pub fn buffer(&self, label: &str, bytes: u64, usage: Usage) -> Result<Buffer> {
        let limit = self.caps().max_buffer;
        let size = Buffer::memory(bytes);
        if size > limit {
            return Err(Error::DoesNotFit {
                what: format!("the buffer {label:?}"),
                need: bytes,
                have: limit,
                limit_name: format!("the largest buffer of {}", self.caps().adapter),
                way_out: "; a smaller model or a shorter context (-c) needs less".to_owned(),
            });
        }
        let gpu = &self.inner;
        gpu.health.check("making a buffer")?;
        let descriptor =
            wgpu::BufferDescriptor { label: Some(label), size, usage: usage.wgpu(), mapped_at_creation: false };
        let doing = format!("making the buffer {label:?} of {bytes} bytes");
        let raw = caught(&gpu.device, &doing, || gpu.device.create_buffer(&descriptor))?;
        gpu.health.check(&doing)?;
        gpu.live.made.fetch_add(1, Ordering::Relaxed);
        gpu.live.bytes.fetch_add(raw.size(), Ordering::Relaxed);
        let live = gpu.live.clone();
        Ok(Buffer { inner: Arc::new(Inner { raw, label: label.to_owned(), bytes, usage, live }) })
    }

    /// Writes `data` to the beginning of `to`, before any command that is submitted later.
    ///
    /// Only the last word of a buffer may be written in part. A large upload is copied in pieces, and waits for the
    /// device now and then, so that it needs little memory of the host.
    ///
    /// # Errors
    /// [`Error::Gpu`] when `data` is longer than `to` or ends inside a word, [`Error::DeviceLost`].
    pub fn write(&self, to: &BufferSlice, data: &[u8]) -> Result<()> {
        let label = to.buffer.label();
        self.inner.health.check("writing a buffer")?;
        if data.is_empty() {
            return Ok(());
        }
        to.check("writing")?;
        let end = to.offset + data.len() as u64;
        if data.len() as u64 > to.bytes || (!data.len().is_multiple_of(4) && end != to.buffer.bytes()) {
            let message = format!("writing {} bytes to {} bytes of the buffer {label:?}", data.len(), to.bytes);
            return Err(Error::Gpu { message });
        }
        if to.buffer.usage() == Usage::Readback {
            return Err(Error::Gpu { message: format!("writing the buffer {label:?}, which is for reading back") });
        }
        let words = data.len() / 4 * 4;
        let mut offset = to.offset;
        for chunk in data[..words].chunks(CHUNK) {
            self.stage(to, offset, chunk)?;
            offset += chunk.len() as u64;
        }
        if words < data.len() {
            let mut word = [0; 4];
            word[..data.len() - words].copy_from_slice(&data[words..]);
            self.stage(to, offset, &word)?;
        }
        Ok(())
    }

    /// Writes one piece; at most twice [`STAGED`] are on their way, so that copying and sending overlap.
    fn stage(&self, to: &BufferSlice, offset: u64, data: &[u8]) -> Result<()> {
        let mut staged = self.staged();
        staged.bytes += data.len() as u64;
        if staged.bytes > STAGED {
            staged.bytes = data.len() as u64;
            let before = staged.sent.replace(self.inner.queue.submit(None));
            drop(staged);
            if before.is_some() {
                self.poll(wgpu::PollType::Wait { submission_index: before, timeout: None })?;
            }
            self.inner.health.check("writing a buffer")?;
        }
        self.inner.queue.write_buffer(&to.buffer.inner.raw, offset, data);
        Ok(())
    }

    pub(super) fn staged(&self) -> MutexGuard<'_, Staged> {
        self.inner.staged.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
