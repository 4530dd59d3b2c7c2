// Columns of x, normed but for the root where the slot `input` says so. The kernel declares what shared/linear does.
//!slot input

// A quad of x; its squares go on top of `squares`.
fn input_quad(token: u32, quad: u32, squares: ptr<function, vec4<f32>>) -> vec4<f32> {
    var v = numbers_of(x[token * params.x_quads + quad]);
    if (TAIL == 1u) {
        v = keep(v, 4u * quad, params.columns);
    }
    if (NORMED) {
        *squares = fma(v, v, *squares);
        v *= norm_quad(quad);
        if (TAIL == 1u) {
            v = keep(v, 4u * quad, params.columns);
        }
    }
    return v;
}

// What products are multiplied by for the norm, whose squares are these.
fn factor_of(squares: vec4<f32>) -> f32 {
    if (NORMED) {
        let mean = ((squares.x + squares.y) + (squares.z + squares.w)) / f32(params.columns);
        return 1.0 / sqrt(mean + params.epsilon);
    }
    return 1.0;
}
