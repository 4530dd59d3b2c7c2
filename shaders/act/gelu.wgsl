// x/2 (1 + erf(x / sqrt 2)), Hendrycks and Gimpel 2016 (arXiv 1606.08415).
// erfc(z) = p(t) e^(-z^2), t = 1 / (1 + z/2), z >= 0: the Chebyshev fit of Press et al., Numerical Recipes 6.2,
// relative error below 1.2e-7 everywhere; negative x needs erfc itself, or 1 + erf would cancel.
fn act(x: vec4<f32>) -> vec4<f32> {
    let z = min(abs(x) * 0.7071067811865476, vec4<f32>(9.0));
    let t = 1.0 / fma(z, vec4<f32>(0.5), vec4<f32>(1.0));
    var p = fma(t, vec4<f32>(0.17087277), vec4<f32>(-0.82215223));
    p = fma(t, p, vec4<f32>(1.48851587));
    p = fma(t, p, vec4<f32>(-1.13520398));
    p = fma(t, p, vec4<f32>(0.27886807));
    p = fma(t, p, vec4<f32>(-0.18628806));
    p = fma(t, p, vec4<f32>(0.09678418));
    p = fma(t, p, vec4<f32>(0.37409196));
    p = fma(t, p, vec4<f32>(1.00002368));
    p = fma(t, p, vec4<f32>(-1.26551223));
    let erfc = t * exp(p - z * z);
    return 0.5 * x * select(erfc, 2.0 - erfc, x >= vec4<f32>());
}
