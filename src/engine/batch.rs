//! The flat list of tokens that a step is.

use super::schedule::Part;
use super::{PageTable, Session};
use crate::graph::{StepInput, StepShape};
use crate::kernels::sample::Draw;
use crate::kernels::{NOTHING, PAGE_TOKENS};
use crate::runtime::StepInputs;
use crate::{Error, Result};

/// Tokens of a step that is to hold so many: rounded up, so that few plans serve all steps. Up to 128, where it is the
/// weights that take the time, to a power of two; beyond, where tokens that fill a step up cost as much as others, to one
/// of eight or fewer between two powers.
pub(super) fn rounded(tokens: usize) -> usize {
    let power = tokens.next_power_of_two();
    if power <= 128 { power } else { tokens.next_multiple_of((power / 16).max(64)) }
}

/// The shape of the step that `parts` make.
pub(super) fn shape(parts: &[Part], every_position: bool, sequences: usize, table_pitch: usize) -> StepShape {
    let tokens: usize = parts.iter().map(|part| part.tokens).sum();
    let last = parts.iter().filter(|part| part.last).count();
    let outputs = if every_position { tokens } else { last.max(1) };
    StepShape { tokens: rounded(tokens), outputs: rounded(outputs), sequences, table_pitch }
}

/// Pages of a table at least, where the context has so many: short sequences then need one plan.
const LEAST_PAGES: usize = 8;

/// Pages from one table of a step to the next: those of its longest, rounded up to a power of two, so that few plans serve
/// every length and none does the work of the whole context for a short sequence.
pub(super) fn table_pitch<'a>(tables: impl Iterator<Item = &'a PageTable>, context: usize) -> usize {
    let longest = tables.map(|table| table.pages().len()).max().unwrap_or(0);
    longest.next_power_of_two().max(LEAST_PAGES).min(context.div_ceil(PAGE_TOKENS))
}

/// Writes the step down. The page table of the n-th part is the n-th; tokens that fill the step up belong to none.
///
/// Logits are wanted of every token, or of the last one of each part that ends its session's list, in order.
pub(super) fn fill(
    inputs: &mut StepInputs,
    sessions: &[&mut Session],
    parts: &[Part],
    every_position: bool,
) -> Result<()> {
    inputs.list_mut(StepInput::Ids).fill(0);
    inputs.list_mut(StepInput::Positions).fill(0);
    inputs.list_mut(StepInput::Sequences).fill(NOTHING);
    inputs.list_mut(StepInput::KvRows).fill(NOTHING);
    inputs.list_mut(StepInput::OutputRows).fill(0);
    let draws = inputs.list_mut(StepInput::Draws).chunks_exact_mut(Draw::WORDS);
    draws.for_each(|draw| draw.copy_from_slice(&Draw::LIKELIEST.words()));
    let pitch = inputs.shape().table_pitch;
    let (mut token, mut output) = (0, 0);
    for (sequence, part) in parts.iter().enumerate() {
        let session = &sessions[part.session];
        let pages = session.table().pages();
        inputs.list_mut(StepInput::Pages)[sequence * pitch..][..pages.len()].copy_from_slice(pages);
        for position in session.computed()..session.computed() + part.tokens {
            let row = session.table().row(position);
            let row = row.ok_or(Error::ContextFull { tokens: position + 1, context: session.table().len() })?;
            inputs.list_mut(StepInput::Ids)[token] = session.tokens()[position];
            inputs.list_mut(StepInput::Positions)[token] = position as u32;
            inputs.list_mut(StepInput::Sequences)[token] = sequence as u32;
            inputs.list_mut(StepInput::KvRows)[token] = row;
            let wanted = every_position || (part.last && position + 1 == session.tokens().len());
            if wanted {
                inputs.list_mut(StepInput::OutputRows)[output] = token as u32;
                let draw = &mut inputs.list_mut(StepInput::Draws)[output * Draw::WORDS..][..Draw::WORDS];
                draw.copy_from_slice(&session.draw(position + 1).words());
                output += 1;
            }
            token += 1;
        }
    }
    Ok(())
}

/// Writes a step of one token of one session down: `id` at `position`.
pub(super) fn fill_one(inputs: &mut StepInputs, session: &Session, position: usize, id: u32) -> Result<()> {
    let row = session.table().row(position);
    let row = row.ok_or(Error::ContextFull { tokens: position + 1, context: session.table().len() })?;
    let pages = session.table().pages();
    inputs.list_mut(StepInput::Pages)[..pages.len()].copy_from_slice(pages);
    for (input, number) in [
        (StepInput::Ids, id),
        (StepInput::Positions, position as u32),
        (StepInput::Sequences, 0),
        (StepInput::KvRows, row),
        (StepInput::OutputRows, 0),
    ] {
        inputs.list_mut(input)[0] = number;
    }
    inputs.list_mut(StepInput::Draws)[..Draw::WORDS].copy_from_slice(&session.draw(position + 1).words());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{PagePool, SamplerOptions};
    use std::sync::{Arc, Mutex};

    #[test]
    fn tables_are_as_long_as_the_longest_sequence_in_powers_of_two() -> Result<()> {
        let mut pool = PagePool::new(200)?;
        let mut tables = vec![pool.table(4096), pool.table(4096)];
        let pitch = |tables: &[PageTable], context| table_pitch(tables.iter(), context);
        assert_eq!((pitch(&tables, 4096), pitch(&tables, 100)), (LEAST_PAGES, 4));
        pool.grow(&mut tables[1], 8 * PAGE_TOKENS)?;
        assert_eq!(pitch(&tables, 4096), 8);
        pool.grow(&mut tables[1], 1)?;
        assert_eq!((pitch(&tables, 4096), pitch(&tables, 300)), (16, 10));
        pool.grow(&mut tables[0], 100 * PAGE_TOKENS)?;
        assert_eq!((pitch(&tables, 4096), pitch(&tables, 3300)), (128, 104));
        Ok(())
    }

    #[test]
    fn steps_are_filled_up_by_little_and_have_few_sizes() {
        assert_eq!([0, 1, 2, 3, 65, 128].map(rounded), [1, 1, 2, 4, 128, 128]);
        assert_eq!([129, 192, 193, 257, 512, 513, 1025].map(rounded), [192, 192, 256, 320, 512, 576, 1152]);
        let sizes: std::collections::BTreeSet<_> = (1..=2048).map(rounded).collect();
        assert!(sizes.len() <= 31 && sizes.contains(&2048), "{sizes:?}");
        // A quarter more from 257 on, and an eighth from 513 on.
        assert!((257..2048).all(|tokens| 4 * rounded(tokens) <= 5 * tokens));
        assert!((513..2048).all(|tokens| 8 * rounded(tokens) <= 9 * tokens));
    }

    #[test]
    fn two_sessions_lie_side_by_side_and_padding_belongs_to_none() -> Result<()> {
        let pool = Arc::new(Mutex::new(PagePool::new(4)?));
        let mut speaking = Session::new(&pool, 64, (10, false), SamplerOptions::greedy(), 0)?;
        speaking.push(&[1, 2, 3])?;
        speaking.reserve(2)?;
        speaking.commit(2);
        let mut prompt = Session::new(&pool, 64, (10, false), SamplerOptions::greedy(), 0)?;
        prompt.push(&[7, 8, 9])?;
        let parts = [Part { session: 0, tokens: 1, last: true }, Part { session: 1, tokens: 2, last: false }];
        speaking.reserve(1)?;
        prompt.reserve(2)?;
        let shape = shape(&parts, false, 2, 2);
        assert_eq!((shape.tokens, shape.outputs), (4, 1));
        let mut inputs = StepInputs::new(shape, 4);
        fill(&mut inputs, &[&mut speaking, &mut prompt], &parts, false)?;
        assert_eq!(inputs.list(StepInput::Ids), [3, 7, 8, 0]);
        assert_eq!(inputs.list(StepInput::Positions), [2, 0, 1, 0]);
        assert_eq!(inputs.list(StepInput::Sequences), [0, 1, 1, NOTHING]);
        assert_eq!(inputs.list(StepInput::KvRows), [2, 32, 33, NOTHING]);
        assert_eq!(inputs.list(StepInput::Pages), [0, 0, 1, 0]);
        assert_eq!(inputs.list(StepInput::OutputRows), [0]);
        Ok(())
    }
}
