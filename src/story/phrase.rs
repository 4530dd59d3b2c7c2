//! Sentences with gaps: how they are parsed, said, and recognised.
//!
//! It must not know the order in which a plot says them.

use super::facts::{Facet, Facts};
use super::lexicon::{Class, Form, Lexicon};

/// A sentence, or several, with gaps for the cast.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phrase(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Gap { member: usize, class: Class, form: Form, capital: bool },
}

impl Phrase {
    /// Parses a text whose gaps are `{form member}`.
    pub fn parse(text: &str, cast: &[(String, Class)]) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (gap, after) = after.split_once('}').ok_or("a gap is not closed")?;
            if !before.is_empty() {
                pieces.push(Piece::Text(before.into()));
            }
            pieces.push(parse_gap(gap, cast)?);
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.into()));
        }
        Ok(Self(pieces))
    }

    /// The text, where all that it tells is known. A list's entry begins with a capital already.
    pub fn say(&self, lexicon: &Lexicon, facts: &Facts) -> Option<String> {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(words) => text.push_str(words),
                Piece::Gap { member, class, form, capital } => {
                    let words = lexicon.words(*class, *form, facts, *member)?;
                    text.push_str(&if *capital { capitalised(&words) } else { words });
                }
            }
        }
        Some(text)
    }

    /// Every way in which `text` can begin with this phrase: how long that is, and what one knows then.
    pub fn read(&self, lexicon: &Lexicon, text: &str, facts: &Facts) -> Vec<(usize, Facts)> {
        let mut ways = vec![(0, facts.clone())];
        for piece in &self.0 {
            ways = ways.into_iter().flat_map(|(at, facts)| read_piece(piece, lexicon, text, at, facts)).collect();
        }
        ways
    }

    /// Whether `text` begins with this phrase if what one gap says need not fit what another says.
    pub fn resembles(&self, lexicon: &Lexicon, text: &str, nobody: &Facts) -> bool {
        let mut ends = vec![0];
        for piece in &self.0 {
            let next = |at| read_piece(piece, lexicon, text, at, nobody.clone()).into_iter().map(|(end, _)| end);
            ends = ends.into_iter().flat_map(next).collect();
            ends.sort_unstable();
            ends.dedup();
        }
        !ends.is_empty()
    }

    /// The members of the cast that are spoken of, with what is said of them.
    pub fn tells(&self) -> impl Iterator<Item = (usize, Facet)> {
        self.0.iter().flat_map(|piece| {
            let (member, facets): (_, &[Facet]) = match piece {
                Piece::Text(_) => (0, &[]),
                Piece::Gap { member, class, form, .. } => (*member, form.facets(*class)),
            };
            facets.iter().map(move |facet| (member, *facet))
        })
    }
}

fn parse_gap(gap: &str, cast: &[(String, Class)]) -> Result<Piece, String> {
    let (form, name) = gap.rsplit_once(' ').unwrap_or(("", gap));
    let capital = gap.starts_with(char::is_uppercase);
    let member = cast.iter().position(|(member, _)| *member == name.to_lowercase());
    let member = member.ok_or_else(|| format!("{name:?} is not in the cast"))?;
    let class = cast[member].1;
    let form = Form::parse(&form.to_lowercase(), class).ok_or_else(|| format!("{{{gap}}} has no such form"))?;
    Ok(Piece::Gap { member, class, form, capital })
}

fn read_piece(piece: &Piece, lexicon: &Lexicon, text: &str, at: usize, facts: Facts) -> Vec<(usize, Facts)> {
    let rest = text.get(at..).unwrap_or_default();
    match piece {
        Piece::Text(words) if rest.starts_with(words.as_str()) => vec![(at + words.len(), facts)],
        Piece::Text(_) => Vec::new(),
        Piece::Gap { member, class, form, capital } => {
            let mut ways = Vec::new();
            for facts in worlds(lexicon, *member, *class, form.facets(*class), facts) {
                let Some(words) = lexicon.words(*class, *form, &facts, *member) else { continue };
                let words = if *capital { capitalised(&words) } else { words };
                if rest.starts_with(&words) {
                    ways.push((at + words.len(), facts));
                }
            }
            ways
        }
    }
}

/// Everything that may be so, where `facets` are to be known.
fn worlds(lexicon: &Lexicon, member: usize, class: Class, facets: &[Facet], facts: Facts) -> Vec<Facts> {
    let mut worlds = vec![facts];
    for facet in facets {
        worlds = worlds
            .into_iter()
            .flat_map(|facts| {
                let values = match facts.get(member, *facet) {
                    Some(value) => value..value + 1,
                    None => 0..lexicon.count(class, *facet, &facts, member),
                };
                values.filter_map(move |value| {
                    let mut facts = facts.clone();
                    (facts.learn(member, *facet, value) && lexicon.fits(&facts, member)).then_some(facts)
                })
            })
            .collect();
    }
    worlds
}

/// With a capital letter at the beginning.
fn capitalised(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
