// The sum of 4 quads of x, `step` apart.
const LOADS: u32 = 4u;

fn sum_of_loads(at: u32, step: u32) -> Words {
    return (x[at] + x[at + step]) + (x[at + 2u * step] + x[at + 3u * step]);
}
