//! Telling stories: every choice that a plot leaves open is made by a seed.

use super::Grammar;
use super::ask::Asked;
use super::facts::{Facet, Facts};
use super::lexicon::{Class, FAMILIES};
use super::phrase::Phrase;
use super::plot::{Plot, Way};
use crate::engine::Rng;

/// A story, and what it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Story {
    /// Its text: paragraphs parted by an empty line, or a dialogue's lines.
    pub text: String,
    /// The name of its plot.
    pub plot: String,
    /// How somebody asked for it, if anybody did.
    pub request: Option<String>,
    /// What somebody may ask afterwards, with the answers.
    pub questions: Vec<(String, String)>,
}

/// Tells stories.
#[derive(Debug)]
pub struct Teller<'g> {
    grammar: &'g Grammar,
    rng: Rng,
}

impl<'g> Teller<'g> {
    /// One whose stories `seed` names.
    pub fn new(grammar: &'g Grammar, seed: u64) -> Self {
        Self { grammar, rng: Rng::new(seed) }
    }

    /// The story of this number.
    pub fn story(&self, number: u64) -> Story {
        let mut dice = Dice { rng: self.rng, counter: number << 24 };
        loop {
            let plot = dice.one_of(&self.grammar.plots);
            // A plot in which not everything fits everything is begun again until it comes to its end.
            for _ in 0..ATTEMPTS {
                if let Some(story) = plot.and_then(|plot| self.attempt(plot, &mut dice)) {
                    return story;
                }
            }
        }
    }

    fn attempt(&self, plot: &Plot, dice: &mut Dice) -> Option<Story> {
        let asked = if dice.below(100) < UNASKED { None } else { Some(Asked::new(self.grammar, plot, dice)?) };
        let (text, told) = tell(self.grammar, plot, asked.as_ref(), dice)?;
        let lexicon = &self.grammar.lexicon;
        let say =
            |(question, answer): &(Phrase, Phrase)| Some((question.say(lexicon, &told)?, answer.say(lexicon, &told)?));
        let questions = plot.questions.iter().filter_map(say).collect();
        // A story that leaves out what was asked for is given up.
        let request = match asked {
            Some(asked) => Some(asked.text(lexicon, &told)?),
            None => None,
        };
        Some(Story { text, plot: plot.name.clone(), request, questions })
    }
}

/// The share of the stories for which nobody asks, in hundredths.
const UNASKED: usize = 40;

/// A cast that fits no plot's end is given up after so many.
const ATTEMPTS: usize = 200;

/// A story's text, and what it tells: less than its cast has.
fn tell(grammar: &Grammar, plot: &Plot, asked: Option<&Asked<'_>>, dice: &mut Dice) -> Option<(String, Facts)> {
    let mut facts = cast(grammar, plot, asked, dice);
    let mut told = Facts::new(plot.cast.len());
    let mut text = String::new();
    let mut gap = "";
    for beat in &plot.beats {
        gap = wider(gap, beat.gap);
        if beat.optional && dice.below(2) == 0 {
            continue;
        }
        let open: Vec<(&Way, Facts)> = beat.ways.iter().filter_map(|way| Some((way, way.tie(&facts)?))).collect();
        let (way, known) = dice.one_of(&open)?;
        text.push_str(gap);
        text.push_str(&way.phrase.say(&grammar.lexicon, known)?);
        facts = known.clone();
        for (member, facet) in way.phrase.tells() {
            let pronoun = (facet == Facet::Name).then_some(Facet::Pronoun);
            for facet in [Some(facet), pronoun].into_iter().flatten() {
                let _ = told.learn(member, facet, facts.get(member, facet)?);
            }
        }
        gap = "";
    }
    Some((text, told))
}

/// The gap before the next beat that is told: that of the beats left out counts too.
pub fn wider(a: &'static str, b: &'static str) -> &'static str {
    if a.len() > b.len() || a.contains('\n') && !b.contains('\n') { a } else { b }
}

/// Everybody and everything is chosen before a word is said, but for the ties.
///
/// Whoever comes second is of the family after the first one's, and so on, unless something else is asked for. So two
/// that must differ are told apart by whole families, which a small model learns far sooner than to leave out one word of
/// forty because it was said before. A reader need not know this.
fn cast(grammar: &Grammar, plot: &Plot, asked: Option<&Asked<'_>>, dice: &mut Dice) -> Facts {
    let lexicon = &grammar.lexicon;
    let mut facts = Facts::new(plot.cast.len());
    loop {
        facts.clear();
        for (member, (_, class)) in plot.cast.iter().enumerate() {
            let (facets, telling): (&[Facet], Facet) = match class {
                Class::Character => (&[Facet::Kind, Facet::Name, Facet::Trait, Facet::Pronoun], Facet::Kind),
                Class::Thing => (&[Facet::Noun, Facet::Look, Facet::Use, Facet::OtherUse], Facet::Noun),
                Class::Place | Class::List(_) => (&[Facet::Entry], Facet::Entry),
                Class::Tie => (&[], Facet::Entry),
            };
            let alike = |other: &usize| plot.cast[*other].1 == *class;
            let first = (0..member).find(alike).unwrap_or(member);
            let later = (0..member).filter(alike).count();
            for &facet in facets {
                let count = lexicon.count(*class, facet, &facts, member);
                let free = asked.is_some_and(|asked| asked.names(member, facet));
                let first = facts.get(first, telling).and_then(|value| lexicon.family(*class, telling, value));
                let family = first.map(|first| (first + later) % FAMILIES).filter(|_| !free);
                let fits = |value: &usize| match (lexicon.family(*class, facet, *value), family) {
                    (Some(its), Some(family)) => its == family,
                    _ => true,
                };
                let values: Vec<usize> = (0..count).filter(fits).collect();
                let _ = facts.learn(member, facet, dice.one_of(&values).copied().unwrap_or(0));
            }
        }
        let fits = (0..plot.cast.len()).all(|member| lexicon.fits(&facts, member));
        if fits && plot.allows(&facts) {
            return facts;
        }
    }
}

/// Numbers that follow each other.
pub struct Dice {
    rng: Rng,
    counter: u64,
}

impl Dice {
    /// A source whose numbers `seed` and `number` name.
    pub fn new(seed: u64, number: u64) -> Self {
        Self { rng: Rng::new(seed), counter: number << 24 }
    }

    /// A number below `count`, or 0.
    pub fn below(&mut self, count: usize) -> usize {
        self.counter += 1;
        (self.rng.uniform(self.counter) * count as f64) as usize
    }

    /// One of the items, if there are any.
    pub fn one_of<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let at = self.below(items.len());
        items.get(at)
    }
}
