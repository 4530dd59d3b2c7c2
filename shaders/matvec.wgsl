// y = W x for a few tokens: the linear layer while decoding.
// One workgroup a unit of eight rows of W and TOKENS tokens. Its threads stride over a row's packs, so that a weight is
// read once for all the tokens, and their partial sums are added at the end. The order of additions for one output
// depends on columns and WORKGROUP alone, never on how many tokens there are.
//!use shared/linear
//!use words/narrow
//!slot input
//!use shared/unit
override WORKGROUP: u32 = 64u;

fn weight_quad(packed: Packed, pack: u32, i: u32) -> vec4<f32> {
    let w = weights(packed, i);
    if (TAIL == 1u) {
        return keep(w, 4u * (pack * PACK_QUADS + i), params.columns);
    }
    return w;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let unit = folded(workgroup);
    if (unit >= params.units) {
        return;
    }
    let first_token = workgroup.z * TOKENS;
    let last_token = params.tokens - 1u; // tokens beyond the end repeat it, and are not kept
    var rows: array<u32, 8>;
    for (var i = 0u; i < 8u; i++) {
        rows[i] = (params.w_first + row_of(unit, i)) * params.row_words;
    }
    var sums: array<array<vec4<f32>, 2>, TOKENS>;
    var squares: array<f32, 4>; // no vector: an older compiler of DirectX stores to no part of one that a loop chooses
    for (var pack = thread; pack < params.packs; pack += WORKGROUP) {
        var packed: array<Packed, 8>;
        for (var i = 0u; i < 8u; i++) {
            packed[i] = fetch(rows[i], pack, params.packs);
        }
        for (var i = 0u; i < PACK_QUADS; i++) {
            let quad = pack * PACK_QUADS + i;
            var w: array<vec4<f32>, 8>;
            for (var row = 0u; row < 8u; row++) {
                w[row] = weight_quad(packed[row], pack, i);
            }
            for (var t = 0u; t < TOKENS; t++) {
                var v = x[min(first_token + t, last_token) * params.x_quads + quad];
                if (TAIL == 1u) {
                    v = keep(v, 4u * quad, params.columns);
                }
                if (NORMED) {
                    squares[t] = add_dot(squares[t], v, v);
                    v *= norm_quad(quad);
                    if (TAIL == 1u) {
                        v = keep(v, 4u * quad, params.columns);
                    }
                }
                for (var j = 0u; j < 2u; j++) {
                    let sum = sums[t][j];
                    sums[t][j] = vec4<f32>(
                        add_dot(sum.x, w[4u * j], v),
                        add_dot(sum.y, w[4u * j + 1u], v),
                        add_dot(sum.z, w[4u * j + 2u], v),
                        add_dot(sum.w, w[4u * j + 3u], v),
                    );
                }
            }
        }
    }
    emit_sums(thread, unit, first_token, sums, vec4<f32>(squares[0], squares[1], squares[2], squares[3]));
}
