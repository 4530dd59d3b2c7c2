// The sum of 64 quads of x, `step` apart, without a loop: a compiler is free to have many on their way.
const LOADS: u32 = 64u;

fn sum_of_4(at: u32, step: u32) -> Words {
    return (x[at] + x[at + step]) + (x[at + 2u * step] + x[at + 3u * step]);
}

fn sum_of_16(at: u32, step: u32) -> Words {
    return (sum_of_4(at, step) + sum_of_4(at + 4u * step, step))
        + (sum_of_4(at + 8u * step, step) + sum_of_4(at + 12u * step, step));
}

fn sum_of_loads(at: u32, step: u32) -> Words {
    return (sum_of_16(at, step) + sum_of_16(at + 16u * step, step))
        + (sum_of_16(at + 32u * step, step) + sum_of_16(at + 48u * step, step));
}
