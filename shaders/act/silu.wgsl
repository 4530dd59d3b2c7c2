// x / (1 + e^-x), Elfwing et al. 2017 (arXiv 1702.03118).
// The exponent is bounded because a shader may assume that no infinity occurs.
fn act(x: vec4<f32>) -> vec4<f32> {
    return x / (1.0 + exp(min(-x, vec4<f32>(80.0))));
}
