// x as it is.
const NORMED: bool = false;

fn norm_quad(quad: u32) -> vec4<f32> {
    return vec4<f32>(1.0);
}
