//! Cases of `linear` with tokens rounded to 8 bits: sizes around every group, span and tile, and tokens that rounding
//! leaves as they are, which shows every other error.

use crate::case::Case;
use crate::linear::{accurate, bias, folded, forms, invariant, spec, ways};
use quernel::doctor::works::{Product as Spec, Runs};
use quernel::kernels::Rung;
use quernel::kernels::linear::SHARD_ROWS;
use quernel::tensor::DType;

/// Columns and rows: around a group, a block of 8, a workgroup's 64 groups, the 128, 64 and 32 of a span, and a tile's 32
/// rows.
const SIZES: [(usize, usize); 12] = [
    (32, 1),
    (64, 5),
    (96, 8),
    (256, 33),
    (288, 64),
    (544, 65),
    (992, 31),
    (1056, 12),
    (2048, 7),
    (2080, 10),
    (4096, 9),
    (4128, 34),
];

pub fn cases(rungs: &[Rung]) -> Vec<Case> {
    let mut cases = Vec::new();
    for runs in rungs.iter().map(|&rung| Runs::Int8(rung)) {
        for tokens in [1, 2, 3, 4, 5, 8, 9, 31, 32, 33, 65] {
            sizes(&mut cases, runs, tokens);
        }
        for (tokens, dtype) in [(1, DType::Q4A), (7, DType::Q4), (40, DType::Q4A)] {
            let spec = Spec { form: bias(true), whole: true, ..spec(runs, tokens, 96, 77, dtype) };
            cases.push(accurate("shards", Spec { shard: 3 * SHARD_ROWS, ..spec }));
            cases.push(accurate("shards", Spec { shard: SHARD_ROWS, ..spec }));
            cases.push(accurate("behind", Spec { before: 24, ..spec }));
        }
        for tokens in [2, 3, 5, 8, 9, 33] {
            for (dtype, columns) in [(DType::Q4A, 544), (DType::Q4, 2080), (DType::Q4A, 96)] {
                cases.push(invariant(spec(runs, tokens, columns, 23, dtype)));
            }
        }
        forms(&mut cases, runs);
        ways(&mut cases, runs);
        cases.push(folded(Spec { whole: true, ..spec(runs, 1, 32, 8 * 32_768 + 5, DType::Q4) }, 8));
    }
    cases
}

fn sizes(cases: &mut Vec<Case>, runs: Runs, tokens: usize) {
    let matmul = tokens > quernel::kernels::linear::MATVEC_TOKENS;
    // It has no rungs.
    if matmul && !runs.portable() {
        return;
    }
    for (index, (columns, rows)) in SIZES.into_iter().enumerate() {
        for (turn, dtype) in [DType::Q4, DType::Q4A].into_iter().enumerate() {
            if tokens == 1 || (index + turn + tokens).is_multiple_of(3) {
                let spec = Spec { form: bias(index.is_multiple_of(2)), ..spec(runs, tokens, columns, rows, dtype) };
                cases.push(accurate("", spec));
                cases.push(accurate("whole", Spec { whole: true, ..spec }));
            }
        }
    }
}
