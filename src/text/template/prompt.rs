//! What a template is given.

use minijinja::value::Value as Jinja;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One message of a conversation.
///
/// ```
/// use quernel::text::Message;
/// let message: Message = serde_json::from_str(r#"{"role": "user", "content": "Hello."}"#).unwrap();
/// assert_eq!(message, Message::new("user", "Hello."));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks: `system`, `user`, `assistant`, `tool`, or what else the template knows.
    pub role: String,
    /// What is said: a text, or a list of parts as the template takes them. Null where there is nothing but a call.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub content: Value,
    /// Everything else, such as `tool_calls` or `reasoning_content`.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

impl Message {
    /// A message of text.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        Self { role: role.into(), content: Value::String(content.into()), more: Map::new() }
    }
}

/// A moment on the clock of whoever reads the prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The year.
    pub year: i16,
    /// The month, from 1.
    pub month: i8,
    /// The day, from 1.
    pub day: i8,
    /// The hour, to 23.
    pub hour: i8,
    /// The minute.
    pub minute: i8,
}

/// What a template is to make a prompt of.
#[derive(Debug, Clone, Default)]
pub struct Prompt {
    /// The conversation, in order.
    pub messages: Vec<Message>,
    /// What the model may call, each as a JSON schema.
    pub tools: Option<Vec<Value>>,
    /// What the model may read, each with a title and a text.
    pub documents: Option<Vec<Value>>,
    /// End with what makes the model answer.
    pub add_generation_prompt: bool,
    /// What else the template knows, such as `enable_thinking`; it takes precedence over the special tokens.
    pub more: Map<String, Value>,
    /// What the clock says to the template; the truth by default.
    pub now: Option<Moment>,
}

/// The names under which a message's reasoning is known: the first is what templates read, the second gpt-oss's.
const REASONING: [&str; 3] = ["reasoning_content", "thinking", "reasoning"];

impl Prompt {
    /// The variables of a template as transformers names them, and the bytes of the texts in them. `specials` are the
    /// special tokens by their names.
    pub(super) fn variables(&self, specials: &[(String, String)]) -> (Jinja, usize) {
        let mut bytes = 0;
        let mut list = |items: &Vec<Value>| items.iter().map(|item| jinja(item, &mut bytes)).collect::<Jinja>();
        let tools = self.tools.as_ref().map_or(Jinja::from(()), &mut list);
        let documents = self.documents.as_ref().map_or(Jinja::from(()), &mut list);
        let messages: Jinja = self.messages.iter().map(|message| message_as_jinja(message, &mut bytes)).collect();
        let mut all: Vec<(String, Jinja)> =
            specials.iter().map(|(name, token)| (name.clone(), Jinja::from(token.as_str()))).collect();
        all.push(("messages".to_owned(), messages));
        all.push(("tools".to_owned(), tools));
        all.push(("documents".to_owned(), documents));
        all.push(("add_generation_prompt".to_owned(), Jinja::from(self.add_generation_prompt)));
        all.extend(self.more.iter().map(|(name, value)| (name.clone(), jinja(value, &mut bytes))));
        (Jinja::from_pairs(all), bytes)
    }
}

/// A message without what is null, and with its reasoning under every name that templates read.
fn message_as_jinja(message: &Message, bytes: &mut usize) -> Jinja {
    let reasoning = REASONING.iter().find_map(|&name| message.more.get(name).filter(|value| !value.is_null()));
    let mut all: Vec<(&str, &Value)> = Vec::new();
    let role = Value::String(message.role.clone());
    // The names that transformers adds come first and last, and a message's own stay where they are.
    if let (Some(reasoning), None) = (reasoning, message.more.get(REASONING[1]).filter(|value| !value.is_null())) {
        all.push((REASONING[1], reasoning));
    }
    all.extend([("role", &role), ("content", &message.content)]);
    all.extend(message.more.iter().map(|(name, value)| (name.as_str(), value)));
    if let (Some(reasoning), None) = (reasoning, message.more.get(REASONING[0]).filter(|value| !value.is_null())) {
        all.push((REASONING[0], reasoning));
    }
    all.retain(|(_, value)| !value.is_null());
    Jinja::from_pairs(all.into_iter().map(|(name, value)| (name, jinja(value, bytes))))
}

/// A value of JSON as one of the template's. Depth is bounded where JSON is read.
fn jinja(value: &Value, bytes: &mut usize) -> Jinja {
    *bytes += 8;
    match value {
        Value::Null => Jinja::from(()),
        Value::Bool(value) => Jinja::from(*value),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Jinja::from(number),
            (_, Some(number)) => Jinja::from(number),
            _ => Jinja::from(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => {
            *bytes += text.len();
            Jinja::from(text.as_str())
        }
        Value::Array(items) => items.iter().map(|item| jinja(item, bytes)).collect(),
        Value::Object(all) => Jinja::from_pairs(all.iter().map(|(name, value)| (name.as_str(), jinja(value, bytes)))),
    }
}
