//! A conversation and the session that computes it.

use super::Interrupt;
use pollster::block_on;
use quernel::engine::{Cancel, Engine, GenerateOptions, Session, Stop};
use quernel::text::{ChatTemplate, Message, Prompt, Tokenizer};
use quernel::{Error, Result};
use serde_json::{Map, Value};
use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A conversation.
pub struct Talk {
    engine: Engine,
    session: Session,
    tokenizer: Arc<Tokenizer>,
    template: ChatTemplate,
    seed: u64,
    interrupt: Interrupt,
    /// What the model is told before.
    pub system: Option<String>,
    messages: Vec<Message>,
    /// The first message that the model still knows.
    from: usize,
    /// What else the template knows.
    pub more: Map<String, Value>,
    /// Forget the oldest turns where the context is full.
    pub shift: bool,
    /// Tokens of an answer at most.
    pub most: Option<usize>,
    /// The tokens that end a turn in the template's form.
    turn_ends: Vec<u32>,
    /// The text that the session's tokens were made of, with the last answer as the model wrote it; the tokens too.
    held: Option<(String, Vec<u32>)>,
    last: Figures,
}

/// What the last answer took.
#[derive(Default)]
struct Figures {
    reused: usize,
    read: usize,
    written: usize,
    reading: Duration,
    writing: Duration,
}

impl Talk {
    /// An empty conversation.
    pub fn new(
        mut engine: Engine,
        session: Session,
        template: ChatTemplate,
        seed: u64,
        interrupt: Interrupt,
    ) -> Result<Self> {
        let tokenizer = engine.tokenizer()?;
        let mut talk = Self {
            engine,
            session,
            tokenizer,
            template,
            seed,
            interrupt,
            system: None,
            messages: Vec::new(),
            from: 0,
            more: Map::new(),
            shift: false,
            most: None,
            turn_ends: Vec::new(),
            held: None,
            last: Figures::default(),
        };
        talk.turn_ends = talk.find_turn_end().into_iter().collect();
        Ok(talk)
    }

    /// The special token that the template writes after an answer, which a model may be trained to end with although
    /// its configuration names another.
    fn find_turn_end(&self) -> Option<u32> {
        let mark = "quern";
        let messages = vec![Message::new("user", "?"), Message::new("assistant", mark)];
        let text = self.template.render(&Prompt { messages, ..Prompt::default() }).ok()?;
        let after = self.tokenizer.encode_plain(text.rsplit_once(mark)?.1).ok()?;
        after.first().copied().filter(|&id| self.tokenizer.is_special(id))
    }

    /// What was said.
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// Another conversation. What the session holds is used again as far as it is the same.
    pub fn restore(&mut self, system: Option<String>, messages: Vec<Message>) {
        (self.system, self.messages, self.from) = (system, messages, 0);
    }

    /// Says `text` to the model, and prints its answer. Where that fails nothing was said.
    pub fn say(&mut self, text: String) -> anyhow::Result<()> {
        let from = self.from;
        self.messages.push(Message::new("user", text));
        let answered = self.answer();
        if answered.is_err() {
            self.messages.pop();
            self.from = from;
        }
        answered
    }

    /// Answers the last question once more, by other dice.
    pub fn regenerate(&mut self) -> anyhow::Result<()> {
        let last = self.messages.pop_if(|message| message.role == "assistant");
        if self.messages.last().is_none_or(|message| message.role != "user") {
            self.messages.extend(last);
            return Err(Error::option("/regen", "there is nothing to answer").into());
        }
        self.seed = self.seed.wrapping_add(1);
        self.session.reseed(self.seed)?;
        let from = self.from;
        let answered = self.answer();
        if answered.is_err() {
            self.messages.extend(last);
            self.from = from;
        }
        answered
    }

    fn answer(&mut self) -> anyhow::Result<()> {
        let (mut text, mut tokens) = self.prompt()?;
        while tokens.len() >= self.session.limit() {
            if !(self.shift && self.forget()) {
                let full = Error::ContextFull { tokens: tokens.len() + 1, context: self.session.limit() };
                return Err(self.with_way_out(full));
            }
            (text, tokens) = self.prompt()?;
        }
        self.last = Figures::default();
        let cancel = Cancel::default();
        self.interrupt.set(Some(cancel.clone()));
        let answered = self.stream(&mut text, tokens, &cancel);
        self.interrupt.set(None);
        let (answer, stop) = answered?;
        let held = &self.session.tokens()[..self.session.tokens().len() - self.ending()];
        self.held = Some((text + &answer, held.to_vec()));
        self.messages.push(Message::new("assistant", answer));
        match stop {
            Some(Stop::Cancelled) => eprintln!("(stopped)"),
            Some(Stop::Context) => {
                eprintln!("(the context of {} tokens is full; {WAYS_OUT})", self.session.limit());
            }
            _ => {}
        }
        Ok(())
    }

    /// Prints an answer as it comes, over several contexts if it must.
    fn stream(
        &mut self,
        text: &mut String,
        prompt: Vec<u32>,
        cancel: &Cancel,
    ) -> anyhow::Result<(String, Option<Stop>)> {
        let (mut answer, mut out) = (String::new(), std::io::stdout().lock());
        self.last.reused = take_up(&mut self.session, &prompt)?;
        self.last.read = prompt.len() - self.last.reused;
        let mut begin = self.session.tokens().len();
        loop {
            let stop = self.pieces(cancel, &mut answer, &mut out);
            let written = self.session.tokens()[begin..].to_vec();
            self.last.written = written.len();
            let again = matches!(stop, Ok(Some(Stop::Context))) && self.shift && self.forget();
            if !again {
                if out.is_terminal() || stop.is_ok() {
                    writeln!(out)?;
                }
                return Ok((answer, stop?));
            }
            let (shorter, mut tokens) = self.prompt()?;
            *text = shorter;
            // What is written is read again behind a shorter conversation, token by token as it was chosen.
            begin = tokens.len();
            tokens.extend(written);
            take_up(&mut self.session, &tokens)?;
        }
    }

    fn pieces(&mut self, cancel: &Cancel, answer: &mut String, out: &mut impl Write) -> anyhow::Result<Option<Stop>> {
        // More than there is room for would be an error, where an end that is told is wanted.
        let room = self.session.limit() - self.session.tokens().len();
        let left = self.most.map(|most| most.saturating_sub(self.last.written)).filter(|&left| left <= room);
        let options = GenerateOptions {
            max_tokens: left,
            stop_tokens: self.turn_ends.clone(),
            cancel: cancel.clone(),
            ..GenerateOptions::default()
        };
        let (begin, mut first) = (Instant::now(), None);
        let mut generate = self.engine.generate(&mut self.session, options)?;
        while let Some(piece) = block_on(generate.next_piece())? {
            first.get_or_insert_with(Instant::now);
            answer.push_str(&piece);
            out.write_all(piece.as_bytes())?;
            out.flush()?;
        }
        let stop = generate.stop();
        let first = first.unwrap_or_else(Instant::now);
        self.last.reading += first - begin;
        self.last.writing += first.elapsed();
        Ok(stop)
    }

    /// The conversation as the template writes it, and as tokens: those that the session holds as far as the text is the
    /// one that they were made of, since an answer's text may have other tokens than the model chose.
    fn prompt(&self) -> Result<(String, Vec<u32>)> {
        let system = self.system.iter().map(|text| Message::new("system", text.as_str()));
        let messages = system.chain(self.messages[self.from..].iter().cloned()).collect();
        let prompt = Prompt { messages, add_generation_prompt: true, more: self.more.clone(), ..Prompt::default() };
        let text = self.template.render(&prompt)?;
        if let Some((held, ids)) = &self.held
            && let Some(rest) = text.strip_prefix(held.as_str())
        {
            let rest = self.tokenizer.encode_plain(rest)?;
            // Only at a special token can a text be cut with no effect on its tokens.
            if rest.first().is_some_and(|&id| self.tokenizer.is_special(id)) {
                return Ok((text, [ids.as_slice(), &rest].concat()));
            }
        }
        let tokens = self.tokenizer.encode_plain(&text)?;
        Ok((text, tokens))
    }

    /// How many tokens at the session's end only say that the answer ends. Without an answer they are the prompt's.
    fn ending(&self) -> usize {
        usize::from(
            self.last.written > 0 && self.session.tokens().last().is_some_and(|&id| self.tokenizer.is_special(id)),
        )
    }

    /// Forgets the oldest turn; not the last question, nor what the model is told before.
    fn forget(&mut self) -> bool {
        let questions = (self.from + 1..self.messages.len()).filter(|&at| self.messages[at].role == "user");
        let Some(next) = { questions }.next() else { return false };
        eprintln!("(the context is full: the oldest turn is forgotten)");
        self.from = next;
        true
    }

    fn with_way_out(&self, error: Error) -> anyhow::Error {
        eprintln!("(the context of {} tokens is full; {WAYS_OUT})", self.session.limit());
        error.into()
    }

    /// Tokens, speeds, and how full the context is.
    pub fn stats(&self) -> String {
        let Figures { reused, read, written, reading, writing } = self.last;
        let rate = |tokens: usize, time: Duration| tokens as f64 / time.as_secs_f64().max(1e-9);
        let (holds, limit) = (self.session.tokens().len(), self.session.limit());
        format!(
            "context     {holds} of {limit} tokens ({:.0} %), {} messages, {} forgotten\n\
             prompt      {read} tokens read, {:.1} tokens/s; {reused} reused\n\
             answer      {written} tokens, {:.1} tokens/s\n",
            100.0 * holds as f64 / limit as f64,
            self.messages.len(),
            self.from,
            rate(read, reading),
            rate(written.saturating_sub(1), writing),
        )
    }
}

const WAYS_OUT: &str = "--ctx-shift forgets the oldest turns, -c asks for a longer one, /system begins anew";

/// Makes `tokens` what the session holds. Returns how many of them were computed before.
fn take_up(session: &mut Session, tokens: &[u32]) -> Result<usize> {
    let same = session.tokens().iter().zip(tokens).take_while(|(held, wanted)| held == wanted).count();
    session.truncate(same);
    session.push(&tokens[same..])?;
    Ok(session.computed())
}
