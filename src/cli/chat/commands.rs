//! What begins with a slash.

use super::talk::Talk;
use quernel::Error;
use quernel::text::Conversation;
use std::path::Path;

const HELP: &str = "\
/help          this list
/new           begin anew
/system TEXT   tell the model something before the conversation, which begins anew; with no text, show it
/save FILE     keep the conversation
/load FILE     go on with a conversation that was kept
/regen         answer the last question once more
/stats         tokens, speeds, and how full the context is
/exit          end (as Ctrl-D)

A line that ends with a backslash goes on; so does all between two lines of \"\"\". Ctrl-C stops an answer.";

/// What comes after a command.
pub enum Then {
    /// The next line.
    GoOn,
    /// Nothing.
    End,
}

/// Carries out the command `line`, without its slash.
pub fn run(talk: &mut Talk, line: &str) -> anyhow::Result<Then> {
    let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim();
    match name {
        "help" | "?" => tell!("{HELP}"),
        "exit" | "quit" | "bye" => return Ok(Then::End),
        "stats" => tell_part!("{}", talk.stats()),
        "regen" => talk.regenerate()?,
        "system" if rest.is_empty() => tell!("{}", talk.said().system.as_deref().unwrap_or("(none)")),
        "system" => begin(talk, Some(rest.to_owned()))?,
        "new" | "clear" => begin(talk, talk.said().system.clone())?,
        "save" => {
            let path = file(rest)?;
            talk.said().write(path)?;
            tell!("({} messages saved to {})", talk.said().messages.len(), path.display());
        }
        "load" => {
            let kept = Conversation::read(file(rest)?)?;
            let messages = kept.messages.len();
            talk.take_up(kept)?;
            tell!("({messages} messages loaded)");
        }
        _ => {
            let reason = "there is no such command; /help lists them";
            return Err(Error::bad_file(format!("/{name}"), reason).into());
        }
    }
    Ok(Then::GoOn)
}

fn begin(talk: &mut Talk, system: Option<String>) -> anyhow::Result<()> {
    talk.take_up(Conversation { system, messages: Vec::new() })?;
    tell!("(a new conversation)");
    Ok(())
}

fn file(name: &str) -> anyhow::Result<&Path> {
    match name {
        "" => Err(Error::option("FILE", "there is none; name the file after the command").into()),
        name => Ok(Path::new(name)),
    }
}
