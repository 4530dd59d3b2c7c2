//! Whether a model fits a device, before anything is made there; and if not, what would.

use super::plans::Plans;
use super::{EngineOptions, batch};
use crate::gpu::Gpu;
use crate::graph::{Plan, StepShape, Tensors};
use crate::kernels::{PAGE_TOKENS, Policy};
use crate::model::{Model, Outputs};
use crate::runtime::Need;
use crate::tensor::DType;
use crate::{Error, Result};

/// What is to be loaded, and where.
pub(super) struct Fit<'a> {
    pub(super) model: &'a Model,
    pub(super) tensors: &'a dyn Tensors,
    pub(super) options: &'a EngineOptions,
    pub(super) gpu: &'a Gpu,
    pub(super) policy: Policy,
}

impl Fit<'_> {
    /// What the model needs with a context of so many tokens, and the bytes of its largest step's slots.
    ///
    /// # Errors
    /// [`Error::DoesNotFit`] where it is more than there is, as far as that is known, or than can be bound.
    pub(super) fn check(&self, context: usize) -> Result<(Need, Vec<u64>)> {
        let (need, slots) = self.need(context, self.options.dtype)?;
        let known = self.options.memory.or(self.gpu.info().memory);
        let Some(have) = known.map(|memory| memory.saturating_sub(self.gpu.allocated())) else {
            return Ok((need, slots));
        };
        if need.total() <= have {
            return Ok((need, slots));
        }
        Err(Error::DoesNotFit {
            what: format!("the model with a context of {context} tokens"),
            need: need.total(),
            have,
            limit_name: format!("what is left of the memory of {:?}", self.gpu.caps().adapter),
            way_out: self.way_out(context, have),
        })
    }

    /// What the largest step takes, or that of one token where it is more; and each of the plans that stay as much as the larger.
    fn need(&self, context: usize, dtype: Option<DType>) -> Result<(Need, Vec<u64>)> {
        let EngineOptions { sessions, kv, .. } = *self.options;
        let table_pitch = context.div_ceil(PAGE_TOKENS);
        let tokens = batch::rounded(self.options.step_tokens().min(context.saturating_mul(sessions)));
        let plan = |tokens, outputs: usize, wanted| {
            let step = StepShape { tokens, outputs: batch::rounded(outputs), sequences: sessions, table_pitch };
            let graph = self.model.graph(step, context, wanted, self.tensors, dtype)?;
            Plan::new(graph.with_kv(kv), self.gpu.caps(), self.policy)
        };
        let (largest, single) = (plan(tokens, sessions, Outputs::Logits)?, plan(1, 1, Outputs::Argmax)?);
        let caps = self.gpu.caps();
        let mut need = Need::new(&[&largest, &single], table_pitch * sessions, caps);
        let each = [&largest, &single].map(|plan| Need::of_plan(plan, caps));
        need.plans = each.into_iter().max().unwrap_or(0) * Plans::LEAST as u64;
        Ok((need, largest.slots))
    }

    /// What fits that is nearest to what was asked for, as the end of a sentence.
    fn way_out(&self, context: usize, have: u64) -> String {
        let (asked, formats) = (self.options.dtype, [DType::F16, DType::Q8, DType::Q4]);
        let shorter = self.shorter(context, asked, have);
        let narrower = formats.into_iter().find(|&dtype| self.fits(context, Some(dtype), have));
        match (shorter, narrower) {
            (Some(context), Some(dtype)) => format!("; -c {context} fits, and so does --weights {dtype}"),
            (Some(context), None) => format!("; -c {context} fits"),
            (None, Some(dtype)) => format!("; --weights {dtype} fits"),
            (None, None) => {
                let both =
                    formats.into_iter().find_map(|dtype| Some((self.shorter(context, Some(dtype), have)?, dtype)));
                both.map_or_else(
                    || "; a smaller model needs less".to_owned(),
                    |(context, dtype)| format!("; --weights {dtype} with -c {context} fits"),
                )
            }
        }
    }

    /// The longest context below `context` that fits, in whole pages.
    fn shorter(&self, context: usize, dtype: Option<DType>, have: u64) -> Option<usize> {
        let fits = |pages: usize| self.fits(pages * PAGE_TOKENS, dtype, have);
        let (mut fitting, mut too_many) = (0, context.div_ceil(PAGE_TOKENS));
        while too_many - fitting > 1 {
            let pages = fitting.midpoint(too_many);
            *(if fits(pages) { &mut fitting } else { &mut too_many }) = pages;
        }
        (fitting > 0).then_some(fitting * PAGE_TOKENS)
    }

    fn fits(&self, context: usize, dtype: Option<DType>, have: u64) -> bool {
        self.need(context, dtype).is_ok_and(|(need, _)| need.total() <= have)
    }
}
