//! What a GPU can do, as plain data.

use super::DType;
use std::collections::BTreeSet;
use std::sync::Arc;

/// One shape of cooperative matrix that an adapter multiplies: `C[m, n] += A[m, k] · B[k, n]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Matrix {
    /// Rows of A and C.
    pub m: u32,
    /// Columns of B and C.
    pub n: u32,
    /// Columns of A, rows of B.
    pub k: u32,
    /// Storage of A and B; `None` where Quernel has no name for it.
    pub input: Option<DType>,
    /// Storage of C; `None` where Quernel has no name for it.
    pub output: Option<DType>,
}

/// What a device was granted: limits in bytes and counts, and optional features.
///
/// Kernels are selected and graphs are planned from this alone, so both can be done and tested with no GPU.
#[derive(Debug, Clone, PartialEq)]
pub struct Caps {
    /// The adapter's name, for messages.
    pub adapter: String,
    /// Whether a processor runs the shaders, as software drivers do.
    pub processor: bool,
    /// Half-precision arithmetic in shaders. Half-precision *storage* needs no feature.
    pub f16: bool,
    /// Integers of 64 bits in shaders.
    pub int64: bool,
    /// Smallest and largest number of lanes of a subgroup; `None` without subgroup operations.
    pub subgroup: Option<(u32, u32)>,
    /// Cooperative matrices, empty where there are none.
    pub matrices: Vec<Matrix>,
    /// Bytes that one storage binding may span.
    pub max_binding: u64,
    /// Bytes that one buffer may have.
    pub max_buffer: u64,
    /// Storage buffers that one kernel may bind.
    pub max_storage_buffers: u32,
    /// Threads a workgroup may have.
    pub max_workgroup_threads: u32,
    /// Bytes of memory that a workgroup may share.
    pub max_workgroup_memory: u32,
    /// Workgroups along one axis of a dispatch.
    pub max_workgroups: u32,
    /// Storage binding offsets are multiples of this.
    pub binding_alignment: u32,
    /// Offsets of a kernel's parameters in their buffer are multiples of this.
    pub params_alignment: u32,
    /// Kinds of kernel variants that must not run here, since a self-test found them wrong.
    pub refused: Arc<BTreeSet<String>>,
}

impl Caps {
    /// WebGPU's default limits and no optional feature: what every adapter has.
    pub fn baseline() -> Self {
        Self {
            adapter: "WebGPU baseline".to_owned(),
            processor: false,
            f16: false,
            int64: false,
            subgroup: None,
            matrices: Vec::new(),
            max_binding: 128 << 20,
            max_buffer: 256 << 20,
            max_storage_buffers: 8,
            max_workgroup_threads: 256,
            max_workgroup_memory: 16 << 10,
            max_workgroups: 65_535,
            binding_alignment: 256,
            params_alignment: 256,
            refused: Arc::default(),
        }
    }
}
