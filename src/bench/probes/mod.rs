//! The kernels that measure a device: each does one thing only, as fast as it can be asked for.
//!
//! They are no part of any model. Each has a definition, as a model's kernels have, so that a driver that leaves out
//! what nobody seems to need is found out.

pub mod dot;
pub mod empty;
pub mod fma;
pub mod matrix;
pub mod memory;

use crate::kernels::{Launch, Params, Variant};
use crate::shader::Recipe;

fn make<P: Params>(
    kernel: &'static str,
    shader: &'static str,
    slots: Vec<(&'static str, &'static str)>,
    constants: Vec<(&'static str, u32)>,
    params: P,
    grid: [u32; 3],
) -> Launch {
    let recipe = Recipe { shader, slots, constants };
    Launch { variant: Variant { kernel, recipe }, params: bytemuck::bytes_of(&params).to_vec(), grid }
}
