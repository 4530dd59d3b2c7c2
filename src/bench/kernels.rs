//! A plan's kernels one by one, each repeated on data of its own that no cache holds: needs no clock of the device's, and
//! no model that fits it.

use super::profile::{Row, label};
use super::roofline::Roofline;
use crate::Result;
use crate::gpu::Gpu;
use crate::graph::{Cost, Costs, Dispatch, Plan};
use crate::tune::{Stage, least_seconds};
use std::collections::BTreeMap;

/// Bytes of weights that one kernel walks through.
const WALKED: u64 = 256 << 20;

/// Times each distinct kernel of `plan` on each of its shapes, for tokens at positions from `first` on; the kernels that
/// take longest in a step come first. Weights are random numbers.
///
/// # Errors
/// [`Error::OutOfMemory`](crate::Error::OutOfMemory), and what running kernels returns.
pub async fn kernels(gpu: &Gpu, plan: &Plan, first: usize, roofline: Option<&Roofline>) -> Result<Vec<Row>> {
    let costs = Costs::new(plan);
    let mut distinct: BTreeMap<String, (&Dispatch, Cost, f64)> = BTreeMap::new();
    for (dispatch, cost) in plan.dispatches.iter().zip(costs.each(first)) {
        distinct.entry(label(plan, dispatch)).or_insert((dispatch, cost, 0.0)).2 += 1.0;
    }
    let mut stage = Stage::new(gpu, plan, first);
    let mut rows = Vec::with_capacity(distinct.len());
    for (label, (dispatch, cost, count)) in distinct {
        let ready = stage.copies(dispatch, WALKED).await?.ready(gpu, &dispatch.launch)?;
        let seconds = least_seconds(gpu, &ready).await? / ready.len().max(1) as f64;
        let row = Row::new(label, seconds, cost, roofline);
        rows.push(Row { count, ms: count * row.ms, ..row });
    }
    rows.sort_by(|a, b| b.ms.total_cmp(&a.ms));
    Ok(rows)
}
