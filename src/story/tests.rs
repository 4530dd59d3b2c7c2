//! What is told can be read, and what contradicts itself cannot.

use super::*;
use proptest::prelude::*;

fn grammar() -> Grammar {
    Grammar::new().expect("the grammar's files are in order")
}

/// The first story of this plot.
fn story(grammar: &Grammar, plot: &str, seed: u64) -> Story {
    let teller = Teller::new(grammar, seed);
    (0..).map(|number| teller.story(number)).find(|story| story.plot == plot).expect("every plot is told")
}

/// How the story is refused once `from` is `to` in it.
fn refused(grammar: &Grammar, text: &str, from: &str, to: &str) -> Refusal {
    assert!(text.contains(from), "{from:?} is not in {text:?}");
    let broken = text.replacen(from, to, 1);
    match Reader::new(grammar).read(&broken) {
        Ok(reading) => panic!("{broken:?} was read as {reading:?}"),
        Err(refusal) => refusal,
    }
}

#[test]
fn every_plot_is_told_and_read_back() {
    let grammar = grammar();
    let (teller, reader) = (Teller::new(&grammar, 3), Reader::new(&grammar));
    let mut told = std::collections::BTreeSet::new();
    for number in 0..400 {
        let story = teller.story(number);
        let reading = reader.read(&story.text).unwrap_or_else(|refusal| panic!("{refusal}: {}", story.text));
        assert_eq!(reading.plot, story.plot);
        assert!(reading.fact("hero").is_some() && reading.fact("thing").is_some(), "{reading:?}");
        told.insert(story.plot);
    }
    assert_eq!(told.len(), grammar.plots().count());
}

/// Two that must differ are told apart by their families; what was asked for may be of any, and was asked for often.
#[test]
fn who_comes_next_is_of_the_next_family_unless_asked_for() {
    let grammar = grammar();
    let teller = Teller::new(&grammar, 4);
    let family = |reading: &Reading, name: &str| {
        let word = reading.fact(&format!("{name}.kind"))?;
        let kind = grammar.lexicon.kinds.iter().position(|kind| kind.kind == word)?;
        grammar.lexicon.family(lexicon::Class::Character, facts::Facet::Kind, kind)
    };
    let (mut unasked, mut asked, mut alike) = (0, 0, 0);
    for number in 0..600 {
        let story = teller.story(number);
        let reading = Reader::new(&grammar).read(&story.text).expect("it is consistent");
        let plot = grammar.plots.iter().find(|plot| plot.name == story.plot).expect("it is one of them");
        let cast = plot.cast.iter().filter(|(_, class)| *class == lexicon::Class::Character);
        let families: Vec<usize> = cast.filter_map(|(name, _)| family(&reading, name)).collect();
        let steps = families.windows(2).all(|two| two[1] == (two[0] + 1) % lexicon::FAMILIES);
        if story.request.is_none() {
            unasked += 1;
            assert!(families.len() > 1 && steps, "{}", story.text);
        } else {
            asked += 1;
            alike += usize::from(families.windows(2).any(|two| two[0] == two[1]));
        }
    }
    assert!(unasked > 200 && asked > 200 && alike > 10, "{unasked} {asked} {alike}");
}

#[test]
fn a_seed_names_a_story() {
    let grammar = grammar();
    let one = Teller::new(&grammar, 5);
    assert_eq!(one.story(8), Teller::new(&grammar, 5).story(8));
    assert_ne!(one.story(8).text, one.story(9).text);
    assert_ne!(one.story(8).text, Teller::new(&grammar, 6).story(8).text);
}

#[test]
fn stories_are_distinct() {
    let grammar = grammar();
    let teller = Teller::new(&grammar, 1);
    let texts: std::collections::HashSet<String> = (0..5000).map(|number| teller.story(number).text).collect();
    assert_eq!(texts.len(), 5000);
}

const LOST: &str = "Once upon a time, a brave fox named Mia lived at the mill. Mia had a brass lantern and loved it very \
much, because with it she could read in the dark.\n\nOne sunny morning, Mia lay down for a nap. When she woke up, the \
lantern was gone. \"Oh no!\" cried Mia. \"Where is my lantern?\" She searched in the forest for an hour, but the lantern \
was not there.\n\nOn the way back she met an owl named Hugo. \"Can I help you?\" asked Hugo. Mia told him about the brass \
lantern. \"You slept so well that I did not want to wake you,\" said Hugo. \"Somebody borrowed it and left it by the \
pond.\" Together they went to the pond. And there it was! The brass lantern lay in the grass.\n\n\"Thank you, Hugo!\" said \
Mia. \"You are a true friend.\" Mia took the lantern home to the mill and never lost it again.";

#[test]
fn a_reading_says_who_has_what_where_and_why() {
    let grammar = grammar();
    let reading = Reader::new(&grammar).read(LOST).expect("it is consistent");
    let facts = [
        ("hero", "Mia"),
        ("hero.kind", "fox"),
        ("hero.trait", "brave"),
        ("helper", "Hugo"),
        ("helper.kind", "owl"),
        ("thing", "lantern"),
        ("thing.look", "brass lantern"),
        ("thing.use", "read in the dark"),
        ("home", "mill"),
        ("first", "forest"),
        ("second", "pond"),
    ];
    for (name, word) in facts {
        assert_eq!(reading.fact(name), Some(word), "{name}");
    }
}

#[test]
fn broken_stories_are_refused() {
    let grammar = grammar();
    let contradictions = [
        ("Mia lay down", "Lily lay down"),                                  // another name
        ("brass lantern lay", "old lantern lay"),                           // another look
        ("lantern was gone", "kite was gone"),                              // another thing
        ("home to the mill", "home to the market"),                         // another home
        ("they went to the pond", "they went down to the harbor"),          // not where it was seen
        ("When she woke up", "When he woke up"),                            // another pronoun
        ("told him about", "told her about"),                               // another pronoun, of another
        ("\"Thank you, Hugo!\" said Mia", "\"Thank you, Mia!\" said Hugo"), // the wrong one thanks
        ("She searched in the forest", "She searched by the pond"),         // found where it was not
        ("an owl named Hugo", "a fox named Hugo"),                          // two foxes
        ("an owl named Hugo", "an owl named Mia"),                          // two Mias
    ];
    for (from, to) in contradictions {
        let refusal = refused(&grammar, LOST, from, to);
        assert!(refusal.contradiction, "{from:?} to {to:?}: {refusal}");
    }
    let nap = "\"You slept so well that I did not want to wake you,\" said Hugo. \"Somebody borrowed it and left it by the pond.\"";
    let rain = "\"Before the rain came, you were by the pond,\" said Hugo. \"I saw you there. Come with me!\"";
    assert!(refused(&grammar, LOST, nap, rain).contradiction, "nobody spoke of rain");
    assert!(refused(&grammar, LOST, "read in the dark", "play with the wind").contradiction, "lanterns do not fly");
}

#[test]
fn what_is_no_story_is_refused() {
    let grammar = grammar();
    assert!(!refused(&grammar, LOST, "was gone", "was were gone").contradiction);
    assert!(!refused(&grammar, LOST, "Mia", "Xerxes").contradiction);
    assert!(!refused(&grammar, LOST, "Once upon a time, a brave", "Once upon a time, an brave").contradiction);
    refused(
        &grammar,
        LOST,
        "Together they went to the pond. And there it was! The brass lantern lay in the grass.",
        "",
    );
    refused(&grammar, LOST, "\n\n", " ");
    let reader = Reader::new(&grammar);
    for text in ["", "The", "Hello.", "Once upon a time, a brave fox named Mia lived at the mill."] {
        assert!(reader.read(text).is_err(), "{text:?}");
    }
    let again = format!("{LOST} Mia took the lantern home to the mill and never lost it again.");
    assert!(reader.read(&again).is_err());
}

#[test]
fn a_fact_told_at_the_end_of_one_story_is_not_that_of_another() {
    let grammar = grammar();
    let (one, two) = (story(&grammar, "trade", 1).text, story(&grammar, "trade", 2).text);
    let half = |text: &str| text.match_indices("\n\n").nth(1).map_or(0, |(at, _)| at);
    let mixed = format!("{}{}", &one[..half(&one)], &two[half(&two)..]);
    assert!(Reader::new(&grammar).read(&mixed).is_err(), "{mixed}");
}

#[test]
fn requests_are_met_by_what_they_name() {
    let grammar = grammar();
    let reading = Reader::new(&grammar).read(LOST).expect("it is consistent");
    let (mut met, mut missed) = (0, 0);
    for number in 0..3000 {
        let request = Request::new(&grammar, 1, number).expect("there are requests");
        let has = |word: &str| request.text.split([' ', '.', ',', '?', '!']).any(|part| part == word);
        if request.is_met_by(&reading) {
            met += 1;
            assert!(["fox", "owl", "lantern"].iter().any(|word| has(word)), "{}", request.text);
        } else {
            missed += 1;
        }
        assert!(!(has("kite") && request.is_met_by(&reading)), "{}", request.text);
    }
    assert!(met > 10 && missed > 2500, "{met} met, {missed} missed");
}

#[test]
fn a_story_meets_the_request_it_came_with() {
    let grammar = grammar();
    let teller = Teller::new(&grammar, 11);
    let mut asked = 0;
    for number in 0..500 {
        let story = teller.story(number);
        assert!(story.questions.iter().all(|(question, answer)| question.ends_with('?') && answer.ends_with('.')));
        let Some(request) = story.request else { continue };
        assert!(!request.is_empty());
        asked += 1;
        let words = request.split([' ', '.', ',', '?', '!']);
        let kinds: Vec<&str> = words
            .filter(|word| grammar.lexicon.kinds.iter().any(|kind| kind.kind == *word && *word != "kind"))
            .collect();
        for kind in kinds {
            assert!(story.text.contains(kind), "{} of {}", kind, story.text);
        }
    }
    assert!((250..350).contains(&asked), "three of five are asked for: {asked}");
}

#[test]
fn a_mistake_in_the_files_names_the_line() {
    let lexicon = Lexicon::parse("[names]\nMia | she\n[names]\n[names]\n").expect("it is in order");
    let error = plot::parse("plot a\ncast hero:character\nbeat open\n| {heron} came.\n", &lexicon).unwrap_err();
    assert_eq!(error.to_string(), "assets/story/plots.txt: line 4: \"heron\" is not in the cast");
    let error = Lexicon::parse("[names]\nMia | it\n").unwrap_err();
    assert!(error.to_string().contains("line 2"), "{error}");
    let error = Lexicon::parse("[names]\nMia | she\n").unwrap_err();
    assert!(error.to_string().contains("[names] is there 1 times, not 3"), "{error}");
}

proptest! {
    /// Nothing makes the reader panic, and no text is read that lost one of its letters.
    #[test]
    fn one_letter_less_is_refused(number in 0u64..200, at in 0usize..4000) {
        let grammar = grammar();
        let text = Teller::new(&grammar, 9).story(number).text;
        let at = at % text.len();
        let broken = format!("{}{}", &text[..at], &text[at + 1..]);
        prop_assert!(Reader::new(&grammar).read(&broken).is_err(), "{}", broken);
    }
}
