//! The command `quernel`: parses, runs, and sets the exit code.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
