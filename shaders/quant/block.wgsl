// Where the parts of a group lie in a row of a grouped storage: blocks of up to eight groups' quants, then their scales
// as halves, 16 bytes, then their minima. `quant` of the host is the definition.
// The codecs of 4 bits give a group's quants as bytes too (`bytes_of`), and make its product with as many columns
// of x, also bytes with a scale, from the sum of the bytes' products and the total of x's bytes (`scaled`).
struct Place {
    quants: u32, // the first 16 bytes of the group's quants
    sides: u32,  // the block's scales; its minima come next
    group: u32,  // in the block
}

// Of group `group` in a row of `groups`, each with as many 16 bytes of quants; `sides` of scales and minima.
fn place(row: u32, group: u32, groups: u32, words: u32, sides: u32) -> Place {
    let block = group / 8u;
    let begin = row + block * (8u * words + sides);
    let within = min(8u, groups - 8u * block);
    return Place(begin + words * (group % 8u), begin + words * within, group % 8u);
}

fn side(at: Place, number: u32) -> f32 {
    return half_of(weight[at.sides + number][at.group / HALVES], at.group % HALVES);
}
