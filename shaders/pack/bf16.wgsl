// Eight numbers as the upper halves of single precision in 16 bytes. What the lower halves hold is cut off.
const QUADS: u32 = 2u; // quads of four numbers in 16 bytes

fn packed(first: vec4<f32>, second: vec4<f32>) -> vec4<u32> {
    let a = bitcast<vec4<u32>>(first);
    let b = bitcast<vec4<u32>>(second);
    let low = vec4<u32>(a.x, a.z, b.x, b.z) >> vec4<u32>(16u);
    let high = vec4<u32>(a.y, a.w, b.y, b.w) & vec4<u32>(0xffff0000u);
    return low | high;
}
