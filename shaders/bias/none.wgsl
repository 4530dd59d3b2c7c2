// No bias.
fn bias_quad(quad: u32) -> vec4<f32> {
    return vec4<f32>();
}
