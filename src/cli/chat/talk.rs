//! A conversation and the session that computes it.

use super::Interrupt;
use pollster::block_on;
use quernel::engine::{Cancel, Engine, GenerateOptions, Session, Stop};
use quernel::text::{ChatTemplate, Conversation, Message, Prompt, Tokenizer};
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
    said: Conversation,
    /// The first message that the model still knows.
    from: usize,
    /// What else the template knows.
    more: Map<String, Value>,
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
        more: Map<String, Value>,
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
            said: Conversation::default(),
            from: 0,
            more,
            shift: false,
            most: None,
            turn_ends: Vec::new(),
            held: None,
            last: Figures::default(),
        };
        talk.turn_ends = talk.find_turn_end()?.into_iter().collect();
        Ok(talk)
    }

    /// The special token that the template writes after an answer, which a model may be trained to end with although
    /// its configuration names another.
    fn find_turn_end(&self) -> Result<Option<u32>> {
        let mark = "quern";
        let messages = vec![Message::new("user", "?"), Message::new("assistant", mark)];
        let text = match self.template.render(&Prompt { messages, ..Prompt::default() }) {
            // It may want more than this conversation, and will say so when it is given another.
            Err(Error::ChatTemplate { .. }) => return Ok(None),
            text => text?,
        };
        let Some((_, after)) = text.rsplit_once(mark) else { return Ok(None) };
        let after = self.tokenizer.encode_plain(after)?;
        Ok(after.first().copied().filter(|&id| self.tokenizer.is_special(id)))
    }

    /// The conversation, as far as it has come.
    pub fn said(&self) -> &Conversation {
        &self.said
    }

    /// Another conversation. What the session holds is used again as far as it is the same. Where the template cannot
    /// write it, the one before stays.
    pub fn take_up(&mut self, kept: Conversation) -> Result<()> {
        let mut messages: Vec<_> = kept.told().collect();
        let asked = messages.last().is_some_and(|message| message.role == "user");
        if !messages.is_empty() {
            messages.extend((!asked).then(|| Message::new("user", "?")));
            self.template.render(&self.asking(messages))?;
        }
        (self.said, self.from) = (kept, 0);
        Ok(())
    }

    fn asking(&self, messages: Vec<Message>) -> Prompt {
        Prompt { messages, add_generation_prompt: true, more: self.more.clone(), ..Prompt::default() }
    }

    /// Says `text` to the model, and prints its answer. Where that fails nothing was said.
    pub fn say(&mut self, text: String) -> anyhow::Result<()> {
        let from = self.from;
        self.said.messages.push(Message::new("user", text));
        let answered = self.answer();
        if answered.is_err() {
            self.said.messages.pop();
            self.from = from;
        }
        answered
    }

    /// Answers the last question once more, by other dice.
    pub fn regenerate(&mut self) -> anyhow::Result<()> {
        let last = self.said.messages.pop_if(|message| message.role == "assistant");
        if self.said.messages.last().is_none_or(|message| message.role != "user") {
            self.said.messages.extend(last);
            return Err(Error::option("/regen", "there is nothing to answer").into());
        }
        self.seed = self.seed.wrapping_add(1);
        self.session.reseed(self.seed)?;
        let from = self.from;
        let answered = self.answer();
        if answered.is_err() {
            self.said.messages.extend(last);
            self.from = from;
        }
        answered
    }

    fn answer(&mut self) -> anyhow::Result<()> {
        let cancel = Cancel::default();
        self.interrupt.set(Some(cancel.clone()));
        let answered = self.fitting().and_then(|(mut text, tokens)| {
            self.last = Figures::default();
            let (answer, stop) = self.stream(&mut text, tokens, &cancel)?;
            Ok((text, answer, stop))
        });
        self.interrupt.set(None);
        let (text, answer, stop) = answered?;
        let held = &self.session.tokens()[..self.session.tokens().len() - self.ending()];
        self.held = Some((text + &answer, held.to_vec()));
        self.said.messages.push(Message::new("assistant", answer));
        match stop {
            Some(Stop::Cancelled) => tell!("(stopped)"),
            Some(Stop::Context) => self.tell_full(),
            _ => {}
        }
        Ok(())
    }

    /// The prompt, of as many turns as leave room for an answer.
    fn fitting(&mut self) -> anyhow::Result<(String, Vec<u32>)> {
        loop {
            let (text, tokens) = self.prompt()?;
            let limit = self.session.limit();
            if tokens.len() < limit {
                return Ok((text, tokens));
            }
            if !(self.shift && self.forget()) {
                self.tell_full();
                return Err(Error::ContextFull { tokens: tokens.len() + 1, context: limit }.into());
            }
        }
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
        let mut messages: Vec<_> = self.said.told().collect();
        let system = messages.len() - self.said.messages.len();
        messages.drain(system..system + self.from);
        let text = self.template.render(&self.asking(messages))?;
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
        let questions = (self.from + 1..self.said.messages.len()).filter(|&at| self.said.messages[at].role == "user");
        let Some(next) = { questions }.next() else { return false };
        tell!("(the context is full: the oldest turn is forgotten)");
        self.from = next;
        true
    }

    /// Says that the context is full, and what can be done about it here.
    fn tell_full(&self) {
        let limit = self.session.limit();
        let several = self.said.messages[self.from..].iter().filter(|message| message.role == "user").count() > 1;
        let ways = [
            (several && !self.shift).then_some("--ctx-shift forgets the oldest turns"),
            (limit < self.engine.model().context()).then_some("-c asks for a longer one"),
            several.then_some("/new begins anew"),
        ];
        let ways: Vec<_> = ways.into_iter().flatten().collect();
        match ways.is_empty() {
            true => tell!("(the context of {limit} tokens is full)"),
            false => tell!("(the context of {limit} tokens is full; {})", ways.join(", ")),
        }
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
            self.said.messages.len(),
            self.from,
            rate(read, reading),
            rate(written.saturating_sub(1), writing),
        )
    }
}

/// Makes `tokens` what the session holds. Returns how many of them were computed before.
fn take_up(session: &mut Session, tokens: &[u32]) -> Result<usize> {
    let same = session.tokens().iter().zip(tokens).take_while(|(held, wanted)| held == wanted).count();
    session.truncate(same);
    session.push(&tokens[same..])?;
    Ok(session.computed())
}
