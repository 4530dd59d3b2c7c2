// y = W x for a few tokens with x rounded to bytes, where W is stored in groups: the linear layer while decoding, by
// products of four bytes at a time.
// One workgroup a unit of eight rows of W and TOKENS tokens, as in matvec.wgsl. Its threads first round SPAN groups of
// each token, then stride over as many of a row's. A group's thread follows from its number alone, so that the order of
// additions does not depend on how many tokens there are.
//!use shared/linear
//!use words/narrow
//!use shared/input
//!use shared/int8
//!use shared/unit
override WORKGROUP: u32 = 64u;
const SPAN: u32 = 128u / TOKENS; // groups

var<workgroup> staged: array<Group, TOKENS * SPAN>; // (token, group)

// The group of a token's columns; its squares go on top of `squares`.
fn round_group(token: u32, group: u32, squares: ptr<function, vec4<f32>>) -> Group {
    var quads: array<vec4<f32>, 8>;
    for (var i = 0u; i < 8u; i++) {
        quads[i] = input_quad(token, 8u * group + i, squares);
    }
    return group_of(quads);
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
    var squares: array<vec4<f32>, TOKENS>;
    for (var first = 0u; first < params.packs; first += SPAN) {
        let end = min(first + SPAN, params.packs);
        let begin = first + (thread + WORKGROUP - first % WORKGROUP) % WORKGROUP;
        workgroupBarrier();
        for (var t = 0u; t < TOKENS; t++) {
            var own = squares[t];
            for (var pack = begin; pack < end; pack += WORKGROUP) {
                staged[t * SPAN + pack - first] = round_group(min(first_token + t, last_token), pack, &own);
            }
            squares[t] = own;
        }
        workgroupBarrier();
        for (var pack = begin; pack < end; pack += WORKGROUP) {
            for (var j = 0u; j < 2u; j++) {
                let packed0 = fetch(rows[4u * j], pack, params.packs);
                let packed1 = fetch(rows[4u * j + 1u], pack, params.packs);
                let packed2 = fetch(rows[4u * j + 2u], pack, params.packs);
                let packed3 = fetch(rows[4u * j + 3u], pack, params.packs);
                for (var t = 0u; t < TOKENS; t++) {
                    let group = staged[t * SPAN + pack - first];
                    sums[t][j] += vec4<f32>(
                        dot_group(packed0, group),
                        dot_group(packed1, group),
                        dot_group(packed2, group),
                        dot_group(packed3, group),
                    );
                }
            }
        }
    }
    var all: array<f32, 4>; // no vector, as in matvec
    for (var t = 0u; t < TOKENS; t++) {
        all[t] = (squares[t].x + squares[t].y) + (squares[t].z + squares[t].w);
    }
    emit_sums(thread, unit, first_token, sums, vec4<f32>(all[0], all[1], all[2], all[3]));
}
