// How the keys that a token sees are divided among workgroups: into chunks of LEAST keys, or of as often twice as many
// as it takes for MOST chunks at most. They begin at multiples of LEAST, and follow from the token's position alone.
// The kernel has `window` among its parameters: keys that a token sees, itself included; 0 for all.
override LEAST: u32 = 128u;
override MOST: u32 = 64u;

struct Chunks {
    first: u32, // the first key of the first
    keys: u32, // of each
    count: u32,
}

fn first_key(position: u32) -> u32 {
    if (params.window == 0u || position < params.window) {
        return 0u;
    }
    return position + 1u - params.window;
}

fn chunks_of(position: u32) -> Chunks {
    let first = first_key(position) / LEAST * LEAST;
    let keys = position + 1u - first;
    var chunk = LEAST;
    while (chunk * MOST < keys) {
        chunk *= 2u;
    }
    return Chunks(first, chunk, (keys + chunk - 1u) / chunk);
}
