//! One cache for Python's `huggingface_hub` and for Quernel.
//!
//! What Python writes is described by [`written_by_python`], so that no Python is needed to try it; an ignored test holds
//! that description, and Python's own opinion of our cache, against the real one.

use super::*;
use std::process::Command;

/// The layout that `huggingface_hub.snapshot_download` leaves: all files of the repository, whatever they are.
fn written_by_python(cache: &Path) {
    let root = root(cache);
    let snapshot = root.join("snapshots").join(COMMIT);
    for (name, bytes) in files() {
        let etag = etag(&name, &bytes);
        let (blob, file) = (root.join("blobs").join(&etag), snapshot.join(&name));
        let lock = cache.join(".locks/models--mill--stone").join(format!("{etag}.lock"));
        for path in [&blob, &file, &lock] {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
        }
        fs::write(&blob, bytes).unwrap();
        fs::write(lock, "").unwrap();
        let up = if name.contains('/') { "../../../blobs" } else { "../../blobs" };
        #[cfg(unix)]
        std::os::unix::fs::symlink(Path::new(up).join(&etag), file).unwrap();
        #[cfg(not(unix))]
        fs::copy(blob, file).map(|_| up).unwrap();
    }
    fs::create_dir_all(root.join("refs")).unwrap();
    fs::write(root.join("refs/main"), COMMIT).unwrap();
    fs::create_dir_all(root.join("trees")).unwrap();
    fs::write(root.join("trees").join(format!("{COMMIT}.json")), "[]").unwrap();
    fs::write(cache.join("CACHEDIR.TAG"), "Signature: 8a477f597d28d172789f06886806bc55").unwrap();
}

/// Whatever needs this hub fails.
fn nobody(cache: &Path) -> Hub {
    Hub::new(settings("http://127.0.0.1:1", cache))
}

#[test]
fn a_cache_that_python_wrote_is_used_as_it_is() {
    let cache = tempfile::tempdir().unwrap();
    written_by_python(cache.path());
    let hub = nobody(cache.path());
    let folder = hub.fetch(&stone(), &mut |_| {}).unwrap();
    assert_eq!(folder, root(cache.path()).join("snapshots").join(COMMIT));
    let list = hub.list().unwrap();
    assert_eq!((list.len(), list[0].missing.len(), &list[0].revisions[..]), (1, 0, &["main".to_owned()][..]));
    assert!(hub.remove(&stone()).unwrap() > 500_000);
    assert!(!root(cache.path()).exists() && cache.path().join("CACHEDIR.TAG").exists());
}

#[cfg(unix)]
#[test]
#[ignore = "needs QUERNEL_HUB_PYTHON, a Python that has huggingface_hub"]
fn python_and_quernel_use_the_caches_of_each_other() {
    let server = Server::new(files(), Duration::ZERO, |_| Fate::Fine);
    let endpoint = server.endpoint();
    let [theirs, described, ours] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let python = |cache: &Path, offline: &str| {
        let program = std::env::var("QUERNEL_HUB_PYTHON").expect("QUERNEL_HUB_PYTHON");
        let code = "import sys, huggingface_hub as h; print(h.snapshot_download('mill/stone')); \
                    print(h.hf_hub_download('mill/stone', 'config.json')); \
                    print(sum(r.size_on_disk for r in h.scan_cache_dir().repos), len(h.scan_cache_dir().warnings))";
        let mut command = Command::new(program);
        command.args(["-c", code]).env("HF_HUB_CACHE", cache).env("HF_ENDPOINT", &endpoint);
        let output = command.env("HF_HUB_OFFLINE", offline).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    python(theirs.path(), "0");
    let asked = server.asked().len();
    let found = nobody(theirs.path()).fetch(&stone(), &mut |_| {}).unwrap();
    assert_eq!(found, root(theirs.path()).join("snapshots").join(COMMIT));
    assert_eq!(server.asked().len(), asked);
    // The description above is what Python does.
    written_by_python(described.path());
    let links = |cache: &Path| -> BTreeMap<_, _> {
        let snapshot = root(cache).join("snapshots").join(COMMIT);
        let files = files().into_keys();
        files.map(|name| (name.clone(), fs::read_link(snapshot.join(name)).unwrap())).collect()
    };
    assert_eq!(links(theirs.path()), links(described.path()));
    assert_eq!(fs::read(root(theirs.path()).join("refs/main")).unwrap(), COMMIT.as_bytes());

    let (_, hub) = (&ours, Hub::new(settings(&endpoint, ours.path())));
    let folder = pull(&hub).unwrap();
    let asked = server.asked().len();
    let said = python(ours.path(), "1");
    assert!(said.starts_with(&format!("{}\n", folder.display())) && said.trim_end().ends_with(" 0"), "{said}");
    assert_eq!(server.asked().len(), asked);
    println!("{said}");
}
