// y[subgroup, i, j] = rounds A_i B_j: how fast cooperative matrices can be multiplied and added.
// One subgroup has eight sums, one for each pair of A and B, which do not wait for each other. All are kept: Metal has no
// sum of two matrices.
//!slot tile
override WORKGROUP: u32 = 128u;
override SUBGROUP: u32 = 32u;
const TILE: u32 = SIDE * SIDE;

struct Params {
    rounds: u32, // of eight products
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<Number>; // (4, row, column)
@group(0) @binding(2) var<storage, read> b: array<Number>; // (2, row, column)
@group(0) @binding(3) var<storage, read_write> y: array<f32>; // (subgroup, 4, 2, row, column)

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let a0 = coopLoadT<Left>(&a[0], SIDE);
    let a1 = coopLoadT<Left>(&a[TILE], SIDE);
    let a2 = coopLoadT<Left>(&a[2u * TILE], SIDE);
    let a3 = coopLoadT<Left>(&a[3u * TILE], SIDE);
    let b0 = coopLoadT<Right>(&b[0], SIDE);
    let b1 = coopLoadT<Right>(&b[TILE], SIDE);
    var c00 = Sum();
    var c01 = Sum();
    var c10 = Sum();
    var c11 = Sum();
    var c20 = Sum();
    var c21 = Sum();
    var c30 = Sum();
    var c31 = Sum();
    for (var round = 0u; round < params.rounds; round++) {
        c00 = coopMultiplyAdd(a0, b0, c00);
        c01 = coopMultiplyAdd(a0, b1, c01);
        c10 = coopMultiplyAdd(a1, b0, c10);
        c11 = coopMultiplyAdd(a1, b1, c11);
        c20 = coopMultiplyAdd(a2, b0, c20);
        c21 = coopMultiplyAdd(a2, b1, c21);
        c30 = coopMultiplyAdd(a3, b0, c30);
        c31 = coopMultiplyAdd(a3, b1, c31);
    }
    let first = 8u * (workgroup.x * (WORKGROUP / SUBGROUP) + thread / SUBGROUP);
    coopStoreT(c00, &y[first * TILE], SIDE);
    coopStoreT(c01, &y[(first + 1u) * TILE], SIDE);
    coopStoreT(c10, &y[(first + 2u) * TILE], SIDE);
    coopStoreT(c11, &y[(first + 3u) * TILE], SIDE);
    coopStoreT(c20, &y[(first + 4u) * TILE], SIDE);
    coopStoreT(c21, &y[(first + 5u) * TILE], SIDE);
    coopStoreT(c30, &y[(first + 6u) * TILE], SIDE);
    coopStoreT(c31, &y[(first + 7u) * TILE], SIDE);
}
