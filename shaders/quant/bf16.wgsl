// Weights as the upper halves of single precision: 8 in 16 bytes.
alias Packed = vec4<u32>;
const QUADS: u32 = 2u; // quads of four weights in one Packed

fn unpack(packed: Packed, quad: u32) -> vec4<f32> {
    let words = select(packed.xy, packed.zw, quad == 1u);
    let low = bitcast<vec2<f32>>(words << vec2<u32>(16u));
    let high = bitcast<vec2<f32>>(words & vec2<u32>(0xffff0000u));
    return vec4<f32>(low.x, high.x, low.y, high.y);
}
