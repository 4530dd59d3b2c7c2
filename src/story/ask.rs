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

/// A way to ask for a story of one plot.
#[derive(Debug)]
pub struct Asked<'g> {
    phrase: &'g Phrase,
    /// Which of the plot's cast the members of a request's are.
    places: Vec<Option<usize>>,
}

impl<'g> Asked<'g> {
    /// One that the plot's cast allows: `dice` choose what is named, and then the words.
    pub fn new(grammar: &'g Grammar, plot: &Plot, dice: &mut Dice) -> Option<Self> {
        let dialogue = plot.beats.last().is_some_and(|beat| beat.gap == "\n");
        let kind = if dialogue { Kind::Dialogue } else { Kind::Story };
        let of = |name: &str| plot.cast.iter().position(|(member, _)| member == name);
        let friend = plot.cast.iter().position(|(name, class)| *class == Class::Character && name != "hero");
        let places = vec![of("hero"), friend, of("thing"), of("home")];
        let possible = |phrase: &Phrase| phrase.tells().all(|(member, _)| places[member].is_some());
        let phrases = grammar.requests.iter().filter(|(k, phrase)| *k == kind && possible(phrase));
        let mut alike: Vec<Vec<&Phrase>> = Vec::new();
        for (_, phrase) in phrases {
            match alike.iter_mut().find(|others| others[0].tells().eq(phrase.tells())) {
                Some(others) => others.push(phrase),
                None => alike.push(vec![phrase]),
            }
        }
        let alike = dice.one_of(&alike)?;
        Some(Self { phrase: dice.one_of(alike)?, places })
    }

    /// Whether it names this of this member of the plot's cast.
    pub fn names(&self, member: usize, facet: Facet) -> bool {
        self.phrase.tells().any(|(asked, named)| named == facet && self.places[asked] == Some(member))
    }

    /// Its words, where all that it names is among the plot's facts.
    pub fn text(&self, lexicon: &Lexicon, facts: &Facts) -> Option<String> {
        let mut known = Facts::new(self.places.len());
        for (member, facet) in self.phrase.tells() {
            let value = facts.get(self.places[member]?, facet)?;
            let _ = known.learn(member, facet, value);
        }
        self.phrase.say(lexicon, &known)
    }
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
