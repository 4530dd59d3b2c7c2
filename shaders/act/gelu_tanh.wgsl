// x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), Hendrycks and Gimpel 2016 (arXiv 1606.08415).
// tanh is written out: drivers' own overflows for large arguments.
fn act(x: vec4<f32>) -> vec4<f32> {
    let inner = 0.7978845608028654 * x * fma(0.044715 * x, x, vec4<f32>(1.0));
    let e = exp(2.0 * clamp(inner, vec4<f32>(-40.0), vec4<f32>(40.0)));
    // x/2 (1 + (e - 1)/(e + 1)), without the cancellation of 1 + tanh for negative x.
    return x * (e / (e + 1.0));
}
