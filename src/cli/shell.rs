//! `quernel completions` and `quernel man`: what shells and readers of manuals want, made from the flags themselves.

use clap::{Args, Command, ValueEnum};
use clap_complete::{Shell, generate};
use quernel::Error;
use std::io::Write;
use std::path::PathBuf;

/// For `--help`.
pub const COMPLETIONS: &str = "\
Examples:
  quernel completions bash > ~/.local/share/bash-completion/completions/quernel
  quernel completions zsh > \"${fpath[1]}/_quernel\"
  quernel completions fish > ~/.config/fish/completions/quernel.fish";

/// For `--help`.
pub const MAN: &str = "\
Examples:
  quernel man | man -l -
  quernel man -o /usr/local/share/man/man1";

/// Which shell.
#[derive(Args)]
pub struct Completions {
    /// The shell [default: that of the environment]
    #[arg(value_enum)]
    shell: Option<Shell>,
}

/// Where the manual goes.
#[derive(Args)]
pub struct Man {
    /// Write a page for every command into this folder [default: the first page to standard output]
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
}

/// Prints the completions of `command`.
pub fn completions(arguments: &Completions, mut command: Command) -> anyhow::Result<()> {
    let known = || Shell::value_variants().iter().map(Shell::to_string).collect::<Vec<_>>().join(", ");
    let none = || Error::option("SHELL", format!("the environment names none; give one of {}", known()));
    let shell = arguments.shell.or_else(Shell::from_env).ok_or_else(none)?;
    let mut script = Vec::new();
    generate(shell, &mut command, "quernel", &mut script);
    Ok(std::io::stdout().lock().write_all(&script)?)
}

/// Writes the manual of `command`.
pub fn man(arguments: &Man, command: Command) -> anyhow::Result<()> {
    match &arguments.output {
        Some(folder) => {
            std::fs::create_dir_all(folder).map_err(|error| Error::io(folder, error))?;
            clap_mangen::generate_to(command, folder).map_err(|error| Error::io(folder, error))?;
        }
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(command).render(&mut page)?;
            std::io::stdout().lock().write_all(&page)?;
        }
    }
    Ok(())
}
