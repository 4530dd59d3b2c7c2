//! How stories go: the plots of `assets/story/plots.txt`.
//!
//! A plot is a list of beats, each of which can be told in several ways. It must not know how one is chosen.

use super::facts::{Facet, Facts};
use super::lexicon::{Class, Lexicon, lines};
use super::mistake;
use super::phrase::Phrase;
use crate::error::Result;

/// One kind of story.
#[derive(Debug)]
pub struct Plot {
    pub name: String,
    /// Who and what is in it. Ties come last.
    pub cast: Vec<(String, Class)>,
    /// Members of the cast that may not be the same.
    pub differ: Vec<Vec<usize>>,
    pub beats: Vec<Beat>,
    /// What one may ask afterwards, with the answers.
    pub questions: Vec<(Phrase, Phrase)>,
    /// The names of a tie's values.
    choices: Vec<String>,
}

/// A step of a story.
#[derive(Debug)]
pub struct Beat {
    pub optional: bool,
    /// What parts it from what was told before.
    pub gap: &'static str,
    pub ways: Vec<Way>,
}

/// One way to tell a beat.
#[derive(Debug)]
pub struct Way {
    pub phrase: Phrase,
    /// What must be so: member, facet, value.
    ties: Vec<(usize, Facet, usize)>,
}

impl Way {
    /// What is known once this way was taken, or nothing where it cannot be.
    pub fn tie(&self, facts: &Facts) -> Option<Facts> {
        let mut facts = facts.clone();
        self.ties.iter().all(|(member, facet, value)| facts.learn(*member, *facet, *value)).then_some(facts)
    }
}

impl Plot {
    /// Whether those that must differ do, as far as this is known.
    pub fn allows(&self, facts: &Facts) -> bool {
        let same = |a: usize, b: usize| {
            [Facet::Name, Facet::Kind, Facet::Noun, Facet::Entry]
                .iter()
                .any(|facet| facts.get(a, *facet).is_some_and(|value| facts.get(b, *facet) == Some(value)))
        };
        let differ =
            |group: &Vec<usize>| group.iter().enumerate().all(|(at, a)| group[at + 1..].iter().all(|b| !same(*a, *b)));
        self.differ.iter().all(differ)
    }

    fn new(name: &str) -> Self {
        let (cast, differ, beats) = (Vec::new(), Vec::new(), Vec::new());
        Self { name: name.into(), cast, differ, beats, questions: Vec::new(), choices: Vec::new() }
    }

    fn member(&self, name: &str) -> Result<usize, String> {
        let member = self.cast.iter().position(|(member, _)| member == name);
        member.ok_or_else(|| format!("{name:?} is not in the cast"))
    }

    fn cast(&mut self, list: &str, lexicon: &Lexicon) -> Result<(), String> {
        for entry in list.split_whitespace() {
            let (name, class) = entry.split_once(':').ok_or("a cast is a list of NAME:CLASS")?;
            let class = lexicon.class(class).ok_or_else(|| format!("{class:?} is no class of the lexicon"))?;
            self.cast.push((name.into(), class));
        }
        Ok(())
    }

    /// A way to tell the last beat.
    fn way(&mut self, text: &str, lexicon: &Lexicon) -> Result<(), String> {
        let (ties, text) = match text.strip_prefix('[') {
            Some(tied) => tied.split_once("] ").ok_or("the ties are not closed")?,
            None => ("", text),
        };
        let ties = ties.split_whitespace().map(|tie| self.tie(tie, lexicon)).collect::<Result<_, _>>()?;
        let phrase = Phrase::parse(text, &self.cast)?;
        self.beats.last_mut().ok_or("there is no beat yet")?.ways.push(Way { phrase, ties });
        Ok(())
    }

    fn tie(&mut self, tie: &str, lexicon: &Lexicon) -> Result<(usize, Facet, usize), String> {
        let (name, value) = tie.split_once('=').ok_or("a tie is NAME=VALUE")?;
        if self.cast.iter().all(|(member, _)| member != name) {
            self.cast.push((name.into(), Class::Tie));
        }
        let member = self.member(name)?;
        if self.cast[member].1 == Class::Thing {
            let noun = lexicon.things.iter().position(|thing| thing.noun == value);
            return Ok((member, Facet::Noun, noun.ok_or_else(|| format!("{value:?} is no thing"))?));
        }
        let known = self.choices.iter().position(|choice| choice == value);
        let value = known.unwrap_or_else(|| {
            self.choices.push(value.into());
            self.choices.len() - 1
        });
        Ok((member, Facet::Entry, value))
    }

    fn question(&mut self, text: &str) -> Result<(), String> {
        let (question, answer) = text.split_once(" | ").ok_or("a question is `QUESTION | ANSWER`")?;
        self.questions.push((Phrase::parse(question, &self.cast)?, Phrase::parse(answer, &self.cast)?));
        Ok(())
    }
}

/// Reads the plots.
pub fn parse(text: &str, lexicon: &Lexicon) -> Result<Vec<Plot>> {
    let mut plots: Vec<Plot> = Vec::new();
    let mut gap = " ";
    for (number, line) in lines(text) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let line = if word == "plot" {
            plots.push(Plot::new(rest));
            gap = "";
            Ok(())
        } else {
            plots
                .last_mut()
                .ok_or_else(|| "there is no plot yet".to_owned())
                .and_then(|plot| add(plot, word, rest, lexicon, &mut gap))
        };
        line.map_err(|reason| mistake("plots.txt", number, reason))?;
    }
    Ok(plots)
}

fn add(plot: &mut Plot, word: &str, rest: &str, lexicon: &Lexicon, gap: &mut &'static str) -> Result<(), String> {
    match word {
        "cast" => plot.cast(rest, lexicon)?,
        "differ" => {
            let group = rest.split_whitespace().map(|name| plot.member(name)).collect::<Result<_, _>>()?;
            plot.differ.push(group);
        }
        "beat" | "beat?" => {
            plot.beats.push(Beat { optional: word == "beat?", gap, ways: Vec::new() });
            *gap = " ";
        }
        "para" => *gap = "\n\n",
        "line" => *gap = "\n",
        "|" => plot.way(rest, lexicon)?,
        "?" => plot.question(rest)?,
        _ => return Err(format!("{word:?} begins no line of a plot")),
    }
    Ok(())
}
