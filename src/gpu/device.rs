//! An open device.

use super::adapter::{describe, found};
use super::buffer::{Live, Staged};
use super::health::Health;
use super::limits::{caps, experimental, missing, wanted};
use super::pipeline::Pipelines;
use super::{AdapterInfo, Choice};
use crate::tensor::Caps;
use crate::{Error, Result};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// An open device with its queue: cheap to clone, and shared between threads.
///
/// ```no_run
/// use quernel::gpu::{Choice, Gpu, Usage};
/// # pollster::block_on(async {
/// let gpu = Gpu::open(&Choice::default()).await?;
/// let buffer = gpu.buffer("numbers", 16, Usage::Activation)?;
/// gpu.write(&buffer.whole(), bytemuck::cast_slice(&[1.0_f32, 2.0, 3.0, 4.0]))?;
/// assert_eq!(bytemuck::cast_slice::<u8, f32>(&gpu.read(buffer.whole()).await?), [1.0, 2.0, 3.0, 4.0]);
/// # Ok::<(), quernel::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct Gpu {
    pub(super) inner: Arc<Inner>,
    caps: Arc<Caps>,
}

pub(super) struct Inner {
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    pub(super) health: Arc<Health>,
    pub(super) live: Arc<Live>,
    pub(super) pipelines: Pipelines,
    pub(super) bind_groups: AtomicU64,
    pub(super) staged: Mutex<Staged>,
    info: AdapterInfo,
}

/// How many things were made since the device was opened. Replaying a step makes none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Buffers, those for reading back included.
    pub buffers: u64,
    /// Bind groups.
    pub bind_groups: u64,
    /// Pipelines compiled.
    pub pipelines: u64,
}

impl Gpu {
    /// Opens the chosen adapter with all that it offers to kernels.
    ///
    /// # Errors
    /// [`Error::NoAdapter`] when there is none such, [`Error::Unsupported`] when it cannot run kernels.
    pub async fn open(choice: &Choice) -> Result<Self> {
        Self::open_with(choice, None).await
    }

    /// Opens the chosen adapter with at most the limits and features of `ceiling`.
    ///
    /// [`Caps::baseline`] is WebGPU's defaults, so any adapter can stand for the least one.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_with(choice: &Choice, ceiling: Option<Caps>) -> Result<Self> {
        let (list, mut adapters): (Vec<_>, Vec<_>) = found().await.into_iter().unzip();
        let place = choice.pick(&list)?;
        let adapter = adapters.swap_remove(place);
        let (required_features, required_limits) = wanted(&adapter, ceiling.as_ref());
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("quernel"),
            required_features,
            required_limits,
            // A model is a few large buffers that live long: small blocks waste less around them.
            memory_hints: wgpu::MemoryHints::MemoryUsage,
            experimental_features: experimental(required_features),
            ..Default::default()
        };
        let info = list[place].clone();
        let opened = adapter.request_device(&descriptor).await;
        let (device, queue) =
            opened.map_err(|error| Error::Unsupported { adapter: info.name.clone(), reason: error.to_string() })?;
        let mut granted = caps(&device, &adapter);
        granted.processor &= ceiling.is_none_or(|ceiling| ceiling.processor);
        Ok(Self::assemble(info, granted, device, queue))
    }

    /// Opens the same adapter anew, with what this device was granted and refuses: where that one was lost.
    ///
    /// # Errors
    /// As [`open`](Self::open); [`Error::NoAdapter`] also where another adapter stands in its place now.
    pub async fn reopen(&self) -> Result<Self> {
        let here = self.info();
        let opened = Self::open_with(&Choice::adapter(here.index.to_string()), Some(self.caps().clone())).await?;
        let there = opened.info();
        if (&there.name, there.backend) != (&here.name, here.backend) {
            let reason = format!("{} ({}) is no longer there; {} is in its place", here.name, here.backend, there.name);
            return Err(Error::NoAdapter { reason });
        }
        Ok(opened.refusing(self.caps().refused.iter().cloned()))
    }

    /// Takes a device that a program opened for itself, so that both work on the same one.
    ///
    /// Kernels use what the device was granted: request the features `SHADER_F16`, `SHADER_INT64`, `SUBGROUP` and, for
    /// prompts, `EXPERIMENTAL_COOPERATIVE_MATRIX`, and the adapter's limits, where they are there. The device's error and loss
    /// handlers are replaced, and what they hear is told by [`health`](Self::health).
    ///
    /// # Errors
    /// [`Error::Unsupported`] when the adapter cannot run kernels, or the device was granted less than they need.
    ///
    /// ```no_run
    /// use quernel::gpu::{Gpu, wgpu};
    /// # async fn embed(adapter: wgpu::Adapter) -> Result<(), Box<dyn std::error::Error>> {
    /// let useful = wgpu::Features::SHADER_F16 | wgpu::Features::SHADER_INT64 | wgpu::Features::SUBGROUP;
    /// let descriptor = wgpu::DeviceDescriptor {
    ///     required_features: adapter.features() & useful,
    ///     required_limits: adapter.limits(),
    ///     ..Default::default()
    /// };
    /// let (device, queue) = adapter.request_device(&descriptor).await?;
    /// let gpu = Gpu::from_wgpu(&adapter, device.clone(), queue.clone())?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_wgpu(adapter: &wgpu::Adapter, device: wgpu::Device, queue: wgpu::Queue) -> Result<Self> {
        let info = describe(0, adapter);
        match missing(&adapter.get_downlevel_capabilities(), &device.limits()) {
            Some(reason) => Err(Error::Unsupported { adapter: info.name, reason }),
            None => Ok(Self::assemble(info, caps(&device, adapter), device, queue)),
        }
    }

    fn assemble(info: AdapterInfo, caps: Caps, device: wgpu::Device, queue: wgpu::Queue) -> Self {
        tracing::info!(adapter = info.name, backend = info.backend, driver = info.driver_info, "opened the GPU");
        let inner = Inner {
            health: Health::listen(&device),
            live: Arc::default(),
            pipelines: Pipelines::default(),
            bind_groups: AtomicU64::new(0),
            staged: Mutex::default(),
            device,
            queue,
            info,
        };
        Self { inner: Arc::new(inner), caps: Arc::new(caps) }
    }

    /// The same device, on which kernel variants of the kinds that are `refused` no longer run: others take their
    /// places where there are any. A [self-test](crate::kernels::Variant::kind) says which compute wrongly.
    #[must_use]
    pub fn refusing(&self, refused: impl IntoIterator<Item = String>) -> Self {
        let caps = Caps { refused: Arc::new(refused.into_iter().collect()), ..self.caps().clone() };
        Self { inner: Arc::clone(&self.inner), caps: Arc::new(caps) }
    }

    /// What the device was granted.
    pub fn caps(&self) -> &Caps {
        &self.caps
    }

    /// What the adapter is.
    pub fn info(&self) -> &AdapterInfo {
        &self.inner.info
    }

    /// Bytes of all buffers alive.
    pub fn allocated(&self) -> u64 {
        self.inner.live.bytes.load(Ordering::Relaxed)
    }

    /// How many things were made so far.
    pub fn counts(&self) -> Counts {
        Counts {
            buffers: self.inner.live.made.load(Ordering::Relaxed),
            bind_groups: self.inner.bind_groups.load(Ordering::Relaxed),
            pipelines: self.inner.pipelines.made(),
        }
    }

    /// Fails with what the driver reported since the last call.
    ///
    /// # Errors
    /// [`Error::DeviceLost`] from the loss on, every time. [`Error::OutOfMemory`] and [`Error::Gpu`] once.
    pub fn health(&self) -> Result<()> {
        self.inner.health.check("running a step")
    }

    /// Takes the device for lost from now on.
    pub(crate) fn lose(&self, message: String) {
        self.inner.health.lose(message);
    }

    /// Gives the device up, as if the driver had taken it: every later call fails with [`Error::DeviceLost`].
    pub fn destroy(&self) {
        self.lose("it was destroyed".to_owned());
        self.inner.device.destroy();
        // The device lets go of its memory when it is next polled; a loss met here is the one asked for.
        self.poll(wgpu::PollType::Poll).ok();
    }

    /// Lets the device's callbacks run; with a waiting `until`, after the work it names is done.
    ///
    /// In a browser this does nothing: the browser runs the callbacks.
    pub(super) fn poll(&self, until: wgpu::PollType) -> Result<()> {
        // The interface panics when the device is lost while it is polled, where it ought to return an error. Its
        // state is not used again after that, since the device is noted as lost.
        let polled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.inner.device.poll(until)));
        match polled {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(Error::Gpu { message: format!("waiting for the GPU: {error}") }),
            Err(_) => {
                self.inner.health.lose("the driver failed while it was waited for".to_owned());
                self.health()
            }
        }
    }
}

impl std::fmt::Debug for Gpu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gpu").field("info", self.info()).field("caps", self.caps()).finish_non_exhaustive()
    }
}
