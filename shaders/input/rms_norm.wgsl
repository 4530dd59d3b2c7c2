// The root mean square norm of x, Zhang and Sennrich 2019 (arXiv 1910.07467). Products are taken with x · weight, and
// divided by the root at the end: it is one number for the whole row.
const NORMED: bool = true;
@group(0) @binding(6) var<storage, read> norm: array<Numbers>; // (column / 4)

fn norm_quad(quad: u32) -> vec4<f32> {
    return numbers_of(norm[quad]);
}
