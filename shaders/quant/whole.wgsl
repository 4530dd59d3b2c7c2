// For weights that are stored each by itself: they need no scale, and columns of x no preparation.

// A quad of a pack's columns of x as `unscaled` weights want it.
fn prepared(quad: u32, x: vec4<f32>) -> vec4<f32> {
    return x;
}

// A quad of a pack's weights that prepared columns are multiplied by; a scale may be missing.
fn unscaled(packed: Packed, quad: u32) -> vec4<f32> {
    return weights(packed, quad);
}

// Where the sum of a pack's products begins, on top of a row's sum.
fn begun(sum: f32) -> f32 {
    return sum;
}

// The row's sum with that of a pack's products; `total` is of its columns as they were.
fn ended(packed: Packed, part: f32, total: f32, sum: f32) -> f32 {
    return part;
}
