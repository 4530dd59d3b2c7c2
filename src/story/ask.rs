//! Asking for stories, and judging whether the story is about what was asked for.

use super::facts::{Facet, Facts};
use super::lexicon::{Class, Form, Lexicon, lines};
use super::phrase::Phrase;
use super::plot::Plot;
use super::read::Reading;
use super::tell::Dice;
use super::{Grammar, mistake};
use crate::error::Result;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A story.
    Story,
    /// Two who speak in turn.
    Dialogue,
}

/// Somebody asks for a story about given things.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The words, such as "Tell me a story about a fox and a lantern."
    pub text: String,
    /// What the story must have: a facet and the word for it.
    wanted: Vec<(Facet, String)>,
}

/// The cast of every request; a plot's second character is its friend, whatever it is called there.
fn members(lexicon: &Lexicon) -> Vec<(String, Class)> {
    let names = [("hero", "character"), ("friend", "character"), ("thing", "thing"), ("home", "place")];
    names.iter().filter_map(|(name, class)| Some(((*name).to_owned(), lexicon.class(class)?))).collect()
}

/// Reads the requests.
pub fn parse(text: &str, lexicon: &Lexicon) -> Result<Vec<(Kind, Phrase)>> {
    let cast = members(lexicon);
    let mut kind = Kind::Story;
    let mut requests = Vec::new();
    for (number, line) in lines(text) {
        match line {
            "[story]" => kind = Kind::Story,
            "[dialogue]" => kind = Kind::Dialogue,
            _ => {
                let phrase = Phrase::parse(line, &cast).map_err(|reason| mistake("requests.txt", number, reason))?;
                requests.push((kind, phrase));
            }
        }
    }
    Ok(requests)
}

/// Words by which somebody might have asked for the story of this plot and these facts; `below` chooses.
pub fn asked(grammar: &Grammar, plot: &Plot, facts: &Facts, below: impl FnOnce(usize) -> usize) -> Option<String> {
    let dialogue = plot.beats.last().is_some_and(|beat| beat.gap == "\n");
    let kind = if dialogue { Kind::Dialogue } else { Kind::Story };
    let of = |name: &str| plot.cast.iter().position(|(member, _)| member == name);
    let friend = plot.cast.iter().position(|(name, class)| *class == Class::Character && name != "hero");
    let places = [of("hero"), friend, of("thing"), of("home")];
    let mut known = Facts::new(places.len());
    for (member, place) in places.iter().enumerate() {
        for facet in [Facet::Name, Facet::Kind, Facet::Trait, Facet::Pronoun, Facet::Noun, Facet::Look, Facet::Entry] {
            if let Some(value) = place.and_then(|place| facts.get(place, facet)) {
                let _ = known.learn(member, facet, value);
            }
        }
    }
    let said = |(k, phrase): &(Kind, Phrase)| if *k == kind { phrase.say(&grammar.lexicon, &known) } else { None };
    let requests: Vec<String> = grammar.requests.iter().filter_map(said).collect();
    requests.get(below(requests.len())).cloned()
}

impl Request {
    /// The request for a story that `seed` and `number` name; it names at least one thing.
    pub fn new(grammar: &Grammar, seed: u64, number: u64) -> Option<Self> {
        let mut dice = Dice::new(seed, number);
        let named: Vec<&Phrase> = grammar
            .requests
            .iter()
            .filter(|(kind, phrase)| *kind == Kind::Story && phrase.tells().next().is_some())
            .map(|(_, phrase)| phrase)
            .collect();
        let phrase = dice.one_of(&named)?;
        let (cast, lexicon) = (members(&grammar.lexicon), &grammar.lexicon);
        loop {
            let mut facts = Facts::new(cast.len());
            for (member, facet) in phrase.tells() {
                let count = lexicon.count(cast[member].1, facet, &facts, member);
                let _ = facts.learn(member, facet, dice.below(count));
            }
            let two = facts.get(0, Facet::Kind).is_some() && facts.get(0, Facet::Kind) == facts.get(1, Facet::Kind);
            if !two && (0..cast.len()).all(|member| lexicon.fits(&facts, member)) {
                return Some(Self {
                    text: phrase.say(lexicon, &facts)?,
                    wanted: wanted(lexicon, &cast, phrase, &facts),
                });
            }
        }
    }

    /// Whether the story has everything that was named.
    pub fn is_met_by(&self, story: &Reading) -> bool {
        self.wanted.iter().all(|(facet, word)| story.has(facet, word))
    }
}

fn wanted(lexicon: &Lexicon, cast: &[(String, Class)], phrase: &Phrase, facts: &Facts) -> Vec<(Facet, String)> {
    let form = |facet| match facet {
        Facet::Kind => Some(Form::Kind),
        Facet::Trait => Some(Form::Trait),
        Facet::Look => Some(Form::Look),
        Facet::Name | Facet::Noun | Facet::Entry => Some(Form::Word),
        _ => None,
    };
    let word =
        |(member, facet): (usize, Facet)| Some((facet, lexicon.words(cast[member].1, form(facet)?, facts, member)?));
    phrase.tells().filter_map(word).collect()
}
