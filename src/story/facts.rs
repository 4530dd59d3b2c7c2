//! What is known of a story's cast.
//!
//! It must not know words: values are indices into the lexicon's lists.

/// A property of a member of the cast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Facet {
    Name,
    Kind,
    Trait,
    /// 0 for she, 1 for he.
    Pronoun,
    Noun,
    Look,
    Use,
    OtherUse,
    /// Of a place, of a list's entry, or of a tie.
    Entry,
}

const FACETS: usize = 9;

/// Which facets of which members have which values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts(Vec<Option<u16>>);

impl Facts {
    /// Nothing is known of `members`.
    pub fn new(members: usize) -> Self {
        Self(vec![None; members * FACETS])
    }

    /// The value, if it is known.
    pub fn get(&self, member: usize, facet: Facet) -> Option<usize> {
        self.0.get(member * FACETS + facet as usize).copied().flatten().map(usize::from)
    }

    /// Learns a value. False where another one was known.
    #[must_use]
    pub fn learn(&mut self, member: usize, facet: Facet, value: usize) -> bool {
        let (Ok(value), Some(known)) = (u16::try_from(value), self.0.get_mut(member * FACETS + facet as usize)) else {
            return false;
        };
        *known.get_or_insert(value) == value
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.0.fill(None);
    }
}
