//! A text cut into the parts that are computed, and what of them is scored.

use crate::{Error, Result};
use std::ops::Range;

/// A text cut into windows, each computed by itself, as llama.cpp's `perplexity` does.
///
/// Windows of `context` tokens lie beside each other, and of each the second half is scored, so that every scored token
/// has half a window before it at least. With a stride, windows begin so many tokens apart, and each is scored on as
/// many of its last tokens. What is left over at the end, shorter than a window, is not looked at. A text shorter than
/// one window is a window of its own, and all of it is scored but the first token, which nothing comes before.
///
/// ```
/// use quernel::engine::Windows;
/// let windows = Windows::new((0..100).collect(), None, 40, None)?;
/// assert_eq!((windows.len(), windows.scored()), (2, 2 * 19));
/// assert_eq!(Windows::new((0..100).collect(), None, 40, Some(10))?.len(), 7);
/// assert_eq!(Windows::new((0..30).collect(), None, 40, None)?.scored(), 29);
/// # Ok::<(), quernel::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Windows {
    tokens: Vec<u32>,
    begin: Option<u32>,
    context: usize,
    stride: usize,
    /// How many of a window's last tokens are scored.
    last: usize,
}

impl Windows {
    /// Windows of `context` tokens of a text, `stride` apart where it is given. `begin` is the token that a text begins
    /// with, where it has one: it takes the place of the first token of every window.
    ///
    /// # Errors
    /// [`Error::Option`] where the text has fewer than 2 tokens, a window fewer than 2, or a stride does not lie
    /// between 1 and one less than the window.
    pub fn new(tokens: Vec<u32>, begin: Option<u32>, context: usize, stride: Option<usize>) -> Result<Self> {
        if tokens.len() < 2 {
            return Err(Error::option("--file", format!("has {} tokens; 2 are the least", tokens.len())));
        }
        if context < 2 {
            return Err(Error::option("--ctx-size", format!("a window of {context} tokens; 2 are the least")));
        }
        if let Some(stride) = stride.filter(|stride| !(1..context).contains(stride)) {
            let reason = format!("{stride} is not between 1 and {}, one less than the window", context - 1);
            return Err(Error::option("--stride", reason));
        }
        if tokens.len() < context {
            let all = tokens.len();
            return Ok(Self { tokens, begin, context: all, stride: all, last: all - 1 });
        }
        let last = stride.unwrap_or(context - context / 2 - 1);
        // A window of two tokens has one that can be scored.
        Ok(Self { tokens, begin, context, stride: stride.unwrap_or(context), last: last.max(1) })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        (self.tokens.len() - self.context) / self.stride + 1
    }

    /// Whether there are none; there always is one.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tokens of each.
    pub fn context(&self) -> usize {
        self.context
    }

    /// Tokens of all of them that are scored.
    pub fn scored(&self) -> usize {
        self.len() * self.last
    }

    /// The tokens of one.
    pub(super) fn tokens(&self, window: usize) -> Vec<u32> {
        let first = window * self.stride;
        let mut tokens = self.tokens[first..first + self.context].to_vec();
        if let Some(begin) = self.begin {
            tokens[0] = begin;
        }
        tokens
    }

    /// The positions in a window whose tokens are scored.
    pub(super) fn scored_positions(&self) -> Range<usize> {
        self.context - self.last..self.context
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_those_of_llama_cpp() -> Result<()> {
        let windows = Windows::new((0..1100).collect(), Some(7777), 512, None)?;
        assert_eq!((windows.len(), windows.scored_positions()), (2, 257..512));
        let second = windows.tokens(1);
        assert_eq!((second[0], second[1], second[511]), (7777, 513, 1023));
        let strided = Windows::new((0..1100).collect(), None, 512, Some(256))?;
        assert_eq!((strided.len(), strided.scored_positions(), strided.tokens(2)[0]), (3, 256..512, 512));
        Ok(())
    }

    #[test]
    fn a_short_text_is_scored_whole() -> Result<()> {
        let windows = Windows::new(vec![1, 2, 3], None, 512, Some(100))?;
        assert_eq!((windows.len(), windows.context(), windows.scored_positions()), (1, 3, 1..3));
        let exact = Windows::new((0..512).collect(), None, 512, None)?;
        assert_eq!((exact.len(), exact.scored()), (1, 255));
        assert_eq!(Windows::new(vec![1, 2, 3, 4], None, 2, None)?.scored(), 2);
        Ok(())
    }

    #[test]
    fn windows_that_cannot_be_are_refused() {
        let refused = |tokens: usize, context, stride| Windows::new(vec![0; tokens], None, context, stride).is_err();
        assert!(refused(1, 512, None) && refused(0, 512, None) && refused(100, 1, None));
        assert!(refused(100, 50, Some(0)) && refused(100, 50, Some(50)) && !refused(100, 50, Some(49)));
    }
}
