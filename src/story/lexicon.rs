//! The words: who and what there is to tell of, and the forms in which they stand in a sentence.
//!
//! It must not know plots.

use super::facts::{Facet, Facts};
use super::mistake;
use crate::error::Result;

/// The words of `assets/story/lexicon.txt`.
#[derive(Debug, Default)]
pub struct Lexicon {
    pub names: Vec<Named>,
    pub kinds: Vec<Kinded>,
    pub traits: Vec<String>,
    pub things: Vec<Thing>,
    pub places: Vec<Place>,
    /// Phrases of one word's grammar, such as times of the day: a class each.
    pub lists: Vec<(String, Vec<String>)>,
    /// The entries of a section that stand before each of its families, and before none.
    families: Vec<(String, Vec<usize>)>,
}

/// Names, kinds, things and places are of so many families each: a section that comes again begins the next one.
pub const FAMILIES: usize = 3;

/// A character's name.
#[derive(Debug)]
pub struct Named {
    pub name: String,
    pub pronoun: Pronoun,
}

/// What a character is: a fox, a miller.
#[derive(Debug)]
pub struct Kinded {
    pub kind: String,
    pub pronoun: Option<Pronoun>,
}

/// Something to have.
#[derive(Debug)]
pub struct Thing {
    pub noun: String,
    pub looks: Vec<String>,
    pub uses: Vec<String>,
}

/// Somewhere to be: the bare word, "at the mill", "to the mill".
#[derive(Debug)]
pub struct Place {
    pub word: String,
    pub at: String,
    pub to: String,
}

/// Which pronouns a name takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pronoun {
    She,
    He,
}

/// What a member of a plot's cast is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    Character,
    Thing,
    Place,
    /// An entry of the list with this index.
    List(usize),
    /// No word at all, but a choice that several sentences share.
    Tie,
}

/// A form in which a member of the cast stands in a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Its own word: a name, a noun, a list's entry.
    Word,
    Kind,
    AKind,
    ATraitKind,
    Trait,
    She,
    Her,
    Him,
    Herself,
    A,
    Look,
    ALook,
    Use,
    OtherUse,
    At,
    To,
    The,
}

impl Form {
    /// The form that `words` name for a member of this class.
    pub fn parse(words: &str, class: Class) -> Option<Self> {
        Some(match (class, words) {
            (Class::Character | Class::List(_), "") | (Class::Thing, "" | "thing") => Self::Word,
            (Class::Character, "kind") => Self::Kind,
            (Class::Character, "a kind") => Self::AKind,
            (Class::Character, "a trait kind") => Self::ATraitKind,
            (Class::Character, "trait") => Self::Trait,
            (Class::Character, "she") => Self::She,
            (Class::Character, "her") => Self::Her,
            (Class::Character, "him") => Self::Him,
            (Class::Character, "herself") => Self::Herself,
            (Class::Thing, "a" | "a thing") => Self::A,
            (Class::Thing, "look" | "look thing") => Self::Look,
            (Class::Thing, "a look" | "a look thing") => Self::ALook,
            (Class::Thing, "use") => Self::Use,
            (Class::Thing, "other") => Self::OtherUse,
            (Class::Place, "at") => Self::At,
            (Class::Place, "to") => Self::To,
            (Class::Place, "place") => Self::The,
            _ => return None,
        })
    }

    /// What the form gives away.
    pub fn facets(self, class: Class) -> &'static [Facet] {
        match self {
            Self::Word => match class {
                Class::Character => &[Facet::Name],
                Class::Thing => &[Facet::Noun],
                _ => &[Facet::Entry],
            },
            Self::Kind | Self::AKind => &[Facet::Kind],
            Self::ATraitKind => &[Facet::Trait, Facet::Kind],
            Self::Trait => &[Facet::Trait],
            Self::She | Self::Her | Self::Him | Self::Herself => &[Facet::Pronoun],
            Self::A => &[Facet::Noun],
            Self::Look | Self::ALook => &[Facet::Noun, Facet::Look],
            Self::Use => &[Facet::Noun, Facet::Use],
            Self::OtherUse => &[Facet::Noun, Facet::OtherUse],
            Self::At | Self::To | Self::The => &[Facet::Entry],
        }
    }
}

impl Lexicon {
    /// Reads the file.
    pub fn parse(text: &str) -> Result<Self> {
        let mut lexicon = Self::default();
        let mut section = "";
        for (number, line) in lines(text) {
            if let Some(name) = line.strip_prefix('[') {
                section = name.trim_end_matches(']');
                lexicon.begin_family(section);
                continue;
            }
            let fields: Vec<&str> = line.split('|').map(str::trim).collect();
            lexicon
                .add(section, &fields)
                .ok_or_else(|| mistake("lexicon.txt", number, format!("{line:?} is no entry of [{section}]")))?;
        }
        match lexicon.families.iter().find(|(_, starts)| starts.len() != FAMILIES) {
            Some((section, starts)) => {
                let reason = format!("[{section}] is there {} times, not {FAMILIES}", starts.len());
                Err(mistake("lexicon.txt", text.lines().count(), reason))
            }
            None => Ok(lexicon),
        }
    }

    fn begin_family(&mut self, section: &str) {
        let before = match section {
            "names" => self.names.len(),
            "kinds" => self.kinds.len(),
            "things" => self.things.len(),
            "places" => self.places.len(),
            _ => return,
        };
        match self.families.iter_mut().find(|(name, _)| name == section) {
            Some((_, starts)) => starts.push(before),
            None => self.families.push((section.into(), vec![before])),
        }
    }

    /// The family of a value, where such values have one.
    pub fn family(&self, class: Class, facet: Facet, value: usize) -> Option<usize> {
        let section = match (class, facet) {
            (Class::Character, Facet::Name) => "names",
            (Class::Character, Facet::Kind) => "kinds",
            (Class::Thing, Facet::Noun) => "things",
            (Class::Place, Facet::Entry) => "places",
            _ => return None,
        };
        let (_, starts) = self.families.iter().find(|(name, _)| name == section)?;
        starts.iter().rposition(|start| *start <= value)
    }

    fn add(&mut self, section: &str, fields: &[&str]) -> Option<()> {
        match (section, fields) {
            ("names", [name, pronoun]) => {
                self.names.push(Named { name: (*name).into(), pronoun: pronoun_of(pronoun)? });
            }
            ("kinds", [kind]) => self.kinds.push(Kinded { kind: (*kind).into(), pronoun: None }),
            ("kinds", [kind, pronoun]) => {
                self.kinds.push(Kinded { kind: (*kind).into(), pronoun: Some(pronoun_of(pronoun)?) });
            }
            ("traits", [word]) => self.traits.push((*word).into()),
            ("things", [noun, looks, uses]) => self.things.push(Thing {
                noun: (*noun).into(),
                looks: looks.split(',').map(|look| look.trim().into()).collect(),
                uses: uses.split(';').map(|way| way.trim().into()).collect(),
            }),
            ("places", [word, at, to]) => {
                self.places.push(Place { word: (*word).into(), at: (*at).into(), to: (*to).into() });
            }
            (list, [entry]) if !list.is_empty() => match self.lists.iter_mut().find(|(name, _)| name == list) {
                Some((_, entries)) => entries.push((*entry).into()),
                None => self.lists.push((list.into(), vec![(*entry).into()])),
            },
            _ => return None,
        }
        Some(())
    }

    /// The class of this name.
    pub fn class(&self, name: &str) -> Option<Class> {
        Some(match name {
            "character" => Class::Character,
            "thing" => Class::Thing,
            "place" => Class::Place,
            list => Class::List(self.lists.iter().position(|(name, _)| name == list)?),
        })
    }

    /// How many values a facet has, given what is known of the same member of the cast.
    pub fn count(&self, class: Class, facet: Facet, facts: &Facts, member: usize) -> usize {
        let thing = || facts.get(member, Facet::Noun).and_then(|noun| self.things.get(noun));
        match (class, facet) {
            (Class::Character, Facet::Name) => self.names.len(),
            (Class::Character, Facet::Kind) => self.kinds.len(),
            (Class::Character, Facet::Trait) => self.traits.len(),
            (Class::Character, Facet::Pronoun) => 2,
            (Class::Thing, Facet::Noun) => self.things.len(),
            (Class::Thing, Facet::Look) => thing().map_or(0, |thing| thing.looks.len()),
            (Class::Thing, Facet::Use | Facet::OtherUse) => thing().map_or(0, |thing| thing.uses.len()),
            (Class::Place, Facet::Entry) => self.places.len(),
            (Class::List(list), Facet::Entry) => self.lists.get(list).map_or(0, |(_, entries)| entries.len()),
            _ => 0,
        }
    }

    /// Whether a name fits its pronoun and its kind, and one use is not the other.
    pub fn fits(&self, facts: &Facts, member: usize) -> bool {
        let name = facts.get(member, Facet::Name).and_then(|name| self.names.get(name)).map(|name| name.pronoun);
        let kind = facts.get(member, Facet::Kind).and_then(|kind| self.kinds.get(kind)).and_then(|kind| kind.pronoun);
        let said = facts.get(member, Facet::Pronoun).map(|at| [Pronoun::She, Pronoun::He][at.min(1)]);
        let agree = |a: Option<Pronoun>, b: Option<Pronoun>| a.is_none() || b.is_none() || a == b;
        let uses = (facts.get(member, Facet::Use), facts.get(member, Facet::OtherUse));
        agree(name, kind) && agree(name, said) && agree(kind, said) && (uses.0.is_none() || uses.0 != uses.1)
    }

    /// The words of a form, for a member of whom all that the form needs is known.
    pub fn words(&self, class: Class, form: Form, facts: &Facts, member: usize) -> Option<String> {
        let get = |facet| facts.get(member, facet);
        let kind = || Some(self.kinds.get(get(Facet::Kind)?)?.kind.as_str());
        let word = || Some(self.traits.get(get(Facet::Trait)?)?.as_str());
        let thing = || self.things.get(get(Facet::Noun)?);
        let place = || self.places.get(get(Facet::Entry)?);
        let look = || Some(format!("{} {}", thing()?.looks.get(get(Facet::Look)?)?, thing()?.noun));
        let pronoun = |she: &str, he: &str| Some(if get(Facet::Pronoun)? == 0 { she } else { he }.to_owned());
        match form {
            Form::Word => match class {
                Class::Character => Some(self.names.get(get(Facet::Name)?)?.name.clone()),
                Class::Thing => Some(thing()?.noun.clone()),
                Class::Place => Some(place()?.word.clone()),
                Class::List(list) => self.lists.get(list)?.1.get(get(Facet::Entry)?).cloned(),
                Class::Tie => None,
            },
            Form::Kind => Some(kind()?.to_owned()),
            Form::AKind => Some(a(kind()?)),
            Form::ATraitKind => Some(format!("{} {}", a(word()?), kind()?)),
            Form::Trait => Some(word()?.to_owned()),
            Form::She => pronoun("she", "he"),
            Form::Her => pronoun("her", "his"),
            Form::Him => pronoun("her", "him"),
            Form::Herself => pronoun("herself", "himself"),
            Form::A => Some(a(&thing()?.noun)),
            Form::Look => look(),
            Form::ALook => Some(a(&look()?)),
            Form::Use => thing()?.uses.get(get(Facet::Use)?).cloned(),
            Form::OtherUse => thing()?.uses.get(get(Facet::OtherUse)?).cloned(),
            Form::At => Some(place()?.at.clone()),
            Form::To => Some(place()?.to.clone()),
            Form::The => Some(place()?.at.split_once(' ')?.1.to_owned()),
        }
    }
}

/// The lines that say something, with their numbers from 0.
pub fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

fn pronoun_of(word: &str) -> Option<Pronoun> {
    match word {
        "she" => Some(Pronoun::She),
        "he" => Some(Pronoun::He),
        _ => None,
    }
}

/// The words with their article; `honest` is the one word here whose first letter is silent.
fn a(words: &str) -> String {
    let vowel = words.starts_with(['a', 'e', 'i', 'o', 'u']) || words.starts_with("honest");
    format!("{} {words}", if vowel { "an" } else { "a" })
}
