//! Ending a text at a string.

/// Passes text on, up to the first of some strings.
///
/// What may be the beginning of a stop string is held back until it is known not to be. Of several stop strings the one
/// that is complete first ends the text, and of those complete at the same character the longest; how the text was cut
/// into pieces makes no difference.
///
/// ```
/// use quernel::text::StopStrings;
/// let mut stops = StopStrings::new(vec!["\nUser:".to_owned()]);
/// assert_eq!(stops.push("Good day.\nUs"), ("Good day.".to_owned(), false));
/// assert_eq!(stops.push("er: hello"), (String::new(), true));
/// assert_eq!(stops.finish(), "");
/// ```
#[derive(Debug, Clone, Default)]
pub struct StopStrings {
    stops: Vec<String>,
    held: String,
    stopped: bool,
}

impl StopStrings {
    /// Ends at any of `stops`; empty ones are left out.
    pub fn new(stops: Vec<String>) -> Self {
        let stops = stops.into_iter().filter(|stop| !stop.is_empty()).collect();
        Self { stops, held: String::new(), stopped: false }
    }

    /// Takes the next piece of text. Returns what may be passed on, and whether the text has ended; it then stays so.
    pub fn push(&mut self, piece: &str) -> (String, bool) {
        if self.stopped {
            return (String::new(), true);
        }
        self.held.push_str(piece);
        let matches =
            self.stops.iter().filter_map(|stop| self.held.find(stop).map(|begin| (begin + stop.len(), begin)));
        if let Some((_, begin)) = matches.min() {
            self.stopped = true;
            self.held.truncate(begin);
            return (std::mem::take(&mut self.held), true);
        }
        let rest = self.held.split_off(self.first_candidate());
        (std::mem::replace(&mut self.held, rest), false)
    }

    /// The text that was held back, when no more will come.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    /// Where in the held text the earliest beginning of a stop string is; the text's end where there is none.
    fn first_candidate(&self) -> usize {
        let longest = self.stops.iter().map(String::len).max().unwrap_or(1);
        // A whole stop string was looked for already, so a beginning is shorter by one byte at least.
        let from = self.held.len().saturating_sub(longest - 1);
        let may_stop =
            |&at: &usize| self.held.get(at..).is_some_and(|end| self.stops.iter().any(|s| s.starts_with(end)));
        (from..self.held.len()).find(may_stop).unwrap_or(self.held.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The text that passes, by looking at ever longer beginnings of the whole.
    fn naive(text: &str, stops: &[String]) -> (String, bool) {
        for (end, _) in text.char_indices().skip(1).chain([(text.len(), ' ')]) {
            let seen = &text[..end];
            let longest = stops.iter().filter(|s| !s.is_empty() && seen.ends_with(*s)).map(String::len).max();
            if let Some(length) = longest {
                return (seen[..end - length].to_owned(), true);
            }
        }
        (text.to_owned(), false)
    }

    proptest! {
        #[test]
        fn equals_naive_search(
            pieces in prop::collection::vec("[abé]{0,5}", 0..12),
            stops in prop::collection::vec("[abé]{0,4}", 0..4),
        ) {
            let mut stream = StopStrings::new(stops.clone());
            let mut passed = String::new();
            let mut stopped = false;
            for piece in &pieces {
                let (text, now) = stream.push(piece);
                passed.push_str(&text);
                prop_assert!(now || !stopped, "a text that ended went on");
                stopped = now;
            }
            passed.push_str(&stream.finish());
            prop_assert_eq!((passed, stopped), naive(&pieces.concat(), &stops));
        }
    }

    #[test]
    fn holds_back_no_more_than_needed() {
        let mut stops = StopStrings::new(vec!["END".to_owned(), "</s>".to_owned()]);
        assert_eq!(stops.push("a E"), ("a ".to_owned(), false));
        assert_eq!(stops.push("N"), (String::new(), false));
        assert_eq!(stops.push("X <"), ("ENX ".to_owned(), false));
        assert_eq!(stops.finish(), "<");
    }

    #[test]
    fn without_stop_strings_all_text_passes_at_once() {
        let mut stops = StopStrings::new(vec![String::new()]);
        assert_eq!(stops.push("text"), ("text".to_owned(), false));
    }
}
