// The columns of x that a thread needs at a time, one pack, each of which it reads itself.
const PACKS: u32 = 1u;

struct Columns {
    packs: array<array<vec4<f32>, PACK_QUADS>, PACKS>, // prepared for the codec
    total: f32,                                        // of them as they were
}

fn columns_of(token: u32, first: u32, thread: u32, squares: ptr<function, vec4<f32>>) -> Columns {
    var columns: Columns;
    var sum = vec4<f32>();
    for (var i = 0u; i < PACK_QUADS; i++) {
        let v = input_quad(token, first + i, squares);
        sum += v;
        columns.packs[0][i] = prepared(i, v);
    }
    columns.total = (sum.x + sum.y) + (sum.z + sum.w);
    return columns;
}

// The squares of all columns, from those that this thread has read.
fn all_squares(squares: vec4<f32>) -> vec4<f32> {
    return squares;
}
