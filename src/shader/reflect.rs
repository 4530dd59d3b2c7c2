//! What a linked module binds, read from the module itself so that it is stated once.

use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, StorageAccess, TypeInner};

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

/// A module parsed and validated.
pub struct Parsed {
    /// The module.
    pub module: naga::Module,
    /// What validation learned of it.
    pub info: ModuleInfo,
    /// What it binds.
    pub reflection: Reflection,
}

/// Parses and validates `source`; an error is a line (from 1) and a reason.
///
/// # Errors
/// naga's, with the chain of its causes.
pub fn parse(source: &str) -> Result<Parsed, (usize, String)> {
    let module = naga::front::wgsl::parse_str(source)
        .map_err(|error| (error.location(source).map_or(1, |at| at.line_number as usize), chain(&error)))?;
    let info = Validator::new(ValidationFlags::all(), Capabilities::all()).validate(&module).map_err(|error| {
        let line = error.location(source).map_or(1, |at| at.line_number as usize);
        (line, chain(error.as_inner()))
    })?;
    let reflection = reflect(&module);
    Ok(Parsed { module, info, reflection })
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

fn reflect(module: &naga::Module) -> Reflection {
    let mut reflection = Reflection::default();
    for (_, variable) in module.global_variables.iter() {
        let name = variable.name.clone().unwrap_or_default();
        let access = match variable.space {
            AddressSpace::Uniform => Access::Uniform,
            AddressSpace::Storage { access } if access.contains(StorageAccess::STORE) => Access::ReadWrite,
            AddressSpace::Storage { .. } => Access::Read,
            AddressSpace::WorkGroup => {
                reflection.workgroup_memory += module.types[variable.ty].inner.size(module.to_ctx());
                continue;
            }
            _ => continue,
        };
        if let Some(binding) = &variable.binding {
            reflection.bindings.push(Binding { index: binding.binding, name, access });
        }
        if let (Access::Uniform, TypeInner::Struct { members, .. }) = (access, &module.types[variable.ty].inner) {
            reflection.params = members
                .iter()
                .map(|member| Member { name: member.name.clone().unwrap_or_default(), offset: member.offset })
                .collect();
        }
    }
    reflection.bindings.sort_by_key(|binding| binding.index);
    if let Some(entry) = module.entry_points.iter().find(|entry| entry.name == "main") {
        reflection.workgroup = entry.workgroup_size;
    }
    reflection
}
