// The best of a workgroup's candidates, through shared memory; thread 0 gets it.
var<workgroup> candidate: array<Best, WORKGROUP>; // (thread)

fn best_of_all(thread: u32, own: Best) -> Best {
    candidate[thread] = own;
    workgroupBarrier();
    var best = own;
    if (thread == 0u) {
        for (var i = 1u; i < WORKGROUP; i++) {
            best = better(best, candidate[i]);
        }
    }
    return best;
}
