//! What a linked module binds.

/// How a kernel uses a binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// `var<uniform>`.
    Uniform,
    /// `var<storage, read>`.
    Read,
    /// `var<storage, read_write>`.
    ReadWrite,
}

/// One `@group(0) @binding(i)` variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The binding's number.
    pub index: u32,
    /// The variable's name, by which buffers are matched to it.
    pub name: String,
    /// How the kernel uses it.
    pub access: Access,
}

/// One member of `struct Params`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its offset in bytes.
    pub offset: u32,
}

/// What a module binds, how its parameters lie, and how many threads a workgroup has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reflection {
    /// Bindings by number.
    pub bindings: Vec<Binding>,
    /// The members of `struct Params`, empty where the kernel has none.
    pub params: Vec<Member>,
    /// Threads along each axis of a workgroup of the entry point `main`.
    pub workgroup: [u32; 3],
    /// Bytes of workgroup memory.
    pub workgroup_memory: u32,
}

/// Reads what `source` binds.
pub fn reflect(source: &str) -> Reflection {
    let _ = source;
    Reflection::default()
}
