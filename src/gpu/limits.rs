//! From the interface's limits and features to [`Caps`], and back to what a device is asked for.

use crate::tensor::{Caps, DType, Matrix};
use std::sync::Arc;

/// The optional features that some kernel uses, or that time them.
const USED: wgpu::Features = wgpu::Features::SHADER_F16
    .union(wgpu::Features::SHADER_INT64)
    .union(wgpu::Features::SUBGROUP)
    .union(wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX)
    .union(wgpu::Features::TIMESTAMP_QUERY);

/// Why kernels cannot run with these capabilities and limits; `None` where they can.
pub(super) fn missing(has: &wgpu::DownlevelCapabilities, limits: &wgpu::Limits) -> Option<String> {
    if !has.flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS) {
        return Some("it has no compute shaders".to_owned());
    }
    let least = Caps::baseline();
    let needs = [
        (
            "storage buffers of one kernel",
            least.max_storage_buffers.into(),
            limits.max_storage_buffers_per_shader_stage.into(),
        ),
        (
            "threads of one workgroup",
            least.max_workgroup_threads.into(),
            limits.max_compute_invocations_per_workgroup.into(),
        ),
        (
            "bytes shared by a workgroup",
            least.max_workgroup_memory.into(),
            limits.max_compute_workgroup_storage_size.into(),
        ),
        ("workgroups along one axis", least.max_workgroups.into(), limits.max_compute_workgroups_per_dimension.into()),
        ("bytes of one storage binding", least.max_binding, limits.max_storage_buffer_binding_size),
        ("bytes of one buffer", least.max_buffer, limits.max_buffer_size),
    ];
    let (what, need, have): (&str, u64, u64) = needs.into_iter().find(|(_, need, have)| have < need)?;
    Some(format!("it allows {have} {what}, and {need} are needed"))
}

/// Smallest and largest subgroup, where `features` allow the operations.
///
/// Metal does not tell a device's, and the interface then names all that there are. Of Apple's own, those that have
/// cooperative matrices are of the seventh family or later, and a subgroup of theirs is 32 lanes.
pub(super) fn subgroup(
    features: wgpu::Features,
    adapter: &wgpu::Adapter,
    info: &wgpu::AdapterInfo,
) -> Option<(u32, u32)> {
    let matrices = adapter.features().contains(wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX);
    let sizes = match info.backend {
        wgpu::Backend::Metal if matrices && info.name.starts_with("Apple") => (32, 32),
        _ => (info.subgroup_min_size, info.subgroup_max_size),
    };
    features.contains(wgpu::Features::SUBGROUP).then_some(sizes)
}

/// The features and limits to ask of `adapter`: all of its own, or at most those of `ceiling`.
pub(super) fn wanted(adapter: &wgpu::Adapter, ceiling: Option<&Caps>) -> (wgpu::Features, wgpu::Limits) {
    let (mut features, own) = (adapter.features() & USED, adapter.limits());
    let Some(ceiling) = ceiling else { return (features, own) };
    let allowed = [
        (wgpu::Features::SHADER_F16, ceiling.f16),
        (wgpu::Features::SHADER_INT64, ceiling.int64),
        (wgpu::Features::SUBGROUP, ceiling.subgroup.is_some()),
        (wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX, !ceiling.matrices.is_empty()),
        (wgpu::Features::TIMESTAMP_QUERY, false),
    ];
    for (feature, _) in allowed.into_iter().filter(|(_, allowed)| !allowed) {
        features.remove(feature);
    }
    let threads = ceiling.max_workgroup_threads;
    let ceiling = wgpu::Limits {
        max_storage_buffer_binding_size: ceiling.max_binding,
        max_buffer_size: ceiling.max_buffer,
        max_storage_buffers_per_shader_stage: ceiling.max_storage_buffers,
        max_compute_invocations_per_workgroup: threads,
        max_compute_workgroup_size_x: threads,
        max_compute_workgroup_size_y: threads,
        max_compute_workgroup_storage_size: ceiling.max_workgroup_memory,
        max_compute_workgroups_per_dimension: ceiling.max_workgroups,
        min_storage_buffer_offset_alignment: ceiling.binding_alignment,
        min_uniform_buffer_offset_alignment: ceiling.params_alignment,
        ..wgpu::Limits::defaults()
    };
    (features, ceiling.or_worse_values_from(&own))
}

/// The permission that `features` need, where some of them are experimental.
pub(super) fn experimental(features: wgpu::Features) -> wgpu::ExperimentalFeatures {
    if !features.intersects(wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX) {
        return wgpu::ExperimentalFeatures::disabled();
    }
    // SAFETY: The interface warns that what is experimental may have undefined behaviour in it. Of that, only the
    // operations on cooperative matrices are asked for, and one shader uses them, `matmul_coop`. It loads and stores
    // matrices in workgroup memory alone, at offsets that its constants keep inside, in control flow that is uniform.
    // The interface states Vulkan's memory model for it, and does not mark loads and stores as shared by threads: so
    // every exchange there stands between barriers of the whole workgroup, and the kernel tests repeat it over the same
    // buffers and compare bits. A caller who mistrusts a driver opens the device with a ceiling without matrices.
    unsafe { wgpu::ExperimentalFeatures::enabled() }
}

/// What a device with these features and limits can do.
pub(super) fn caps(device: &wgpu::Device, adapter: &wgpu::Adapter) -> Caps {
    let (features, limits, info) = (device.features(), device.limits(), adapter.get_info());
    let cooperative = features.contains(wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX);
    let matrices = if cooperative { adapter.cooperative_matrix_properties() } else { Vec::new() };
    Caps {
        f16: features.contains(wgpu::Features::SHADER_F16),
        int64: features.contains(wgpu::Features::SHADER_INT64),
        subgroup: subgroup(features, adapter, &info),
        processor: info.device_type == wgpu::DeviceType::Cpu,
        adapter: info.name,
        matrices: matrices.iter().map(matrix).collect(),
        max_binding: limits.max_storage_buffer_binding_size,
        max_buffer: limits.max_buffer_size,
        max_storage_buffers: limits.max_storage_buffers_per_shader_stage,
        max_workgroup_threads: limits.max_compute_invocations_per_workgroup,
        max_workgroup_memory: limits.max_compute_workgroup_storage_size,
        max_workgroups: limits.max_compute_workgroups_per_dimension,
        binding_alignment: limits.min_storage_buffer_offset_alignment,
        params_alignment: limits.min_uniform_buffer_offset_alignment,
        refused: Arc::default(),
    }
}

fn matrix(matrix: &wgpu::CooperativeMatrixProperties) -> Matrix {
    let dtype = |number| match number {
        wgpu::CooperativeScalarType::F32 => Some(DType::F32),
        wgpu::CooperativeScalarType::F16 => Some(DType::F16),
        wgpu::CooperativeScalarType::U32 => Some(DType::U32),
        wgpu::CooperativeScalarType::I32 => None,
    };
    Matrix {
        m: matrix.m_size,
        n: matrix.n_size,
        k: matrix.k_size,
        input: dtype(matrix.ab_type),
        output: dtype(matrix.cr_type),
    }
}
