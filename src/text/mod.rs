//! Characters and token ids: from a prompt to ids, and from a stream of ids back to text that is always whole characters.
//!
//! [`Tokenizer`] reads `tokenizer.json` and turns text into ids and back. [`TextStream`] turns ids into text one by one,
//! so that the pieces put together are what decoding all ids at once gives. [`StopStrings`] ends a text at the first of
//! some strings. [`ChatTemplate`] writes a conversation as the text that a model was trained on, and [`Conversation`] keeps
//! one in a file. This module knows nothing of models, GPUs or sampling.

mod conversation;
mod stop;
mod stream;
mod template;
#[cfg(test)]
mod tests;
mod tokenizer;

pub use conversation::Conversation;
pub use stop::StopStrings;
pub use stream::TextStream;
pub use template::{ChatTemplate, Message, Moment, Prompt};
pub use tokenizer::Tokenizer;
