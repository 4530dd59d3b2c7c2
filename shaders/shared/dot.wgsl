// fma in a fixed order, so that every rung and every number of tokens rounds alike.
fn add_dot(sum: f32, w: vec4<f32>, v: vec4<f32>) -> f32 {
    return fma(w.w, v.w, fma(w.z, v.z, fma(w.y, v.y, fma(w.x, v.x, sum))));
}
