//! How the program ends.

use quernel::Error;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;

/// The exit codes, for `--help`.
pub const HELP: &str = "\
Exit codes:
  0    fine
  1    a file, a model or an input is at fault
  2    wrong usage
  3    the model, its cache or a step does not fit the adapter, or a download the disk
  4    no adapter, or none that can run it
  5    the GPU device was lost
  6    the adapter computes wrongly, and nothing takes the place of what does
  130  stopped by Ctrl-C

QUERNEL_LOG=debug shows the log on standard error.";

/// The code of a self-test that found something wrong with nothing in its place.
pub const SELF_TEST: u8 = 6;

/// The code for a run that Ctrl-C stopped, as shells have it.
pub const INTERRUPTED: u8 = 130;

/// Tells the error in one message, and gives its code. A reader that went away is nobody's error.
pub fn report(error: &anyhow::Error) -> ExitCode {
    if is_broken_pipe(error) {
        return ExitCode::SUCCESS;
    }
    // The library's messages are whole; others may need what is behind them.
    let message = match error.downcast_ref::<Error>() {
        Some(error) => error.to_string(),
        None => format!("{error:#}"),
    };
    // Standard error may be gone as well; there is nobody left to tell.
    let _ = writeln!(std::io::stderr(), "error: {message}");
    ExitCode::from(code(error))
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let mut kinds = error.chain().filter_map(|cause| {
        let io = cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        io.or_else(|| cause.downcast_ref::<serde_json::Error>()?.io_error_kind())
    });
    kinds.any(|kind| kind == ErrorKind::BrokenPipe)
}

fn code(error: &anyhow::Error) -> u8 {
    match error.downcast_ref::<Error>() {
        Some(Error::Option { .. }) => 2,
        Some(Error::DoesNotFit { .. } | Error::OutOfMemory { .. }) => 3,
        Some(Error::NoAdapter { .. } | Error::Unsupported { .. }) => 4,
        Some(Error::DeviceLost { .. }) => 5,
        Some(Error::SelfTest { .. }) => SELF_TEST,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_went_away_is_nobodys_error() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let json = serde_json::to_writer(Gone, &[1]).unwrap_err();
        assert!(is_broken_pipe(&json.into()) && is_broken_pipe(&std::io::Error::from(ErrorKind::BrokenPipe).into()));
        assert!(!is_broken_pipe(&std::io::Error::from(ErrorKind::StorageFull).into()));
    }

    #[test]
    fn codes_follow_who_can_act() {
        let code = |error: Error| code(&error.into());
        assert_eq!(code(Error::option("--top-p", "3 is too much")), 2);
        assert_eq!(code(Error::OutOfMemory { doing: String::new(), message: String::new() }), 3);
        assert_eq!(code(Error::NoAdapter { reason: String::new() }), 4);
        assert_eq!(code(Error::DeviceLost { message: String::new() }), 5);
        assert_eq!(code(Error::SelfTest { adapter: String::new(), what: String::new() }), 6);
        assert_eq!(code(Error::bad_file("config.json", "no JSON")), 1);
    }
}
