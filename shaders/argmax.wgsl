// The column of each row's largest element, the first of equals, and how many elements are not finite.
// One workgroup a row. NaN is told by its bits, since a shader may assume that x == x.
//!use shared/fold
//!slot best
override WORKGROUP: u32 = 256u;
const AHEAD: u32 = 4u; // quads that a thread loads before it looks at the first, so that it waits for memory once

struct Params {
    rows: u32,
    columns: u32,
    quads: u32, // of a row, padding included
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>; // (row, column / 4)
@group(0) @binding(2) var<storage, read_write> y: array<vec2<u32>>; // (row): column, elements not finite

const LOWEST: f32 = -0x1.fffffep+127f; // of all finite numbers; stands for those that are not
const EXPONENT: u32 = 0x7f800000u; // all ones in an infinity and in a NaN

// What a thread, and then a workgroup, knows of a row.
struct Best {
    value: f32,
    column: u32,
    not_finite: u32,
}

fn better(a: Best, b: Best) -> Best {
    var best = a;
    if (b.value > a.value || (b.value == a.value && b.column < a.column)) {
        best = b;
    }
    best.not_finite = a.not_finite + b.not_finite;
    return best;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row = folded(workgroup);
    if (row >= params.rows) {
        return;
    }
    var best = Best(LOWEST, 0xffffffffu, 0u);
    for (var first = thread; first < params.quads; first += AHEAD * WORKGROUP) {
        var values: array<vec4<f32>, AHEAD>;
        for (var j = 0u; j < AHEAD; j++) {
            values[j] = x[row * params.quads + min(first + j * WORKGROUP, params.quads - 1u)];
        }
        for (var j = 0u; j < AHEAD; j++) {
            for (var i = 0u; i < 4u; i++) {
                let column = 4u * (first + j * WORKGROUP) + i;
                if (column < params.columns) {
                    let value = values[j][i];
                    let finite = (bitcast<u32>(value) & EXPONENT) != EXPONENT;
                    best = better(best, Best(select(LOWEST, value, finite), column, select(1u, 0u, finite)));
                }
            }
        }
    }
    let winner = best_of_all(thread, best);
    if (thread == 0u) {
        y[row] = vec2<u32>(winner.column, winner.not_finite);
    }
}
