// Keys and values as IEEE 754 half precision, which needs no f16 feature. Otherwise as kv/f32.wgsl.
//!use shared/half
//!use shared/kv_quads
alias Stored = vec2<u32>; // a quad

fn unpack(stored: Stored) -> vec4<f32> {
    return vec4<f32>(unpack2x16float(stored.x), unpack2x16float(stored.y));
}

fn pack(quad: vec4<f32>, scale: u32) -> Stored {
    let low = vec2<u32>(half_bits(quad.x), half_bits(quad.z));
    let high = vec2<u32>(half_bits(quad.y), half_bits(quad.w));
    return low | (high << vec2<u32>(16u));
}
