//! Where tunings are kept, and when one is made.

use clap::Args;
use pollster::block_on;
use quernel::engine::Engine;
use quernel::gpu::{AdapterInfo, Gpu};
use quernel::tune::{BUDGET, Device, Tuning};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Instant;

/// Whether products are tuned.
#[derive(Args, Clone, Copy)]
pub struct TuningArguments {
    /// Compute in the default ways: neither look for the fastest ones, nor use those that were found before
    #[arg(long)]
    no_tune: bool,
}

impl TuningArguments {
    /// What was found on this adapter before. A file that says nothing of use is as good as none.
    pub fn stored(self, gpu: &Gpu) -> Option<Tuning> {
        let path = path(gpu.info()).filter(|path| !self.no_tune && path.exists())?;
        let device = Device::new(gpu.info());
        match Tuning::read(&path) {
            Ok(tuning) if tuning.device == device => Some(tuning),
            Ok(_) => {
                tell!("WARNING: ignored {}: it belongs to another device or version", path.display());
                None
            }
            Err(error) => {
                tell!("WARNING: ignored a tuning: {error}");
                None
            }
        }
    }

    /// Looks for the fastest ways that are not known yet, and keeps them for the next time: on a GPU by itself, where a
    /// processor runs the shaders only if `wanted`.
    pub fn tune(self, engine: &mut Engine, wanted: bool, quiet: bool) -> anyhow::Result<()> {
        let by_itself = !engine.gpu().caps().processor && !self.no_tune;
        if !(wanted || by_itself) || engine.untuned()? == 0 {
            return Ok(());
        }
        let (begin, shown) = (Instant::now(), !quiet && std::io::stderr().is_terminal());
        let mut told = |done: usize, all: usize| {
            if shown {
                tell_part!("\rtuning to this adapter: {done} of {all} products ");
            }
        };
        let done = block_on(engine.tune(BUDGET, &mut told));
        if shown {
            tell_part!("\r");
        }
        if let Err(error) = done {
            // Without it everything works as well; a device that is lost will tell so again.
            tell!("WARNING: the kernels were not tuned: {error}");
        } else if !quiet {
            let known = engine.tuning().ways.len();
            let seconds = begin.elapsed().as_secs_f64();
            tell!("tuned to this adapter in {seconds:.1} s: {known} products known; --no-tune leaves it out");
        }
        let Some(path) = path(engine.gpu().info()) else { return Ok(()) };
        if let Err(error) = engine.tuning().write(path) {
            tell!("WARNING: the tuning was not kept: {error}");
        }
        Ok(())
    }
}

/// Where tunings are kept.
fn path(info: &AdapterInfo) -> Option<PathBuf> {
    kept(info, "tuning")
}

/// The adapter's file of a kind.
pub fn kept(info: &AdapterInfo, kind: &str) -> Option<PathBuf> {
    Some(cache_folder()?.join(kind).join(Device::new(info).file_name()))
}

/// The folder that the system has for what can be made again.
pub fn cache_folder() -> Option<PathBuf> {
    let from = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = |folder: &str| from("HOME").map(|home| home.join(folder));
    let cache = if cfg!(windows) {
        from("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        home("Library/Caches")
    } else {
        from("XDG_CACHE_HOME").filter(|path| path.is_absolute()).or_else(|| home(".cache"))
    };
    from("QUERNEL_CACHE").or_else(|| cache.map(|cache| cache.join("quernel")))
}
