// The end of a product that a workgroup's threads share: their sums for one unit of eight rows and TOKENS tokens, added
// up, normed and emitted. The kernel declares what shared/linear does, WORKGROUP and TOKENS.
//!slot reduce
//!slot output
override TOKENS: u32 = 1u; // 4 at most: a reduction's lanes hold the squares of as many tokens
const REDUCTIONS: u32 = 2u * TOKENS + 1u;

fn emit_sums(
    thread: u32,
    unit: u32,
    first_token: u32,
    sums: array<array<vec4<f32>, 2>, TOKENS>,
    squares: vec4<f32>, // of up to four tokens
) {
    for (var t = 0u; t < TOKENS; t++) {
        contribute_sum(2u * t, thread, sums[t][0]);
        contribute_sum(2u * t + 1u, thread, sums[t][1]);
    }
    if (NORMED) {
        contribute_sum(2u * TOKENS, thread, squares);
    }
    workgroupBarrier();
    var factors = vec4<f32>(1.0);
    if (NORMED) {
        factors = 1.0 / sqrt(collect_sum(2u * TOKENS) / f32(params.columns) + params.epsilon);
    }
    for (var t = 0u; t < TOKENS; t++) {
        let low = collect_sum(2u * t);
        let high = collect_sum(2u * t + 1u);
        if (thread == t && first_token + t < params.tokens) {
            emit(unit, first_token + t, factors[t] * low, factors[t] * high);
        }
    }
}
