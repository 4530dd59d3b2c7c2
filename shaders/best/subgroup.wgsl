// The best of a workgroup's candidates: over each subgroup by its own operations, over the subgroups through shared
// memory; thread 0 gets it. Lanes of a subgroup are neighbouring threads.
enable subgroups;
var<workgroup> candidate: array<Best, WORKGROUP>; // (subgroup)

fn best_of_all(thread: u32, own: Best) -> Best {
    let value = subgroupMax(own.value);
    let column = subgroupMin(select(0xffffffffu, own.column, own.value == value));
    let not_finite = subgroupAdd(own.not_finite);
    let lanes = subgroupAdd(1u);
    if (thread % lanes == 0u) {
        candidate[thread / lanes] = Best(value, column, not_finite);
    }
    workgroupBarrier();
    var best = candidate[0];
    if (thread == 0u) {
        for (var i = 1u; i < WORKGROUP / lanes; i++) {
            best = better(best, candidate[i]);
        }
    }
    return best;
}
