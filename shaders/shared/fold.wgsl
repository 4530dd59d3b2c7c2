// A row of workgroups longer than one axis of a dispatch can hold goes on along y.
// The same number is `kernels::FOLD`, from which the host makes the grid.
const FOLD: u32 = 32768u;

fn folded(workgroup: vec3<u32>) -> u32 {
    return workgroup.y * FOLD + workgroup.x;
}
