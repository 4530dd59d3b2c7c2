//! One step ahead of the host.
//!
//! A session whose tokens the device chooses needs nothing of the host to go on: the device has the token, and the host
//! knows everything else about the step after it, random numbers among it. So that step is submitted before the token is read, with its id
//! carried over on the device, and the device does not wait while the host reads, decodes and prints. Whatever happens
//! to the session in between, a step too many does no harm: what it wrote to the cache lies behind the session's
//! tokens, and is written again before it is read.

use super::{Engine, Session, batch};
use crate::Result;
use crate::graph::StepShape;
use crate::model::Outputs;
use crate::runtime::Ticket;

impl Engine {
    /// The next token of a session whose step is under way, with the step after it submitted; `None` where none is.
    pub(super) async fn step_ahead(&mut self, session: &mut Session) -> Result<Option<u32>> {
        let Some(ticket) = session.take_ahead().filter(|ticket| self.executor.holds(ticket)) else { return Ok(None) };
        let next = match self.executor.is_last(&ticket) {
            // Where it fails, the token that is there already is none the worse.
            true => self.submit_ahead(session, session.tokens().len(), Some(&ticket)).unwrap_or(None),
            false => None,
        };
        self.executor.read(&ticket, 0, &mut self.words).await?;
        let token = self.choose(session, session.outputs(), 0)?;
        session.commit(1);
        session.push(&[token])?;
        session.go_ahead(next);
        Ok(Some(token))
    }

    /// Submits the step of the token that `session` just got, where it needs nothing of the host.
    pub(super) fn begin_ahead(&mut self, session: &mut Session) -> Result<()> {
        let checked = self.reference.is_some() || self.executor.takes_time();
        if session.waiting() == 1 && session.outputs() != Outputs::Logits && !checked {
            let ticket = self.submit_ahead(session, session.computed(), None)?;
            session.go_ahead(ticket);
        }
        Ok(())
    }

    /// Submits the step at `position`, whose token the session has, or else the step `after`; `None` where the token
    /// that would come of it has no room.
    fn submit_ahead(
        &mut self,
        session: &mut Session,
        position: usize,
        after: Option<&Ticket>,
    ) -> Result<Option<Ticket>> {
        if position + 1 >= session.limit() {
            return Ok(None);
        }
        session.reserve(position + 1 - session.computed())?;
        let table_pitch = batch::table_pitch(std::iter::once(session.table()), self.context);
        let shape = StepShape { tokens: 1, outputs: 1, sequences: self.options.sessions, table_pitch };
        let outputs = session.outputs();
        self.prepare(shape, outputs)?;
        let Self { plans, executor, .. } = self;
        let Some(ready) = plans.get(shape, outputs) else { return Ok(None) };
        let id = session.tokens().get(position).copied().unwrap_or(0);
        batch::fill_one(&mut ready.inputs, session, position, id)?;
        let ticket = match after {
            None => executor.run(ready.plan, &ready.inputs)?,
            Some(before) => executor.run_after(before, ready.plan, &ready.inputs)?,
        };
        Ok(Some(ticket))
    }
}
