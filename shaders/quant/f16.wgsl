// Weights as IEEE 754 half precision: 8 in 16 bytes. Unpacking needs no f16 feature.
alias Packed = vec4<u32>;
const QUADS: u32 = 2u; // quads of four weights in one Packed

fn unpack(packed: Packed, quad: u32) -> vec4<f32> {
    let words = select(packed.xy, packed.zw, quad == 1u);
    return vec4<f32>(unpack2x16float(words.x), unpack2x16float(words.y));
}
