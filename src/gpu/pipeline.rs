//! Pipelines and bind groups: shaders made ready, and buffers matched to them by name.

use super::health::caught;
use super::{Buffer, BufferSlice, Gpu, Usage};
use crate::kernels::Variant;
use crate::shader::{Access, Binding, Reflection, Target, link};
use crate::{Error, Result};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A compiled kernel variant; a clone is the same one.
#[derive(Clone)]
pub struct Pipeline {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) raw: wgpu::ComputePipeline,
    layout: wgpu::BindGroupLayout,
    reflection: Reflection,
    label: String,
}

impl Pipeline {
    /// What the shader binds, and its workgroup size.
    pub fn reflection(&self) -> &Reflection {
        &self.inner.reflection
    }

    /// The variant, as messages and profiles name it.
    pub fn label(&self) -> &str {
        &self.inner.label
    }
}

impl std::fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pipeline({:?})", self.label())
    }
}

/// Buffers bound to a pipeline; keeps them alive.
#[derive(Debug, Clone)]
pub struct BindGroup {
    pub(super) raw: wgpu::BindGroup,
    /// The interface keeps the memory too: holding the buffers keeps the count of bytes honest.
    _buffers: Arc<[Buffer]>,
}

/// The pipelines compiled so far.
#[derive(Default)]
pub(super) struct Pipelines {
    known: Mutex<HashMap<Variant, Pipeline>>,
    made: AtomicU64,
    checked: AtomicBool,
    spoilt: Mutex<Option<Spoilt>>,
}

/// A kind of variant, and what its text has in place of what.
struct Spoilt {
    kind: String,
    from: String,
    to: String,
}

impl Pipelines {
    pub(super) fn made(&self) -> u64 {
        self.made.load(Ordering::Relaxed)
    }
}

impl Gpu {
    /// The pipeline of `variant`, compiled the first time it is asked for.
    ///
    /// # Errors
    /// [`Error::Shader`] when it does not link, [`Error::Unsupported`] when it needs more than the device has,
    /// [`Error::SelfTest`] when its kind is refused, [`Error::Gpu`] when the driver refuses it.
    pub fn pipeline(&self, variant: &Variant) -> Result<Pipeline> {
        self.inner.health.check("making a pipeline")?;
        if self.caps().refused.contains(&variant.kind()) {
            return Err(Error::SelfTest { adapter: self.caps().adapter.clone(), what: variant.kind() });
        }
        let pipelines = &self.inner.pipelines;
        // Held while compiling, so that two threads never compile one variant twice.
        let mut known = pipelines.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pipeline) = known.get(variant) {
            return Ok(pipeline.clone());
        }
        let pipeline = self.compile(variant)?;
        pipelines.made.fetch_add(1, Ordering::Relaxed);
        known.insert(variant.clone(), pipeline.clone());
        Ok(pipeline)
    }

    /// Whether kernels that are compiled from now on keep the interface's checks of every index and every loop.
    ///
    /// They are left out by default: the launches keep every index within its binding, and tests hold each kernel to
    /// that with sentinels around all that it may touch. A driver under suspicion is a reason to put them in.
    pub fn check_shaders(&self, checked: bool) {
        self.inner.pipelines.checked.store(checked, Ordering::Relaxed);
    }

    /// Makes every variant of `kind` compute wrongly: its text gets `to` in place of `from`. For tests of self-tests
    /// alone, before anything is compiled. What is spoilt keeps the interface's checks.
    pub fn spoil(&self, kind: &str, from: &str, to: &str) {
        let [kind, from, to] = [kind, from, to].map(str::to_owned);
        *self.inner.pipelines.spoilt.lock().unwrap_or_else(PoisonError::into_inner) = Some(Spoilt { kind, from, to });
    }

    fn compile(&self, variant: &Variant) -> Result<Pipeline> {
        let target = if self.info().backend == "webgpu" { Target::Tint } else { Target::Naga };
        let mut linked = link(&variant.recipe, target)?;
        let label = variant.to_string();
        self.affords(&label, &linked.reflection)?;
        let device = &self.inner.device;
        let mut checked = self.inner.pipelines.checked.load(Ordering::Relaxed);
        let spoilt = self.inner.pipelines.spoilt.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Spoilt { from, to, .. }) = spoilt.as_ref().filter(|spoilt| spoilt.kind == variant.kind()) {
            linked.source = linked.source.replace(from, to);
            checked = true;
        }
        let doing = format!("compiling the kernel {label}");
        let (raw, layout) = caught(device, &doing, || {
            let module = shader_module(device, &label, linked.source, checked);
            let entries: Vec<_> = linked.reflection.bindings.iter().map(layout_entry).collect();
            let layout = device
                .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some(&label), entries: &entries });
            let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label: Some(&label),
                bind_group_layouts: &[Some(&layout)],
                immediate_size: 0,
            });
            let raw = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(&label),
                layout: Some(&pipeline_layout),
                module: &module,
                entry_point: Some("main"),
                // Kernels write their workgroup's memory before they read it; zeroing it costs a barrier.
                compilation_options: wgpu::PipelineCompilationOptions {
                    zero_initialize_workgroup_memory: checked,
                    ..Default::default()
                },
                cache: None,
            });
            (raw, layout)
        })?;
        self.inner.health.check(&doing)?;
        Ok(Pipeline { inner: Arc::new(Inner { raw, layout, reflection: linked.reflection, label }) })
    }

    /// Fails where a kernel needs more than the device was granted.
    fn affords(&self, label: &str, kernel: &Reflection) -> Result<()> {
        let caps = self.caps();
        let threads: u64 = kernel.workgroup.iter().map(|axis| u64::from(*axis)).product();
        let buffers = kernel.bindings.iter().filter(|binding| binding.access != Access::Uniform).count() as u64;
        let needs = [
            ("threads in a workgroup", threads, caps.max_workgroup_threads),
            ("bytes shared by a workgroup", kernel.workgroup_memory.into(), caps.max_workgroup_memory),
            ("storage buffers", buffers, caps.max_storage_buffers),
        ];
        match needs.into_iter().find(|(_, need, have)| *need > u64::from(*have)) {
            None => Ok(()),
            Some((what, need, have)) => Err(Error::Unsupported {
                adapter: caps.adapter.clone(),
                reason: format!("the kernel {label} needs {need} {what}, and the device allows {have}"),
            }),
        }
    }

    /// Binds buffers to the bindings of `pipeline`, by the names they have in the shader.
    ///
    /// # Errors
    /// [`Error::Gpu`] when a name is missing, unknown or given twice, when a slice is misplaced, or when one buffer is
    /// bound both for reading and for writing. [`Error::DoesNotFit`] when a slice is longer than a binding may be.
    pub fn bind(&self, pipeline: &Pipeline, slices: &[(&str, BufferSlice)]) -> Result<BindGroup> {
        self.inner.health.check("binding buffers")?;
        let (label, bindings) = (pipeline.label(), &pipeline.reflection().bindings);
        let refuse = |reason: String| Err(Error::Gpu { message: format!("binding the kernel {label}: {reason}") });
        let mut entries = Vec::with_capacity(bindings.len());
        for binding in bindings {
            let mut given = slices.iter().filter(|(name, _)| *name == binding.name);
            match (given.next(), given.next()) {
                (Some((_, slice)), None) => entries.push(self.entry(label, binding, slice)?),
                (None, _) => return refuse(format!("no buffer is given for {:?}", binding.name)),
                (_, Some(_)) => return refuse(format!("{:?} is given twice", binding.name)),
            }
        }
        for (name, slice) in slices {
            let Some(binding) = bindings.iter().find(|binding| binding.name == *name) else {
                let known: Vec<_> = bindings.iter().map(|binding| binding.name.as_str()).collect();
                return refuse(format!("it has no binding {name:?}; it has {}", known.join(", ")));
            };
            let shared = |(other, part): &&(&str, BufferSlice)| {
                let reads = bindings.iter().any(|one| one.name == *other && one.access == Access::Read);
                reads && part.buffer.inner.raw == slice.buffer.inner.raw
            };
            if let (Access::ReadWrite, Some((other, _))) = (binding.access, slices.iter().find(shared)) {
                return refuse(format!("{name:?} is written and {other:?} is read in the same buffer"));
            }
        }
        let descriptor =
            wgpu::BindGroupDescriptor { label: Some(label), layout: &pipeline.inner.layout, entries: &entries };
        let doing = format!("binding the kernel {label}");
        let raw = caught(&self.inner.device, &doing, || self.inner.device.create_bind_group(&descriptor))?;
        self.inner.health.check(&doing)?;
        self.inner.bind_groups.fetch_add(1, Ordering::Relaxed);
        Ok(BindGroup { raw, _buffers: slices.iter().map(|(_, slice)| slice.buffer.clone()).collect() })
    }

    fn entry<'a>(&self, label: &str, binding: &Binding, slice: &'a BufferSlice) -> Result<wgpu::BindGroupEntry<'a>> {
        let (name, uniform) = (&binding.name, binding.access == Access::Uniform);
        slice.check(&format!("binding {name:?} of the kernel {label}"))?;
        let limits = self.inner.device.limits();
        let (limit, alignment) = match uniform {
            true => (limits.max_uniform_buffer_binding_size, limits.min_uniform_buffer_offset_alignment),
            false => (limits.max_storage_buffer_binding_size, limits.min_storage_buffer_offset_alignment),
        };
        let usage = slice.buffer.usage();
        let fits = if uniform { usage == Usage::Params } else { !matches!(usage, Usage::Params | Usage::Readback) };
        if !fits || !slice.offset.is_multiple_of(u64::from(alignment)) {
            let message = format!(
                "binding {name:?} of the kernel {label}: {:?} at offset {}; a {} binding begins at a multiple of {alignment} \
                 of a buffer for {}",
                slice.buffer,
                slice.offset,
                if uniform { "uniform" } else { "storage" },
                if uniform { "parameters" } else { "weights, activations or a step" },
            );
            return Err(Error::Gpu { message });
        }
        // Kernels load quads, so the last one is bound whole.
        let bytes = slice.rounded(16);
        if bytes > limit {
            return Err(Error::DoesNotFit {
                what: format!("{name:?} of the kernel {label}"),
                need: bytes,
                have: limit,
                limit_name: format!("the largest binding of {}", self.caps().adapter),
                way_out: String::new(),
            });
        }
        let buffer = &slice.buffer.inner.raw;
        let resource = wgpu::BindingResource::Buffer(wgpu::BufferBinding {
            buffer,
            offset: slice.offset,
            size: wgpu::BufferSize::new(bytes),
        });
        Ok(wgpu::BindGroupEntry { binding: binding.index, resource })
    }
}

fn shader_module(device: &wgpu::Device, label: &str, source: String, checked: bool) -> wgpu::ShaderModule {
    let source = wgpu::ShaderSource::Wgsl(source.into());
    let descriptor = wgpu::ShaderModuleDescriptor { label: Some(label), source };
    if checked {
        return device.create_shader_module(descriptor);
    }
    // SAFETY: The sources are this crate's own files alone. Every loop in them counts to a bound that its launch or a
    // constant gives. Every index is a function of the grid and of parameters that the launch derives from the shapes
    // of what is bound; numbers that come from elsewhere (ids, rows of the cache, pages) are compared with those shapes
    // by the kernel, or made by the engine's own page table. The kernel tests run every kernel with sentinels around
    // each binding, at sizes around every tile. Through Vulkan and DirectX what lies beyond a binding is bounded all the
    // same, by robust buffer access, which wgpu asks for wherever it is there; Metal has none.
    unsafe { device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked()) }
}

fn layout_entry(binding: &Binding) -> wgpu::BindGroupLayoutEntry {
    let ty = match binding.access {
        Access::Uniform => wgpu::BufferBindingType::Uniform,
        Access::Read => wgpu::BufferBindingType::Storage { read_only: true },
        Access::ReadWrite => wgpu::BufferBindingType::Storage { read_only: false },
    };
    wgpu::BindGroupLayoutEntry {
        binding: binding.index,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
        count: None,
    }
}
