// Tokens sorted into as many bins as a workgroup has threads: how many they are in each, and what they amount to.
//
// The kernel declares BITS, an even number of which tell a bin, and WORKGROUP, 2^BITS, and uses shared/odds. Threads clear the bins, meet, add to them, meet,
// add them up by groups, and meet; then one thread finds its way.
const GROUP: u32 = 1u << (BITS / 2u); // bins that one thread adds up, and groups of them

// Numbers of a bin, or of several: how many tokens, and the sum of their amounts in two words, the lower first.
struct Tally {
    count: u32,
    amount: vec2<u32>,
}

// The bin in which a search goes on.
struct Found {
    bin: u32,
    before: u32, // tokens in the bins before it
    count: u32, // tokens in it
    whole: u32, // 1 where the search's edge is the bin's end
    need: vec2<u32>, // amount that the bin is to give
}

var<workgroup> counts: array<atomic<u32>, WORKGROUP>; // (bin)
var<workgroup> lower: array<atomic<u32>, WORKGROUP>; // (bin): of the amounts
var<workgroup> higher: array<atomic<u32>, WORKGROUP>;
var<workgroup> groups: array<Tally, GROUP>;

fn clear(thread: u32) {
    atomicStore(&counts[thread], 0u);
    atomicStore(&lower[thread], 0u);
    atomicStore(&higher[thread], 0u);
}

fn add(bin: u32, tally: Tally) {
    atomicAdd(&counts[bin], tally.count);
    let before = atomicAdd(&lower[bin], tally.amount.x);
    let carry = select(0u, 1u, before > ALL - tally.amount.x);
    if (tally.amount.y + carry > 0u) {
        atomicAdd(&higher[bin], tally.amount.y + carry);
    }
}

fn bin_tally(bin: u32) -> Tally {
    return Tally(atomicLoad(&counts[bin]), vec2<u32>(atomicLoad(&lower[bin]), atomicLoad(&higher[bin])));
}

fn joined(a: Tally, b: Tally) -> Tally {
    return Tally(a.count + b.count, plus(a.amount, b.amount));
}

fn less(a: vec2<u32>, b: vec2<u32>) -> bool {
    return a.y < b.y || (a.y == b.y && a.x < b.x);
}

fn add_groups(thread: u32) {
    if (thread < GROUP) {
        var sum = bin_tally(thread * GROUP);
        for (var bin = thread * GROUP + 1u; bin < (thread + 1u) * GROUP; bin++) {
            sum = joined(sum, bin_tally(bin));
        }
        groups[thread] = sum;
    }
}

fn whole_amount() -> vec2<u32> {
    var whole = groups[0];
    for (var group = 1u; group < GROUP; group++) {
        whole = joined(whole, groups[group]);
    }
    return whole.amount;
}

// The bin with the first place up to which there is as much as is needed.
fn find(need: vec2<u32>) -> Found {
    var before = Tally();
    var group = 0u;
    for (; group < GROUP - 1u && less(joined(before, groups[group]).amount, need); group++) {
        before = joined(before, groups[group]);
    }
    var bin = group * GROUP;
    let last = bin + GROUP - 1u;
    for (; bin < last && less(joined(before, bin_tally(bin)).amount, need); bin++) {
        before = joined(before, bin_tally(bin));
    }
    let inside = bin_tally(bin);
    let through = joined(before, inside);
    let rest = plus(need, plus(~before.amount, vec2<u32>(1u, 0u))); // the difference, as a two's complement
    let whole = inside.count == 1u || all(through.amount == need);
    return Found(bin, before.count, inside.count, select(0u, 1u, whole), rest);
}
