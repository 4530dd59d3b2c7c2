//! How well a model tells stories, judged by a program: what share makes sense, and what share is about what was asked.
//!
//! Perplexity tells how far narrow numbers are from wide ones; this tells what that does to what people read.

use crate::engine::{Engine, SamplerOptions, Session};
use crate::story::{Grammar, Reader, Request};
use crate::text::{ChatTemplate, Message, Prompt};
use crate::{Error, Result};
use std::time::{Duration, Instant};

/// What the model is asked to do.
///
/// ```
/// use quernel::bench::Storytelling;
/// assert_eq!(Storytelling::default().stories, 200);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Storytelling {
    /// Stories that it tells unasked.
    pub stories: usize,
    /// Requests for stories about named things.
    pub requests: usize,
    /// How it chooses words.
    pub sampler: SamplerOptions,
    /// Names the requests, and the dice of every story.
    pub seed: u64,
}

/// At temperature 0.8, and nothing else keeps unlikely words out.
impl Default for Storytelling {
    fn default() -> Self {
        let sampler = SamplerOptions { temperature: 0.8, ..SamplerOptions::unbounded() };
        Self { stories: 200, requests: 200, sampler, seed: 1 }
    }
}

/// How it did.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// Stories told unasked that are consistent from the first word to the last, of how many.
    pub consistent: (usize, usize),
    /// Stories told on request that are consistent and have everything that was named, of how many.
    pub about: (usize, usize),
    /// Those that are not: what was asked for (nothing, of one told unasked), the story, and what is wrong with it.
    pub failed: Vec<(String, String, String)>,
    /// Tokens generated.
    pub tokens: usize,
    /// How long that took.
    pub time: Duration,
}

/// A text that the model goes on with, and the dice by which it does.
struct Task {
    prompt: Vec<u32>,
    seed: u64,
}

impl Storytelling {
    /// Has the model tell its stories, as many at once as the engine has sessions, and judges them. `template` is
    /// how the model expects to be asked; `progress` is told the stories done and the stories in all.
    ///
    /// # Errors
    /// [`Error::ChatTemplate`], [`Error::Tokenizer`] and those of [`Engine::step`].
    pub async fn run(
        &self,
        engine: &mut Engine,
        template: &ChatTemplate,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Told> {
        let grammar = Grammar::new()?;
        let none = || Error::option("--task", "the grammar has no requests");
        let requests =
            (0..self.requests as u64).map(|number| Request::new(&grammar, self.seed, number).ok_or_else(none));
        let requests = requests.collect::<Result<Vec<_>>>()?;
        let tokenizer = engine.tokenizer()?;
        let begin = tokenizer.encode("")?;
        let mut tasks: Vec<Task> =
            (0..self.stories as u64).map(|number| Task { prompt: begin.clone(), seed: self.seed + number }).collect();
        for (number, request) in requests.iter().enumerate() {
            let messages = vec![Message::new("user", request.text.as_str())];
            let asked = Prompt { messages, add_generation_prompt: true, ..Prompt::default() };
            let prompt = tokenizer.encode_plain(&template.render(&asked)?)?;
            tasks.push(Task { prompt, seed: self.seed + number as u64 });
        }
        let start = Instant::now();
        let (stories, tokens) = self.tell(engine, &tasks, progress).await?;
        let mut told = Told { tokens, time: start.elapsed(), ..Told::default() };
        let asked = std::iter::repeat_n(None, self.stories).chain(requests.iter().map(Some));
        let reader = Reader::new(&grammar);
        for (request, story) in asked.zip(stories) {
            told.judge(&reader, request, story);
        }
        Ok(told)
    }

    async fn tell(
        &self,
        engine: &mut Engine,
        tasks: &[Task],
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<(Vec<String>, usize)> {
        let tokenizer = engine.tokenizer()?;
        let (mut stories, mut tokens) = (vec![String::new(); tasks.len()], 0);
        let mut waiting = tasks.iter().enumerate();
        let mut telling: Vec<(usize, Session)> = Vec::new();
        let (mut done, sessions) = (0, engine.sessions());
        loop {
            for (number, task) in waiting.by_ref().take(sessions - telling.len()) {
                let mut session = engine.session(self.sampler.clone(), task.seed)?;
                session.push(&task.prompt)?;
                telling.push((number, session));
            }
            if telling.is_empty() {
                return Ok((stories, tokens));
            }
            let mut step: Vec<&mut Session> = telling.iter_mut().map(|(_, session)| session).collect();
            let next = engine.step(&mut step).await?;
            for (at, token) in next.into_iter().enumerate().rev() {
                let Some(token) = token else { continue };
                tokens += 1;
                let full = telling[at].1.tokens().len() == telling[at].1.limit();
                if engine.ends(token)? || full {
                    let (number, session) = telling.swap_remove(at);
                    stories[number] = tokenizer.decode(&session.tokens()[tasks[number].prompt.len()..])?;
                    done += 1;
                    progress(done, tasks.len());
                }
            }
        }
    }
}

impl Told {
    fn judge(&mut self, reader: &Reader<'_>, request: Option<&Request>, story: String) {
        let wrong = match (reader.read(&story), request) {
            (Err(refusal), _) => Some(refusal.to_string()),
            (Ok(reading), Some(request)) if !request.is_met_by(&reading) => {
                Some("it is not about what was asked".into())
            }
            _ => None,
        };
        let (fine, all) = if request.is_some() { &mut self.about } else { &mut self.consistent };
        (*fine, *all) = (*fine + usize::from(wrong.is_none()), *all + 1);
        if let Some(wrong) = wrong {
            self.failed.push((request.map_or_else(String::new, |request| request.text.clone()), story, wrong));
        }
    }
}
