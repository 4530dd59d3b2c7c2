//! Who takes part in a step, and with how many tokens.

use super::{Session, batch};

/// One session's part of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    /// Which of the sessions.
    pub(super) session: usize,
    /// How many of its tokens that are not computed yet.
    pub(super) tokens: usize,
    /// Whether these are all, so that the next token is wanted.
    pub(super) last: bool,
}

/// Divides a step of at most `batch` tokens and `sequences` sessions; a prompt fills it up to `pace` tokens.
///
/// Sessions that wait for one token come first, so that a long prompt does not hold up those that already speak; then
/// prompts in order, the last of them in part.
pub(super) fn schedule(sessions: &[&mut Session], batch: usize, pace: usize, sequences: usize) -> Vec<Part> {
    let waiting: Vec<usize> = sessions.iter().map(|session| session.waiting()).collect();
    divide(&waiting, batch, pace, sequences)
}

fn divide(waiting: &[usize], batch: usize, pace: usize, sequences: usize) -> Vec<Part> {
    let mut order: Vec<usize> = (0..waiting.len()).filter(|&session| waiting[session] > 0).collect();
    order.sort_by_key(|&session| waiting[session] > 1);
    // Sessions that already speak are not held up, and leave something for a prompt: steps are rounded up anyway.
    let speakers = order.iter().take_while(|&&session| waiting[session] == 1).count();
    let mut room = pace.max(batch::rounded(speakers + 1)).min(batch);
    let mut parts = Vec::new();
    for session in order.into_iter().take(sequences) {
        let tokens = waiting[session].min(room);
        if tokens == 0 {
            break;
        }
        room -= tokens;
        parts.push(Part { session, tokens, last: tokens == waiting[session] });
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speakers_come_before_prompts_and_prompts_are_cut() {
        let parts = divide(&[100, 1, 0, 1, 50], 64, 64, 8);
        let plain: Vec<_> = parts.iter().map(|part| (part.session, part.tokens, part.last)).collect();
        assert_eq!(plain, [(1, 1, true), (3, 1, true), (0, 62, false)]);
    }

    #[test]
    fn the_pace_holds_prompts_back_and_never_speakers() {
        let tokens = |waiting: &[usize], pace| -> Vec<_> {
            divide(waiting, 64, pace, 64).iter().map(|part| part.tokens).collect()
        };
        assert_eq!(tokens(&[100], 16), [16]);
        assert_eq!(tokens(&[100, 1], 16), [1, 15]);
        assert_eq!(tokens(&[1; 20], 16), [1; 20]);
        assert_eq!(tokens(&[1, 1, 1, 1, 100], 4), [1, 1, 1, 1, 4]);
    }

    #[test]
    fn a_step_holds_no_more_sessions_than_it_has_page_tables() {
        assert_eq!(divide(&[1, 1, 1], 64, 64, 2).len(), 2);
        assert!(divide(&[0, 0], 64, 64, 2).is_empty());
    }
}
