//! Which adapters there are, and what each can do.

use super::limits::{missing, subgroup};
use super::memory::{device_memory, integer_dot};
use serde::Serialize;
use std::fmt;

/// One adapter as one backend shows it; the same GPU may appear once for each backend.
#[derive(Debug, Clone, Serialize)]
pub struct AdapterInfo {
    /// Its place in the list, by which [`Choice`](super::Choice) can name it.
    pub index: usize,
    /// The driver's name for it.
    pub name: String,
    /// `"vulkan"`, `"metal"`, `"dx12"`, `"gl"` or `"webgpu"`.
    pub backend: &'static str,
    /// The driver's own name, empty where the backend tells none.
    pub driver: String,
    /// The driver's version.
    pub driver_info: String,
    /// `"discrete"`, `"integrated"`, `"virtual"`, `"cpu"` or `"other"`.
    pub kind: &'static str,
    /// The place on the PCI bus, such as `0000:01:00.0`; empty where the backend tells none.
    pub pci: String,
    /// The vendor's number; a PCI vendor id where there is one.
    pub vendor: u32,
    /// The device's number; a PCI device id where there is one.
    pub device: u32,
    /// Bytes of the memory local to the device, where the backend tells.
    pub memory: Option<u64>,
    /// Half-precision arithmetic in shaders.
    pub f16: bool,
    /// Smallest and largest number of lanes of a subgroup; `None` without subgroup operations.
    pub subgroup: Option<(u32, u32)>,
    /// Dot products of four 8-bit integers in one instruction; `None` where the backend does not tell.
    pub int8_dot: Option<bool>,
    /// The cooperative matrices that it reports.
    pub matrices: Vec<MatrixShape>,
    /// What it could grant a device.
    pub limits: Limits,
    /// Why kernels cannot run on it; `None` where they can.
    pub unusable: Option<String>,
    /// The default choice is the adapter with the largest: a discrete GPU before an integrated, a virtual one and a
    /// processor, then more memory before less. 0 where it is unusable.
    pub score: u64,
}

/// One shape of cooperative matrix that an adapter reports: `C[m, n] += A[m, k] · B[k, n]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MatrixShape {
    /// Rows of A and C.
    pub m: u32,
    /// Columns of B and C.
    pub n: u32,
    /// Columns of A, rows of B.
    pub k: u32,
    /// The numbers of A and B, such as `"f16"`.
    pub input: String,
    /// The numbers of C.
    pub output: String,
}

impl fmt::Display for MatrixShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}x{} {}>{}", self.m, self.n, self.k, self.input, self.output)
    }
}

/// The limits that matter to kernels; sizes and alignments in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// What one storage binding may span.
    pub max_binding: u64,
    /// What one uniform binding may span.
    pub max_uniform_binding: u64,
    /// What one buffer may have.
    pub max_buffer: u64,
    /// Storage buffers that one kernel may bind.
    pub max_storage_buffers: u32,
    /// Threads that a workgroup may have.
    pub max_workgroup_threads: u32,
    /// Memory that a workgroup may share.
    pub max_workgroup_memory: u32,
    /// Workgroups along one axis of a dispatch.
    pub max_workgroups: u32,
    /// Storage binding offsets are multiples of this.
    pub storage_alignment: u32,
    /// Uniform binding offsets are multiples of this.
    pub uniform_alignment: u32,
}

/// Every adapter of every backend, in the drivers' order.
///
/// `WGPU_BACKEND` (such as `vulkan` or `gl`) narrows the backends down.
#[cfg(not(target_family = "wasm"))]
pub fn adapters() -> Vec<AdapterInfo> {
    pollster::block_on(find_adapters())
}

/// [`adapters`] where blocking is not allowed.
pub async fn find_adapters() -> Vec<AdapterInfo> {
    found().await.into_iter().map(|(info, _)| info).collect()
}

/// Every adapter with what is known of it.
pub(super) async fn found() -> Vec<(AdapterInfo, wgpu::Adapter)> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
    // No dispatch here is indirect, and checking one costs a dispatch more.
    descriptor.flags.remove(wgpu::InstanceFlags::VALIDATION_INDIRECT_CALL);
    let adapters = wgpu::Instance::new(descriptor).enumerate_adapters(wgpu::Backends::all()).await;
    adapters.into_iter().enumerate().map(|(index, adapter)| (describe(index, &adapter), adapter)).collect()
}

/// What is known of `adapter`.
pub(super) fn describe(index: usize, adapter: &wgpu::Adapter) -> AdapterInfo {
    let info = adapter.get_info();
    let features = adapter.features();
    let memory = device_memory(adapter);
    let unusable = missing(&adapter.get_downlevel_capabilities(), &adapter.limits());
    let score = if unusable.is_some() { 0 } else { score(info.device_type, info.backend, memory) };
    AdapterInfo {
        index,
        kind: kind(info.device_type),
        backend: info.backend.to_str(),
        f16: features.contains(wgpu::Features::SHADER_F16),
        subgroup: subgroup(features, adapter, &info),
        int8_dot: integer_dot(adapter),
        matrices: adapter.cooperative_matrix_properties().iter().map(shape).collect(),
        limits: limits(&adapter.limits()),
        name: info.name,
        driver: info.driver,
        driver_info: info.driver_info,
        pci: info.device_pci_bus_id,
        vendor: info.vendor,
        device: info.device,
        memory,
        unusable,
        score,
    }
}

fn kind(device_type: wgpu::DeviceType) -> &'static str {
    match device_type {
        wgpu::DeviceType::DiscreteGpu => "discrete",
        wgpu::DeviceType::IntegratedGpu => "integrated",
        wgpu::DeviceType::VirtualGpu => "virtual",
        wgpu::DeviceType::Cpu => "cpu",
        wgpu::DeviceType::Other => "other",
    }
}

/// The kind of device decides, then the backend (GL shows less of the same GPU), then the memory in mebibytes.
fn score(device_type: wgpu::DeviceType, backend: wgpu::Backend, memory: Option<u64>) -> u64 {
    let rank: u64 = match device_type {
        wgpu::DeviceType::DiscreteGpu => 5,
        wgpu::DeviceType::IntegratedGpu => 4,
        wgpu::DeviceType::VirtualGpu => 3,
        wgpu::DeviceType::Other => 2,
        wgpu::DeviceType::Cpu => 1,
    };
    let full = u64::from(backend != wgpu::Backend::Gl);
    let mebibytes = (memory.unwrap_or(0) >> 20).min((1 << 32) - 1);
    rank << 33 | full << 32 | mebibytes
}

fn shape(matrix: &wgpu::CooperativeMatrixProperties) -> MatrixShape {
    let name = |number: &dyn fmt::Debug| format!("{number:?}").to_lowercase();
    MatrixShape {
        m: matrix.m_size,
        n: matrix.n_size,
        k: matrix.k_size,
        input: name(&matrix.ab_type),
        output: name(&matrix.cr_type),
    }
}

fn limits(limits: &wgpu::Limits) -> Limits {
    Limits {
        max_binding: limits.max_storage_buffer_binding_size,
        max_uniform_binding: limits.max_uniform_buffer_binding_size,
        max_buffer: limits.max_buffer_size,
        max_storage_buffers: limits.max_storage_buffers_per_shader_stage,
        max_workgroup_threads: limits.max_compute_invocations_per_workgroup,
        max_workgroup_memory: limits.max_compute_workgroup_storage_size,
        max_workgroups: limits.max_compute_workgroups_per_dimension,
        storage_alignment: limits.min_storage_buffer_offset_alignment,
        uniform_alignment: limits.min_uniform_buffer_offset_alignment,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_better_kind_of_device_outweighs_memory() {
        use wgpu::Backend::{Gl, Vulkan};
        use wgpu::DeviceType::{Cpu, DiscreteGpu, IntegratedGpu, VirtualGpu};
        let small = Some(1 << 30);
        let large = Some(1 << 50);
        let ordered = [
            score(DiscreteGpu, Vulkan, large),
            score(DiscreteGpu, Vulkan, small),
            score(DiscreteGpu, Gl, None),
            score(IntegratedGpu, Vulkan, large),
            score(VirtualGpu, Vulkan, large),
            score(Cpu, Vulkan, large),
            score(Cpu, Vulkan, None),
        ];
        assert!(ordered.is_sorted_by(|a, b| a > b), "{ordered:?}");
    }
}
