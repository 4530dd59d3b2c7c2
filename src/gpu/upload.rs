//! Large uploads: through a few buffers that the host fills and the device copies from, used in turn.
//!
//! A write through the queue takes new memory each time, which the system first fills with zeros. These buffers are
//! made once, so that uploading costs little more than the copies, and needs little memory of the host.

use super::health::caught;
use super::signal::{Receiver, signal};
use super::{BufferSlice, Gpu, Usage};
use crate::{Error, Result};
use std::collections::VecDeque;

/// Bytes of one staging buffer.
const STAGE: u64 = 8 << 20;

/// Staging buffers: while one is filled, the device copies from the others.
const STAGES: usize = 3;

/// Writes to buffers, one after the other; what was written is there once it is [sent](Self::send), for what
/// is submitted later, or [finished](Self::finish), for the host.
///
/// ```
/// use quernel::gpu::{Choice, Gpu, Upload, Usage};
/// # pollster::block_on(async {
/// let gpu = Gpu::open(&Choice::default()).await?;
/// let buffer = gpu.buffer("numbers", 16, Usage::Weights)?;
/// let mut upload = Upload::new(&gpu);
/// upload.write(&buffer.slice(8, 8), bytemuck::cast_slice(&[3.0_f32, 4.0])).await?;
/// upload.finish().await?;
/// assert_eq!(bytemuck::cast_slice::<u8, f32>(&gpu.read(buffer.whole()).await?), [0.0, 0.0, 3.0, 4.0]);
/// # Ok::<(), quernel::Error>(())
/// # }).unwrap();
/// ```
pub struct Upload {
    gpu: Gpu,
    filling: Option<Stage>,
    made: usize,
    sent: VecDeque<Sent>,
}

/// A buffer that is being filled.
struct Stage {
    raw: wgpu::Buffer,
    view: wgpu::BufferViewMut,
    used: u64,
    copies: wgpu::CommandEncoder,
}

/// A buffer that the device copies from, and that comes back when it has.
struct Sent {
    raw: wgpu::Buffer,
    index: wgpu::SubmissionIndex,
    mapped: Receiver<Result<(), wgpu::BufferAsyncError>>,
}

impl Upload {
    /// Nothing is made before the first write.
    pub fn new(gpu: &Gpu) -> Self {
        Self { gpu: gpu.clone(), filling: None, made: 0, sent: VecDeque::new() }
    }

    /// Writes `data`, whole words of 4 bytes, to the beginning of `to`.
    ///
    /// # Errors
    /// [`Error::Gpu`] where `data` is longer than `to` or ends inside a word, [`Error::OutOfMemory`],
    /// [`Error::DeviceLost`].
    pub async fn write(&mut self, to: &BufferSlice, data: &[u8]) -> Result<()> {
        self.gpu.inner.health.check("uploading")?;
        if data.is_empty() {
            return Ok(());
        }
        to.check("uploading")?;
        let label = to.buffer.label();
        let fits = data.len() as u64 <= to.bytes && data.len().is_multiple_of(4);
        if !fits || to.buffer.usage() == Usage::Readback {
            let message = format!("uploading {} bytes to {} bytes of the buffer {label:?}", data.len(), to.bytes);
            return Err(Error::Gpu { message });
        }
        let mut rest = data;
        while !rest.is_empty() {
            let mut stage = match self.filling.take() {
                Some(stage) => stage,
                None => self.stage().await?,
            };
            let (part, left) = rest.split_at(rest.len().min((STAGE - stage.used) as usize));
            let offset = to.offset + (data.len() - rest.len()) as u64;
            stage.view.slice(stage.used as usize..stage.used as usize + part.len()).copy_from_slice(part);
            let target = &to.buffer.inner.raw;
            stage.copies.copy_buffer_to_buffer(&stage.raw, stage.used, target, offset, part.len() as u64);
            stage.used += part.len() as u64;
            rest = left;
            match stage.used {
                STAGE => self.send_stage(stage)?,
                _ => self.filling = Some(stage),
            }
        }
        Ok(())
    }

    /// Waits until the device has all of it.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], [`Error::DeviceLost`], [`Error::Gpu`].
    pub async fn finish(mut self) -> Result<()> {
        self.send()?;
        self.gpu.finished().await
    }

    /// Hands all that was written to the device, before any command that is submitted later.
    ///
    /// # Errors
    /// [`Error::DeviceLost`], [`Error::OutOfMemory`], [`Error::Gpu`].
    pub fn send(&mut self) -> Result<()> {
        self.filling.take().map_or(Ok(()), |stage| self.send_stage(stage))
    }

    /// A buffer to fill: a new one, or the one that was sent first.
    async fn stage(&mut self) -> Result<Stage> {
        let gpu = &self.gpu;
        let raw = if self.made < STAGES {
            self.made += 1;
            let usage = wgpu::BufferUsages::MAP_WRITE | wgpu::BufferUsages::COPY_SRC;
            let label = Some("stage");
            let descriptor = wgpu::BufferDescriptor { label, size: STAGE, usage, mapped_at_creation: true };
            let doing = "making a buffer to upload from";
            let raw = caught(&gpu.inner.device, doing, || gpu.inner.device.create_buffer(&descriptor))?;
            gpu.inner.health.check(doing)?;
            raw
        } else {
            let none = || Error::Gpu { message: "uploading: no buffer is on its way".to_owned() };
            let Sent { raw, index, mapped } = self.sent.pop_front().ok_or_else(none)?;
            gpu.poll(wgpu::PollType::Wait { submission_index: Some(index), timeout: None })?;
            let mapped = mapped.receive().await;
            gpu.health()?;
            if !matches!(mapped, Some(Ok(()))) {
                return Err(Error::Gpu { message: "uploading: a buffer could not be mapped".to_owned() });
            }
            raw
        };
        let view = raw.get_mapped_range_mut(..);
        let view = view.map_err(|error| Error::Gpu { message: format!("uploading: {error}") })?;
        let copies = gpu.inner.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        Ok(Stage { raw, view, used: 0, copies })
    }

    /// Lets the device copy from a buffer, and asks for it back.
    fn send_stage(&mut self, stage: Stage) -> Result<()> {
        let Stage { raw, view, copies, .. } = stage;
        drop(view);
        raw.unmap();
        let index = self.gpu.inner.queue.submit([copies.finish()]);
        self.gpu.inner.health.check("uploading")?;
        let (sender, mapped) = signal();
        raw.slice(..).map_async(wgpu::MapMode::Write, move |result| sender.send(result));
        self.sent.push_back(Sent { raw, index, mapped });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::Choice;
    use pollster::block_on;

    fn open() -> Gpu {
        block_on(Gpu::open(&Choice::default())).expect("these tests need an adapter, a software one will do")
    }

    #[test]
    fn an_upload_in_pieces_arrives_whole_through_few_buffers() {
        let gpu = open();
        let bytes: Vec<u8> = (0..40_000_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let buffer = gpu.buffer("large", bytes.len() as u64 + 8, Usage::Weights).expect("fits");
        let made = gpu.counts();
        let mut upload = Upload::new(&gpu);
        let mut offset = 0;
        // Pieces that no staging buffer is a multiple of, one of them larger than any.
        for piece in [4, 1_000_004, 20_000_000].into_iter().chain(std::iter::repeat(700_004)) {
            let rest = &bytes[offset..];
            let piece = &rest[..rest.len().min(piece)];
            if piece.is_empty() {
                break;
            }
            block_on(upload.write(&buffer.slice(4 + offset as u64, piece.len() as u64), piece)).expect("uploads");
            offset += piece.len();
        }
        block_on(upload.finish()).expect("finishes");
        assert_eq!(gpu.counts(), made, "what is uploaded through is no buffer of the model's");
        let read = block_on(gpu.read(buffer.whole())).expect("reads");
        assert_eq!((&read[..4], &read[bytes.len() + 4..]), (&[0; 4][..], &[0; 4][..]));
        assert!(read[4..bytes.len() + 4] == bytes);
    }

    #[test]
    fn an_upload_refuses_what_has_no_place() {
        let gpu = open();
        let buffer = gpu.buffer("small", 16, Usage::Weights).expect("fits");
        let mut upload = Upload::new(&gpu);
        block_on(upload.write(&buffer.whole(), &[])).expect("nothing is no work");
        for (slice, bytes) in
            [(buffer.slice(8, 16), 4), (buffer.slice(2, 4), 4), (buffer.whole(), 20), (buffer.whole(), 3)]
        {
            let refused = block_on(upload.write(&slice, &vec![0; bytes]));
            assert!(matches!(&refused, Err(Error::Gpu { message }) if message.contains("small")), "{refused:?}");
        }
        block_on(upload.write(&buffer.whole(), &[7; 16])).expect("goes on");
        gpu.destroy();
        assert!(matches!(block_on(upload.write(&buffer.whole(), &[7; 16])), Err(Error::DeviceLost { .. })));
        assert!(matches!(block_on(upload.finish()), Err(Error::DeviceLost { .. })));
    }
}
