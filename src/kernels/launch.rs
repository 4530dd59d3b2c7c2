//! A kernel chosen: which shader, with which parameters, over which grid.

use crate::shader::Recipe;
use std::fmt;

/// One way to compute a kernel: a shader file with its slots and constants filled.
///
/// Equal variants are the same pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Variant {
    /// The kernel, in the word that its files, tests and profile labels use.
    pub kernel: &'static str,
    /// The shader and what fills it.
    pub recipe: Recipe,
}

impl Variant {
    /// Its kind, which a self-test passes or refuses as a whole: the shader, its rung where it has several, the storage or
    /// the function that it is made for, and whether it loads 64 bits at once, as `matvec/subgroup/q4`.
    ///
    /// ```
    /// use quernel::kernels::{Rung, rms_norm};
    /// assert_eq!(rms_norm::launch(1, 8, 1e-5, Rung::Subgroup).variant.kind(), "rms_norm/subgroup");
    /// ```
    pub fn kind(&self) -> String {
        let fills = |names: &[&str]| {
            let slots = &self.recipe.slots;
            names.iter().find_map(|name| slots.iter().find(|(slot, _)| slot == name)).map(|(_, file)| *file)
        };
        let parts = [fills(&["reduce", "best", "columns", "matrix"]), fills(&["groups", "quant", "pack", "kv", "act"])];
        let mut kind = self.recipe.shader.to_owned();
        let wide = fills(&["words"]).filter(|file| *file == "words/wide");
        for file in parts.into_iter().flatten().chain(wide) {
            kind.push('/');
            kind.push_str(file.rsplit('/').next().unwrap_or(file));
        }
        kind
    }

    /// What it rounds activations to before it multiplies them, where it does.
    pub fn rounding(&self) -> Option<Rounding> {
        let halves = self.recipe.slots.iter().any(|(slot, _)| *slot == "matrix");
        let bytes = self.recipe.shader.ends_with("_int8");
        if bytes { Some(Rounding::Bytes) } else { halves.then_some(Rounding::Halves) }
    }
}

/// What activations are rounded to before they are multiplied by weights, the finer first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rounding {
    /// Half precision.
    Halves,
    /// Bytes with a scale for each 32.
    Bytes,
}

impl Rounding {
    /// The normalised mean squared error of it.
    pub const fn nmse(self) -> f64 {
        match self {
            Self::Halves => 1e-6,
            Self::Bytes => 5e-4,
        }
    }

    /// Its name in records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Halves => "f16",
            Self::Bytes => "int8",
        }
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kernel)?;
        if self.recipe.shader != self.kernel {
            write!(f, "/{}", self.recipe.shader)?;
        }
        for (_, file) in &self.recipe.slots {
            write!(f, "/{}", file.rsplit('/').next().unwrap_or(file))?;
        }
        for (name, value) in &self.recipe.constants {
            write!(f, "/{name}={value}")?;
        }
        Ok(())
    }
}

/// A variant with the parameters and the grid of one dispatch.
#[derive(Debug, Clone, PartialEq)]
pub struct Launch {
    /// Which pipeline.
    pub variant: Variant,
    /// The bytes of the kernel's `Params`.
    pub params: Vec<u8>,
    /// Workgroups along each axis.
    pub grid: [u32; 3],
}

/// A kernel's parameters: 4-byte scalars, in the order of the shader's `struct Params`.
pub trait Params: bytemuck::Pod {
    /// Each field's name and offset, held against the shader's by a test.
    const FIELDS: &'static [(&'static str, usize)];
}

/// Declares a kernel's `Params` and tells its fields' names and offsets.
macro_rules! params {
    ($(#[$doc:meta])* pub struct $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[repr(C)]
        #[derive(Debug, Clone, Copy, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
        pub struct $name { $($(#[$field_doc])* pub $field: $type,)* }

        impl $crate::kernels::Params for $name {
            const FIELDS: &'static [(&'static str, usize)] =
                &[$((stringify!($field), std::mem::offset_of!($name, $field)),)*];
        }
    };
}
pub(crate) use params;

/// Workgroups along x before a grid goes on along y; the same number as in `shaders/shared/fold.wgsl`.
pub const FOLD: u32 = 32_768;

/// A grid of `workgroups` workgroups in a row, folded where one axis cannot hold them.
///
/// ```
/// use quernel::kernels::fold;
/// assert_eq!(fold(7), [7, 1, 1]);
/// assert_eq!(fold(32_769), [32_768, 2, 1]);
/// ```
pub fn fold(workgroups: usize) -> [u32; 3] {
    let workgroups = workgroups.max(1) as u64;
    [workgroups.min(u64::from(FOLD)) as u32, workgroups.div_ceil(u64::from(FOLD)) as u32, 1]
}
