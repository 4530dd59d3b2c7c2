// y = W x for many tokens, a unit of eight rows by TOKENS tokens a thread: the linear layer of a prompt, where a
// processor runs the shaders. A weight is unpacked once for all of a thread's tokens; see matvec_rows.wgsl.
//!use shared/linear
//!use shared/input
//!use shared/rows
//!slot words
//!slot columns
//!slot output
override WORKGROUP: u32 = 8u;
override TOKENS: u32 = 4u;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let first = folded(workgroup) * WORKGROUP;
    // Threads beyond the last unit, and tokens beyond the end, repeat the last and keep nothing: others may want a thread's columns.
    let unit = min(first + thread, params.units - 1u);
    let first_token = workgroup.z * TOKENS;
    let last_token = params.tokens - 1u;
    var rows: array<u32, 8>;
    for (var i = 0u; i < 8u; i++) {
        rows[i] = (params.w_first + row_of(unit, i)) * params.row_words;
    }
    var sums: array<array<f32, 8>, TOKENS>;
    var squares: array<vec4<f32>, TOKENS>;
    for (var pack = 0u; pack < params.packs; pack += PACKS) {
        var columns: array<Columns, TOKENS>;
        for (var t = 0u; t < TOKENS; t++) {
            var sum = squares[t];
            columns[t] = columns_of(min(first_token + t, last_token), pack * PACK_QUADS, thread, &sum);
            squares[t] = sum;
        }
        for (var p = 0u; p < PACKS; p++) {
            for (var i = 0u; i < 8u; i++) {
                let packed = fetch(rows[i], pack + p, params.packs);
                var parts: array<f32, TOKENS>;
                for (var t = 0u; t < TOKENS; t++) {
                    parts[t] = begun(sums[t][i]);
                }
                for (var quad = 0u; quad < PACK_QUADS; quad++) {
                    let w = weight_quad(packed, pack + p, quad);
                    for (var t = 0u; t < TOKENS; t++) {
                        parts[t] = add_dot(parts[t], w, columns[t].packs[p][quad]);
                    }
                }
                for (var t = 0u; t < TOKENS; t++) {
                    sums[t][i] = ended(packed, parts[t], columns[t].total, sums[t][i]);
                }
            }
        }
    }
    for (var t = 0u; t < TOKENS; t++) {
        let token = first_token + t;
        let factor = factor_of(all_squares(squares[t]));
        if (token < params.tokens && first + thread < params.units) {
            let low = factor * vec4<f32>(sums[t][0], sums[t][1], sums[t][2], sums[t][3]);
            let high = factor * vec4<f32>(sums[t][4], sums[t][5], sums[t][6], sums[t][7]);
            emit(unit, token, low, high);
        }
    }
}
