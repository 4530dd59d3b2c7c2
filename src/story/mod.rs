//! Short stories that can be written without end, and read back by a program.
//!
//! A small language model is only worth shipping if one can say how good it is without asking anybody's opinion. So
//! the model inside Quernel was taught by stories that a grammar wrote, and the same grammar reads what the model
//! writes: a [`Teller`] tells a story that its seed names, a [`Reader`] finds out who is in a story, who has what,
//! where and why, and refuses one that contradicts itself. A [`Request`] asks for a story about given things, and
//! knows whether it got it.
//!
//! The words are in `assets/story`: `lexicon.txt` (whom and what there is), `plots.txt` (how stories go), and
//! `requests.txt` (how people ask). This module must not know models, tokens or GPUs.

mod ask;
mod facts;
mod lexicon;
mod phrase;
mod plot;
mod read;
mod tell;

#[cfg(test)]
mod tests;

pub use ask::{Kind, Request};
pub use read::{Reader, Reading, Refusal};
pub use tell::{Story, Teller};

use crate::error::{Error, Result};
use lexicon::Lexicon;
use phrase::Phrase;
use plot::Plot;

/// All that stories are made of.
///
/// ```
/// use quernel::story::{Grammar, Reader, Teller};
/// let grammar = Grammar::new()?;
/// let story = Teller::new(&grammar, 7).story(0);
/// let reading = Reader::new(&grammar).read(&story.text).expect("a story that was told can be read");
/// assert_eq!(reading.plot, story.plot);
/// # Ok::<(), quernel::Error>(())
/// ```
#[derive(Debug)]
pub struct Grammar {
    lexicon: Lexicon,
    plots: Vec<Plot>,
    requests: Vec<(Kind, Phrase)>,
}

impl Grammar {
    /// Reads the grammar that is compiled in.
    ///
    /// # Errors
    /// [`Error::BadFile`] with the line at fault, if somebody edited its files and made a mistake.
    pub fn new() -> Result<Self> {
        let lexicon = Lexicon::parse(include_str!("../../assets/story/lexicon.txt"))?;
        let plots = plot::parse(include_str!("../../assets/story/plots.txt"), &lexicon)?;
        let requests = ask::parse(include_str!("../../assets/story/requests.txt"), &lexicon)?;
        Ok(Self { lexicon, plots, requests })
    }

    /// The names of the plots.
    pub fn plots(&self) -> impl Iterator<Item = &str> {
        self.plots.iter().map(|plot| plot.name.as_str())
    }
}

/// An error in one of the grammar's files.
fn mistake(file: &str, line: usize, reason: impl Into<String>) -> Error {
    Error::BadFile {
        path: format!("assets/story/{file}").into(),
        reason: format!("line {}: {}", line + 1, reason.into()),
    }
}
