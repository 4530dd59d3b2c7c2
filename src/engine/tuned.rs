//! The fastest ways of the model's products, on the adapter that it is on.

use super::{Engine, Pace};
use crate::Result;
use crate::graph::{Plan, StepShape};
use crate::kernels::PAGE_TOKENS;
use crate::model::Outputs;
use crate::tune::{self, Tuning};
use std::time::Duration;

impl Engine {
    /// Times the ways of the model's products that [`tuning`](Self::tuning) does not know, for `budget` at most
    /// ([`BUDGET`](tune::BUDGET) is sensible), and computes in the fastest from then on. `progress` is told the products
    /// done and the products in all. Best done before the first step: plans that were made until then are made anew.
    /// Nothing is timed where numbers are to be deterministic: there is one way then.
    ///
    /// # Errors
    /// As [`tune`](tune::tune); the engine goes on with what was found until then.
    pub async fn tune(&mut self, budget: Duration, progress: &mut dyn FnMut(usize, usize)) -> Result<()> {
        let plans = self.tunable()?;
        let plans: Vec<&Plan> = plans.iter().collect();
        let gpu = self.executor.gpu().clone();
        let done = tune::tune(&gpu, &plans, budget, &mut self.tuning.ways, progress).await;
        for old in self.plans.clear() {
            self.executor.remove(old);
        }
        done
    }

    /// How many products [`tune`](Self::tune) would time.
    ///
    /// # Errors
    /// As [`plan`](Self::plan).
    pub fn untuned(&self) -> Result<usize> {
        let plans = self.tunable()?;
        Ok(tune::untuned(&plans.iter().collect::<Vec<_>>(), &self.tuning.ways))
    }

    /// The ways that are known to be the fastest: to be kept, and given to another engine in its options.
    pub fn tuning(&self) -> &Tuning {
        &self.tuning
    }

    /// A single token's step, and a prompt's.
    fn tunable(&self) -> Result<Vec<Plan>> {
        let many = self.options.step_tokens().min(Pace::FIRST).next_power_of_two();
        let table_pitch = self.context.min(many).div_ceil(PAGE_TOKENS);
        let plan = |tokens| {
            let shape = StepShape { tokens, outputs: 1, sequences: self.options.sessions, table_pitch };
            self.plan(shape, Outputs::Argmax)
        };
        [1, many].map(plan).into_iter().collect()
    }
}
