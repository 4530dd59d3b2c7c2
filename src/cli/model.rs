//! What `-m` means: a folder, or a model of the hub.

use std::path::{Path, PathBuf};

/// The folder, or the weights' file, that `model` names. What is there always wins, and what is compiled in; else `org/name[@revision]` is a
/// model of the hub, taken from the cache if it is whole there, and fetched otherwise.
pub fn resolve(model: &Path, quiet: bool) -> anyhow::Result<PathBuf> {
    if model.exists() || model == Path::new(quernel::STORYTELLER) {
        return Ok(model.to_owned());
    }
    from_hub(model, quiet)
}

/// What to call the model in `folder`: its name on the hub, or that of the folder.
pub fn name(folder: &Path) -> Option<String> {
    let repo = folder.ancestors().nth(2).and_then(|root| root.file_name()?.to_str()?.strip_prefix("models--"));
    let name = match repo.filter(|_| is_snapshot(folder)) {
        Some(repo) => repo.rsplit("--").next()?,
        None => folder.file_name()?.to_str()?,
    };
    Some(name.to_owned())
}

/// Whether `folder` is a revision of a model in the hub's cache.
pub fn is_snapshot(folder: &Path) -> bool {
    folder.parent().is_some_and(|parent| parent.ends_with("snapshots"))
}

#[cfg(feature = "hub")]
fn from_hub(model: &Path, quiet: bool) -> anyhow::Result<PathBuf> {
    use quernel::Error;
    use quernel::hub::{Hub, Settings, Spec};

    let text = model.to_str().filter(|text| text.contains('/'));
    let Some(spec) = text.and_then(|text| text.parse::<Spec>().ok()) else {
        anyhow::bail!(
            "{}: No such file or folder; give the path of one that is there, or a model of the Hugging Face hub as \
             org/name or org/name@revision",
            model.display()
        );
    };
    let hub = Hub::new(Settings::from_env()?);
    match super::hub::fetch(&hub, &spec, quiet, false) {
        // It may as well have been meant for a path.
        Err(
            error @ (Error::HubNotFound { .. }
            | Error::HubRefused { .. }
            | Error::Network { .. }
            | Error::Offline { .. }),
        ) => {
            anyhow::bail!("{error}. No folder {} is here either", model.display())
        }
        folder => Ok(folder?),
    }
}

#[cfg(not(feature = "hub"))]
fn from_hub(model: &Path, _: bool) -> anyhow::Result<PathBuf> {
    anyhow::bail!(
        "{}: No such file or folder; this program was built without the feature \"hub\", so it fetches no models",
        model.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_called_by_its_model() {
        let name = |path: &str| name(Path::new(path)).unwrap();
        assert_eq!(name("hub/models--Qwen--Qwen3-0.6B/snapshots/0123"), "Qwen3-0.6B");
        assert_eq!(name("models/Qwen3-0.6B"), "Qwen3-0.6B");
        assert_eq!(name("models--a--b/other/c"), "c");
    }
}
