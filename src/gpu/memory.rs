//! What only a backend's own interface tells: how much memory a device has, and whether it multiplies bytes.
//!
//! Vulkan tells both. Elsewhere the answer is "not known", which callers must take as such.

pub(super) use told::{device_memory, integer_dot};

#[cfg(any(windows, target_os = "linux", target_os = "android", target_os = "freebsd"))]
mod told {
    use wgpu::hal::api::Vulkan;

    /// Bytes of the memory local to the device that `wgpu` makes buffers in, which is the heap of the first type of such
    /// memory: cards have another that the processor sees too, and it is not turned to. `None` where not known.
    pub(in crate::gpu) fn device_memory(adapter: &wgpu::Adapter) -> Option<u64> {
        /// `VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT`
        const DEVICE_LOCAL: u32 = 1;
        // SAFETY: the handle behind the guard is only asked for properties, and neither destroyed nor kept.
        let adapter = unsafe { adapter.as_hal::<Vulkan>() }?;
        let instance = adapter.shared_instance().raw_instance();
        // SAFETY: the physical device was enumerated from this very instance, and the guard keeps both alive.
        let properties = unsafe { instance.get_physical_device_memory_properties(adapter.raw_physical_device()) };
        let mut kinds = properties.memory_types.iter().take(properties.memory_type_count as usize);
        let local = kinds.find(|kind| kind.property_flags.as_raw() & DEVICE_LOCAL != 0)?;
        properties.memory_heaps.get(local.heap_index as usize).map(|heap| heap.size)
    }

    /// Whether dot products of four 8-bit integers are an instruction; `None` where not known.
    pub(in crate::gpu) fn integer_dot(adapter: &wgpu::Adapter) -> Option<bool> {
        const VULKAN_1_3: u32 = 1 << 22 | 3 << 12;
        // SAFETY: as above.
        let adapter = unsafe { adapter.as_hal::<Vulkan>() }?;
        let known = adapter.physical_device_capabilities();
        // Vulkan 1.3 makes the feature mandatory, and so does the extension before it.
        let promoted = known.properties().api_version >= VULKAN_1_3;
        Some(promoted || known.supports_extension(c"VK_KHR_shader_integer_dot_product"))
    }
}

#[cfg(not(any(windows, target_os = "linux", target_os = "android", target_os = "freebsd")))]
mod told {
    /// Not known here.
    pub(in crate::gpu) fn device_memory(_: &wgpu::Adapter) -> Option<u64> {
        None
    }

    /// Not known here.
    pub(in crate::gpu) fn integer_dot(_: &wgpu::Adapter) -> Option<bool> {
        None
    }
}
