//! Running a stranger's template: with a deep stack, for a short time, and a few times beside each other at most.

use crate::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

/// Bytes of the stack that a template is compiled and rendered on. A flat chain of operators recurses once for each of
/// them, and a stack that is used up ends the whole process; this one holds the longest chain of the longest template.
const STACK: usize = 32 << 20;
/// How long a template may take.
const LIMIT: Duration = Duration::from_secs(2);
/// Threads that ran past the limit and have not ended. Nothing can end them from outside.
static RETIRED: AtomicUsize = AtomicUsize::new(0);
/// As many of them as are borne with.
const MOST_RETIRED: usize = 4;

/// Runs `work` for the template at `path`, on a thread of its own.
///
/// # Errors
/// [`Error::ChatTemplateTime`] where it takes longer than the limit, and [`Error::ChatTemplate`] where it fails, where no
/// thread can be had, or where too many never came to an end.
pub(super) fn run<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> crate::Result<T> {
    let failed = |reason| Error::ChatTemplate { path: path.to_owned(), reason };
    if RETIRED.load(Ordering::Acquire) >= MOST_RETIRED {
        let reason = format!("{MOST_RETIRED} templates that took too long are still running; restart the program");
        return Err(failed(reason));
    }
    let (sender, receiver) = sync_channel(1);
    // Whichever parts second, the thread at its end or the watch at its limit, takes the thread off the count.
    let parted = Arc::new(AtomicBool::new(false));
    let own = Parted(Arc::clone(&parted));
    let thread = std::thread::Builder::new().name("chat template".to_owned()).stack_size(STACK);
    let spawned = thread.spawn(move || {
        // Nobody listens any more where the limit has passed.
        let _ = sender.send(work());
        drop(own);
    });
    spawned.map_err(|e| failed(format!("no thread can be had to render it: {e}")))?;
    match receiver.recv_timeout(LIMIT) {
        Ok(result) => result.map_err(failed),
        Err(RecvTimeoutError::Disconnected) => {
            Err(failed("it leads to a state that its renderer has no answer for".to_owned()))
        }
        Err(RecvTimeoutError::Timeout) => {
            RETIRED.fetch_add(1, Ordering::AcqRel);
            drop(Parted(parted));
            Err(Error::ChatTemplateTime { path: path.to_owned(), seconds: LIMIT.as_secs() })
        }
    }
}

/// One side of a thread and its watch, which part when the thread ends and when the limit passes.
struct Parted(Arc<AtomicBool>);

impl Drop for Parted {
    fn drop(&mut self) {
        if self.0.swap(true, Ordering::AcqRel) {
            RETIRED.fetch_sub(1, Ordering::AcqRel);
        }
    }
}
