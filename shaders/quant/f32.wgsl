// Weights as IEEE 754 single precision: 4 in 16 bytes.
alias Packed = vec4<f32>;
const QUADS: u32 = 1u; // quads of four weights in one Packed

fn unpack(packed: Packed, quad: u32) -> vec4<f32> {
    return packed;
}
