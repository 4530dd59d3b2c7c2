// Keys and values as IEEE 754 single precision.
// A kernel with the slot `kv` declares HEAD_QUADS and PAGE_TOKENS. A block is a page of one head:
// page * kv_heads + kv_head. Where SCALED, a number is unpack(..) * scale_in(..).
//!use shared/kv_quads
alias Stored = vec4<f32>; // a quad

fn unpack(stored: Stored) -> vec4<f32> {
    return stored;
}

fn pack(quad: vec4<f32>, scale: u32) -> Stored {
    return quad;
}
