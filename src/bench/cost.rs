//! What a test has to read and to compute at least.

use super::measure::Test;
use crate::Result;
use crate::engine::Engine;
use crate::graph::{Cost, Costs, StepShape};
use crate::kernels::PAGE_TOKENS;
use crate::model::Outputs;

/// What the whole of `test` costs on `engine`, whose steps have at most `batch` tokens.
///
/// # Errors
/// As [`Engine::plan`].
pub fn test_cost(engine: &Engine, test: Test, batch: usize) -> Result<Cost> {
    let pages = engine.context().div_ceil(PAGE_TOKENS);
    let costs = |tokens| {
        let shape = StepShape { tokens, outputs: 1, sequences: 1, table_pitch: pages };
        Ok::<_, crate::Error>(Costs::new(&engine.plan(shape, Outputs::Argmax)?))
    };
    let (mut cost, batch, end) = (Cost::default(), batch.max(1), test.depth + test.prompt);
    let (whole, rest) = (test.prompt / batch, test.prompt % batch);
    if whole > 0 {
        let costs = costs(batch)?;
        cost += (0..whole).map(|chunk| costs.step(test.depth + chunk * batch)).sum();
    }
    if rest > 0 {
        cost += costs(rest)?.step(end - rest);
    }
    if test.generated > 0 {
        let one = costs(1)?;
        cost += (end..end + test.generated).map(|first| one.step(first)).sum();
    }
    Ok(cost)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{Shape, Synthetic};
    use crate::graph::Plan;
    use crate::kernels::Policy;
    use crate::model::Model;
    use crate::tensor::Caps;

    fn plan(name: &str, tokens: usize) -> Plan {
        let config = Shape::named(name).unwrap().config().unwrap();
        let tensors = Synthetic::new(&config, 1).unwrap();
        let model = Model::open(&config, &tensors).unwrap();
        let shape = StepShape { tokens, outputs: 1, sequences: 1, table_pitch: 8 };
        let graph = model.graph(shape, 256, Outputs::Argmax, &tensors, None).unwrap();
        let caps = Caps { max_binding: 1 << 40, max_buffer: 1 << 40, ..Caps::baseline() };
        Plan::new(graph, &caps, Policy::new(&caps, false)).unwrap()
    }

    /// Numbers worked out by hand from the published sizes.
    #[test]
    fn a_token_reads_every_weight_once_and_its_keys() {
        let cost = Costs::new(&plan("llama-3.1-8b", 1)).step(99);
        // All matrices but the table of embeddings, of which one row is looked up.
        let matrices =
            32.0 * (2.0 * 4096.0 * 4096.0 + 2.0 * 1024.0 * 4096.0 + 3.0 * 14_336.0 * 4096.0) + 128_256.0 * 4096.0;
        let attention = 32.0 * 100.0 * 4.0 * 4096.0;
        assert_eq!(cost.flops, 2.0 * matrices + attention);
        let weights = 2.0 * matrices;
        let keys = 32.0 * 100.0 * 2.0 * 1024.0 * 4.0;
        let rest = cost.bytes - weights - keys;
        // Norms, activations, tables: something, and two thousandths at most.
        assert!(rest > 0.0 && rest < 2e-3 * weights, "{rest}");
    }

    #[test]
    fn a_prompt_shares_the_weights_and_counts_pairs() {
        let (one, many) = (Costs::new(&plan("tiny", 1)), Costs::new(&plan("tiny", 64)));
        // The head is for the last token alone.
        let head = 2.0 * 512.0 * 64.0;
        let alone: f64 = (0..64).map(|first| one.step(first).flops - head).sum();
        assert_eq!(many.step(0).flops, alone + head);
        assert!(many.step(0).bytes < 64.0 * one.step(0).bytes / 4.0);
        assert_eq!(many.each(0).count(), plan("tiny", 64).dispatches.len());
    }
}
