// The sum of 4 quads of x, `step` apart.
const LOADS: u32 = 4u;

fn sum_of_loads(at: u32, step: u32) -> vec4<u32> {
    return (words_of(x[at]) + words_of(x[at + step]))
        + (words_of(x[at + 2u * step]) + words_of(x[at + 3u * step]));
}
