// y = W x for many tokens, a unit of eight rows by TOKENS tokens a thread: the linear layer of a prompt, where a
// processor runs the shaders. A weight is unpacked once for all of a thread's tokens; see matvec_rows.wgsl.
//!use shared/linear
//!use words/narrow
//!use shared/input
//!slot output
override WORKGROUP: u32 = 8u;
override TOKENS: u32 = 4u;

fn weight_quad(packed: Packed, pack: u32, i: u32) -> vec4<f32> {
    let w = weights(packed, i);
    if (TAIL == 1u) {
        return keep(w, 4u * (pack * PACK_QUADS + i), params.columns);
    }
    return w;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let unit = folded(workgroup) * WORKGROUP + thread;
    if (unit >= params.units) {
        return;
    }
    let first_token = workgroup.z * TOKENS;
    let last_token = params.tokens - 1u;
    var rows: array<u32, 8>;
    for (var i = 0u; i < 8u; i++) {
        rows[i] = (params.w_first + row_of(unit, i)) * params.row_words;
    }
    var sums: array<array<vec4<f32>, 2>, TOKENS>;
    var squares: array<vec4<f32>, TOKENS>;
    for (var pack = 0u; pack < params.packs; pack++) {
        var quads: array<array<vec4<f32>, PACK_QUADS>, TOKENS>;
        for (var t = 0u; t < TOKENS; t++) {
            var sum = squares[t];
            for (var i = 0u; i < PACK_QUADS; i++) {
                quads[t][i] = input_quad(min(first_token + t, last_token), pack * PACK_QUADS + i, &sum);
            }
            squares[t] = sum;
        }
        for (var j = 0u; j < 2u; j++) {
            let packed0 = fetch(rows[4u * j], pack, params.packs);
            let packed1 = fetch(rows[4u * j + 1u], pack, params.packs);
            let packed2 = fetch(rows[4u * j + 2u], pack, params.packs);
            let packed3 = fetch(rows[4u * j + 3u], pack, params.packs);
            for (var i = 0u; i < PACK_QUADS; i++) {
                let w0 = weight_quad(packed0, pack, i);
                let w1 = weight_quad(packed1, pack, i);
                let w2 = weight_quad(packed2, pack, i);
                let w3 = weight_quad(packed3, pack, i);
                for (var t = 0u; t < TOKENS; t++) {
                    let v = quads[t][i];
                    let sum = sums[t][j];
                    sums[t][j] = vec4<f32>(
                        add_dot(sum.x, w0, v),
                        add_dot(sum.y, w1, v),
                        add_dot(sum.z, w2, v),
                        add_dot(sum.w, w3, v),
                    );
                }
            }
        }
    }
    for (var t = 0u; t < TOKENS; t++) {
        let token = first_token + t;
        if (token < params.tokens) {
            let factor = factor_of(squares[t]);
            emit(unit, token, factor * sums[t][0], factor * sums[t][1]);
        }
    }
}
