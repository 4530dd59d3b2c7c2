//! Reading stories: a story is consistent if some plot can tell it, with one cast from beginning to end.

use super::Grammar;
use super::facts::{Facet, Facts};
use super::lexicon::{Class, Form};
use super::plot::Plot;
use std::fmt;

/// Reads stories back.
#[derive(Debug)]
pub struct Reader<'g> {
    grammar: &'g Grammar,
}

/// What a consistent story tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The plot's name.
    pub plot: String,
    /// Words for all that is known of the cast: `hero.kind` is "fox", `thing` is "lantern".
    pub facts: Vec<(String, String)>,
}

/// Why a text is no consistent story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Bytes of it that could be read.
    pub at: usize,
    /// What comes there.
    pub found: String,
    /// Whether it could stand in such a story, if it did not contradict what came before.
    pub contradiction: bool,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.found.as_str(), self.contradiction) {
            ("", _) => write!(f, "it ends in the middle"),
            (found, true) => write!(f, "{found:?} contradicts what was told before"),
            (found, false) => write!(f, "{found:?} cannot be understood there"),
        }
    }
}

impl<'g> Reader<'g> {
    /// A reader of this grammar's stories.
    pub fn new(grammar: &'g Grammar) -> Self {
        Self { grammar }
    }

    /// Reads a story from its first word to its last; white space around it is left out.
    ///
    /// # Errors
    /// A [`Refusal`] says where it stops making sense.
    pub fn read(&self, text: &str) -> Result<Reading, Refusal> {
        let text = text.trim();
        let mut furthest = Furthest { at: 0, plot: 0, beats: Vec::new() };
        for (number, plot) in self.grammar.plots.iter().enumerate() {
            let mut reading = Attempt { grammar: self.grammar, plot, number, text, furthest: &mut furthest };
            if let Some(facts) = reading.beats(0, 0, "", &Facts::new(plot.cast.len())) {
                return Ok(Reading { plot: plot.name.clone(), facts: self.words(plot, &facts) });
            }
        }
        Err(self.refusal(text, &furthest))
    }

    fn words(&self, plot: &Plot, facts: &Facts) -> Vec<(String, String)> {
        let mut words = Vec::new();
        for (member, (name, class)) in plot.cast.iter().enumerate() {
            let forms: &[(&str, Form)] = match class {
                Class::Character => &[("", Form::Word), (".kind", Form::Kind), (".trait", Form::Trait)],
                Class::Thing => {
                    &[("", Form::Word), (".look", Form::Look), (".use", Form::Use), (".other", Form::OtherUse)]
                }
                Class::Place | Class::List(_) => &[("", Form::Word)],
                Class::Tie => &[],
            };
            for (facet, form) in forms {
                if let Some(word) = self.grammar.lexicon.words(*class, *form, facts, member) {
                    words.push((format!("{name}{facet}"), word));
                }
            }
        }
        words
    }

    /// Whether the next sentence could stand there at all decides what is wrong with it.
    fn refusal(&self, text: &str, furthest: &Furthest) -> Refusal {
        let rest = text.get(furthest.at..).unwrap_or_default().trim_start();
        let plot = &self.grammar.plots[furthest.plot];
        let nobody = Facts::new(plot.cast.len());
        let contradiction = furthest
            .beats
            .iter()
            .filter_map(|beat| plot.beats.get(*beat))
            .any(|beat| beat.ways.iter().any(|way| way.phrase.resembles(&self.grammar.lexicon, rest, &nobody)));
        let end = rest.find(['.', '!', '?', '\n']).map_or(rest.len(), |end| end + 1);
        Refusal { at: furthest.at, found: rest.get(..end).unwrap_or_default().trim().to_owned(), contradiction }
    }
}

/// How far any plot came, and which of its beats might have followed.
struct Furthest {
    at: usize,
    plot: usize,
    beats: Vec<usize>,
}

struct Attempt<'a> {
    grammar: &'a Grammar,
    plot: &'a Plot,
    number: usize,
    text: &'a str,
    furthest: &'a mut Furthest,
}

impl Attempt<'_> {
    /// What is known when the text is read from `at` to its end by the beats from `next` on.
    fn beats(&mut self, next: usize, at: usize, gap: &'static str, facts: &Facts) -> Option<Facts> {
        let Some(beat) = self.plot.beats.get(next) else {
            return (at == self.text.len()).then(|| facts.clone());
        };
        let gap = super::tell::wider(gap, beat.gap);
        self.reached(at, next);
        if let Some(rest) = self.text.get(at..).and_then(|rest| rest.strip_prefix(gap)) {
            let start = self.text.len() - rest.len();
            for way in &beat.ways {
                for (length, known) in way.phrase.read(&self.grammar.lexicon, rest, facts) {
                    let Some(known) = way.tie(&known).filter(|known| self.plot.allows(known)) else {
                        continue;
                    };
                    if let Some(end) = self.beats(next + 1, start + length, "", &known) {
                        return Some(end);
                    }
                }
            }
        }
        if beat.optional { self.beats(next + 1, at, gap, facts) } else { None }
    }

    fn reached(&mut self, at: usize, beat: usize) {
        if at > self.furthest.at {
            *self.furthest = Furthest { at, plot: self.number, beats: Vec::new() };
        }
        if at == self.furthest.at && self.number == self.furthest.plot {
            self.furthest.beats.push(beat);
        }
    }
}

impl Reading {
    /// The word for one fact.
    pub fn fact(&self, name: &str) -> Option<&str> {
        self.facts.iter().find(|(fact, _)| fact == name).map(|(_, word)| word.as_str())
    }

    /// Whether a fact of this facet has this word, whoever's it is.
    pub(super) fn has(&self, facet: &Facet, word: &str) -> bool {
        let fits = |name: &str| match facet {
            Facet::Kind => name.ends_with(".kind"),
            Facet::Trait => name.ends_with(".trait"),
            Facet::Look => name.ends_with(".look"),
            _ => !name.contains('.'),
        };
        self.facts.iter().any(|(name, known)| fits(name) && known == word)
    }
}
