// Four numbers as single precision in 16 bytes.
const QUADS: u32 = 1u; // quads of four numbers in 16 bytes

fn packed(first: vec4<f32>, second: vec4<f32>) -> vec4<u32> {
    return bitcast<vec4<u32>>(first);
}
