// y = W x for one token at a time, a unit of eight rows a thread: the linear layer while decoding, where a processor runs
// the shaders. Its lanes are few, and what is dear there are additions across lanes and barriers; this has neither. On a
// GPU neighbouring threads would read far apart.
//!use shared/linear
//!slot input
//!slot output
override WORKGROUP: u32 = 8u;

fn add_pack(row: u32, pack: u32, made: Ready, quads: array<vec4<f32>, PACK_QUADS>, sum: f32) -> f32 {
    let packed = fetch(row, pack, params.packs);
    if (TAIL == 0u) {
        return dot_pack(packed, made, sum);
    }
    var all = sum;
    for (var quad = 0u; quad < PACK_QUADS; quad++) {
        let w = keep(weights(packed, quad), 4u * (pack * PACK_QUADS + quad), params.columns);
        all = add_dot(all, w, quads[quad]);
    }
    return all;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let unit = folded(workgroup) * WORKGROUP + thread;
    if (unit >= params.units) {
        return;
    }
    let token = workgroup.z;
    var rows: array<u32, 8>;
    for (var i = 0u; i < 8u; i++) {
        rows[i] = (params.w_first + row_of(unit, i)) * params.row_words;
    }
    var sums: array<f32, 8>;
    var squares = vec4<f32>();
    for (var pack = 0u; pack < params.packs; pack++) {
        var quads: array<vec4<f32>, PACK_QUADS>;
        for (var i = 0u; i < PACK_QUADS; i++) {
            let quad = pack * PACK_QUADS + i;
            var v = x[token * params.x_quads + quad];
            if (TAIL == 1u) {
                v = keep(v, 4u * quad, params.columns);
            }
            if (NORMED) {
                squares = fma(v, v, squares);
                v *= norm_quad(quad);
            }
            quads[i] = v;
        }
        if (NORMED && TAIL == 1u) {
            for (var i = 0u; i < PACK_QUADS; i++) {
                quads[i] = keep(quads[i], 4u * (pack * PACK_QUADS + i), params.columns);
            }
        }
        let made = ready(quads);
        for (var i = 0u; i < 8u; i++) {
            sums[i] = add_pack(rows[i], pack, made, quads, sums[i]);
        }
    }
    var factor = 1.0;
    if (NORMED) {
        let mean = ((squares.x + squares.y) + (squares.z + squares.w)) / f32(params.columns);
        factor = 1.0 / sqrt(mean + params.epsilon);
    }
    let low = factor * vec4<f32>(sums[0], sums[1], sums[2], sums[3]);
    let high = factor * vec4<f32>(sums[4], sums[5], sums[6], sums[7]);
    emit(unit, token, low, high);
}
