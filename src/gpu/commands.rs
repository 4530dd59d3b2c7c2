//! Recording, submitting and waiting.

use super::signal::signal;
use super::{BindGroup, BufferSlice, Gpu, Pipeline, Usage};
use crate::kernels::Launch;
use crate::shader::Access;
use crate::{Error, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Commands being recorded; nothing runs before [`Gpu::submit`].
pub struct Commands {
    pub(super) encoder: wgpu::CommandEncoder,
    /// Workgroups that one axis of a dispatch may have.
    max_workgroups: u32,
}

/// Tells whether all that had been submitted when it was made has run.
#[derive(Debug, Clone)]
pub struct Done(Arc<AtomicBool>);

/// Commands that were submitted.
#[derive(Debug, Clone)]
pub struct Submission {
    pub(super) index: wgpu::SubmissionIndex,
}

impl Commands {
    /// Records launches, each after the one before it, in one compute pass.
    ///
    /// # Errors
    /// [`Error::Gpu`] when a grid has more workgroups along an axis than the device allows; nothing of the pass after
    /// it is recorded.
    pub fn pass<'a>(
        &mut self,
        launches: impl IntoIterator<Item = (&'a Pipeline, &'a BindGroup, [u32; 3])>,
    ) -> Result<()> {
        self.record(None, launches)
    }

    /// As [`pass`](Self::pass), with the times of its beginning and end where they are wanted.
    pub(super) fn record<'a>(
        &mut self,
        timestamp_writes: Option<wgpu::ComputePassTimestampWrites<'_>>,
        launches: impl IntoIterator<Item = (&'a Pipeline, &'a BindGroup, [u32; 3])>,
    ) -> Result<()> {
        let descriptor = wgpu::ComputePassDescriptor { label: None, timestamp_writes };
        let mut pass = self.encoder.begin_compute_pass(&descriptor);
        for (pipeline, bind_group, [x, y, z]) in launches {
            if x.max(y).max(z) > self.max_workgroups {
                let label = pipeline.label();
                let message = format!(
                    "the grid {x} x {y} x {z} of the kernel {label}: an axis has {} at most",
                    self.max_workgroups
                );
                return Err(Error::Gpu { message });
            }
            pass.set_pipeline(&pipeline.inner.raw);
            pass.set_bind_group(0, &bind_group.raw, &[]);
            pass.dispatch_workgroups(x, y, z);
        }
        Ok(())
    }

    /// Records a copy to the beginning of `to`, in whole words of 4 bytes.
    ///
    /// # Errors
    /// [`Error::Gpu`] when a slice is misplaced, when `to` is the shorter one, or when both are of one buffer.
    pub fn copy(&mut self, from: BufferSlice, to: BufferSlice) -> Result<()> {
        from.check("copying from")?;
        to.check("copying to")?;
        let (source, target) = (&from.buffer.inner.raw, &to.buffer.inner.raw);
        if from.bytes > to.bytes || source == target || from.buffer.usage() == Usage::Readback {
            return Err(Error::Gpu { message: format!("copying {from:?} to {to:?}") });
        }
        self.encoder.copy_buffer_to_buffer(source, from.offset, target, to.offset, from.rounded(4));
        Ok(())
    }
}

impl Gpu {
    /// Begins to record.
    pub fn encoder(&self) -> Commands {
        let encoder = self.inner.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        Commands { encoder, max_workgroups: self.caps().max_workgroups }
    }

    /// Hands commands to the device, which runs them after all that was submitted before.
    ///
    /// # Errors
    /// [`Error::DeviceLost`], and what the driver refused so far: [`Error::Gpu`], [`Error::OutOfMemory`].
    pub fn submit(&self, commands: Commands) -> Result<Submission> {
        self.inner.health.check("submitting")?;
        let index = self.inner.queue.submit([commands.encoder.finish()]);
        self.staged().bytes = 0;
        self.inner.health.check("submitting")?;
        Ok(Submission { index })
    }

    /// Waits until `submission` and all before it have run.
    ///
    /// # Errors
    /// [`Error::DeviceLost`], and what the driver refused so far.
    pub async fn wait(&self, submission: &Submission) -> Result<()> {
        if cfg!(target_family = "wasm") {
            return self.finished().await;
        }
        self.health()?;
        self.poll(wgpu::PollType::Wait { submission_index: Some(submission.index.clone()), timeout: None })?;
        self.health()
    }

    /// Waits until all that was submitted has run.
    ///
    /// # Errors
    /// [`Error::DeviceLost`], and what the driver refused so far.
    pub async fn finished(&self) -> Result<()> {
        self.health()?;
        let (sender, receiver) = signal();
        self.inner.queue.on_submitted_work_done(move || sender.send(()));
        self.poll(wgpu::PollType::wait_indefinitely())?;
        receiver.receive().await;
        self.health()
    }

    /// Has the device tell when all that was submitted so far has run.
    pub fn done(&self) -> Done {
        let done = Arc::new(AtomicBool::new(false));
        let tell = Arc::clone(&done);
        self.inner.queue.on_submitted_work_done(move || tell.store(true, Ordering::Release));
        Done(done)
    }

    /// Whether what `done` tells of has run, without waiting for it.
    ///
    /// # Errors
    /// [`Error::DeviceLost`].
    pub fn is_done(&self, done: &Done) -> Result<bool> {
        self.poll(wgpu::PollType::Poll)?;
        Ok(done.0.load(Ordering::Acquire))
    }

    /// Runs one launch and waits for it: for tests and examples. The parameters are bound from the launch.
    ///
    /// # Errors
    /// As [`pipeline`](Self::pipeline), [`bind`](Self::bind) and [`submit`](Self::submit).
    ///
    /// ```no_run
    /// use quernel::gpu::{Choice, Gpu, Usage};
    /// # pollster::block_on(async {
    /// let gpu = Gpu::open(&Choice::default()).await?;
    /// let row = |label| gpu.buffer(label, 16, Usage::Activation);
    /// let (a, b, y) = (row("a")?, row("b")?, row("y")?);
    /// let add = quernel::kernels::add::launch(1, 4);
    /// gpu.run(&add, &[("a", a.whole()), ("b", b.whole()), ("y", y.whole())]).await?;
    /// # Ok::<(), quernel::Error>(())
    /// # }).unwrap();
    /// ```
    pub async fn run(&self, launch: &Launch, bindings: &[(&str, BufferSlice)]) -> Result<()> {
        let submission = self.start(launch, bindings)?;
        self.wait(&submission).await
    }

    /// As [`run`](Self::run), without waiting.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn start(&self, launch: &Launch, bindings: &[(&str, BufferSlice)]) -> Result<Submission> {
        let pipeline = self.pipeline(&launch.variant)?;
        let mut bindings = bindings.to_vec();
        let uniform = pipeline.reflection().bindings.iter().find(|binding| binding.access == Access::Uniform);
        if let Some(uniform) = uniform {
            let params = self.buffer("params", launch.params.len() as u64, Usage::Params)?;
            self.write(&params.whole(), &launch.params)?;
            bindings.push((&uniform.name, params.whole()));
        }
        let bind_group = self.bind(&pipeline, &bindings)?;
        let mut commands = self.encoder();
        commands.pass([(&pipeline, &bind_group, launch.grid)])?;
        self.submit(commands)
    }
}
