// As columns/own.wgsl, a quad for each of a subgroup's eight lanes: each reads and prepares one and hands it round. They
// fill whole packs, and all lanes are there.
enable subgroups;
const QUADS: u32 = 8u;
const PACKS: u32 = QUADS / PACK_QUADS;

struct Columns {
    packs: array<array<vec4<f32>, PACK_QUADS>, PACKS>,
    total: f32,
}

fn handed_round(own: vec4<f32>) -> array<vec4<f32>, QUADS> {
    return array<vec4<f32>, QUADS>(
        subgroupBroadcast(own, 0u),
        subgroupBroadcast(own, 1u),
        subgroupBroadcast(own, 2u),
        subgroupBroadcast(own, 3u),
        subgroupBroadcast(own, 4u),
        subgroupBroadcast(own, 5u),
        subgroupBroadcast(own, 6u),
        subgroupBroadcast(own, 7u),
    );
}

// By broadcasts: a processor has an instruction for them, and none for a sum over lanes.
fn sum_over_lanes(own: f32) -> f32 {
    let low = vec4<f32>(
        subgroupBroadcast(own, 0u), subgroupBroadcast(own, 1u), subgroupBroadcast(own, 2u), subgroupBroadcast(own, 3u),
    );
    let high = vec4<f32>(
        subgroupBroadcast(own, 4u), subgroupBroadcast(own, 5u), subgroupBroadcast(own, 6u), subgroupBroadcast(own, 7u),
    );
    let sum = low + high;
    return (sum.x + sum.y) + (sum.z + sum.w);
}

fn columns_of(token: u32, first: u32, thread: u32, squares: ptr<function, vec4<f32>>) -> Columns {
    let own = input_quad(token, first + thread, squares);
    var columns: Columns;
    let quads = handed_round(prepared(thread % PACK_QUADS, own));
    for (var p = 0u; p < PACKS; p++) {
        for (var i = 0u; i < PACK_QUADS; i++) {
            columns.packs[p][i] = quads[p * PACK_QUADS + i];
        }
    }
    if (PACK_QUADS == QUADS) {
        columns.total = sum_over_lanes((own.x + own.y) + (own.z + own.w));
    }
    return columns;
}

fn all_squares(squares: vec4<f32>) -> vec4<f32> {
    return subgroupAdd(squares);
}
