//! Models of the hub, fetched from a server on this machine that speaks its protocol, and breaks it.

#[path = "hub/broken.rs"]
mod broken;
#[path = "hub/command.rs"]
mod command;
#[path = "hub/digest.rs"]
mod digest;
#[path = "hub/python.rs"]
mod python;
#[path = "hub/server.rs"]
mod server;

use digest::{git_sha1, sha256};
use quernel::Result;
use quernel::hub::{Hub, Settings, Spec};
use server::{COMMIT, Fate, REPO, Server, is_large};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// The same numbers for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % most
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.below(256) as u8).collect()
    }
}

/// What the server's model consists of: two shards, what belongs to them, and what nobody needs.
fn files() -> BTreeMap<String, Vec<u8>> {
    let mut dice = Dice(7);
    let index = serde_json::json!({ "weight_map": {
        "a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors",
        "c": "model-00002-of-00002.safetensors",
    } });
    let text = |name: &str, text: &str| (name.to_owned(), text.as_bytes().to_vec());
    BTreeMap::from([
        text(".gitattributes", "*.safetensors filter=lfs"),
        text("additional_chat_templates/rag.jinja", "{{ documents }}"),
        text("README.md", "A stone."),
        text("config.json", "{}"),
        text("generation_config.json", "{\"do_sample\": true}"),
        text("model.safetensors.index.json", &index.to_string()),
        text("onnx/model.onnx", "large"),
        text("tokenizer.json", "{\"version\": \"1.0\"}"),
        text("tokenizer_config.json", "{\"a\": 1}"),
        ("consolidated.safetensors".to_owned(), dice.bytes(100)),
        ("model-00001-of-00002.safetensors".to_owned(), dice.bytes(300_000)),
        ("model-00002-of-00002.safetensors".to_owned(), dice.bytes(200_001)),
    ])
}

/// Those of them that a model is run from.
fn needed() -> BTreeMap<String, Vec<u8>> {
    let other = [".gitattributes", "README.md", "onnx/model.onnx", "consolidated.safetensors"];
    files().into_iter().filter(|(name, _)| !other.contains(&name.as_str())).collect()
}

/// A hub on `server` with a cache that is empty.
fn hub(server: &Server) -> (TempDir, Hub) {
    let cache = tempfile::tempdir().unwrap();
    let hub = Hub::new(settings(&server.endpoint(), cache.path()));
    (cache, hub)
}

fn settings(endpoint: &str, cache: &Path) -> Settings {
    Settings {
        cache: cache.to_owned(),
        endpoint: endpoint.to_owned(),
        token: None,
        offline: false,
        system_roots: false,
        pause: Duration::from_millis(1),
        silence: Duration::from_secs(5),
    }
}

fn stone() -> Spec {
    REPO.parse().unwrap()
}

fn pull(hub: &Hub) -> Result<PathBuf> {
    hub.pull(&stone(), &mut |_| {})
}

/// The model's own folder in a cache.
fn root(cache: &Path) -> PathBuf {
    cache.join("models--mill--stone")
}

/// The name of a file's contents.
fn etag(name: &str, bytes: &[u8]) -> String {
    if is_large(name) { sha256(bytes) } else { git_sha1(bytes) }
}

/// Holds every file that has its final name against its checksum, and a revision against what it stands for.
#[track_caller]
fn expect_sound(cache: &Path) {
    let needed = needed();
    for blob in entries(&root(cache).join("blobs")) {
        let name = blob.file_name().unwrap().to_str().unwrap();
        if !name.ends_with(".incomplete") {
            let bytes = fs::read(&blob).unwrap();
            assert!(name == sha256(&bytes) || name == git_sha1(&bytes), "{name}");
        }
    }
    let snapshot = root(cache).join("snapshots").join(COMMIT);
    for file in tree(&snapshot) {
        let name = file.strip_prefix(&snapshot).unwrap().to_str().unwrap().replace('\\', "/");
        assert_eq!(fs::read(&file).unwrap(), needed[&name], "{name}");
    }
    if root(cache).join("refs/main").exists() {
        expect_whole(cache);
    }
}

/// Everything that is needed is there, as `huggingface_hub` lays it out, and nothing else.
#[track_caller]
fn expect_whole(cache: &Path) {
    let root = root(cache);
    assert_eq!(fs::read_to_string(root.join("refs/main")).unwrap(), COMMIT);
    let snapshot = root.join("snapshots").join(COMMIT);
    let needed = needed();
    for (name, bytes) in &needed {
        let (file, etag) = (snapshot.join(name), etag(name, bytes));
        assert_eq!(&fs::read(&file).unwrap(), bytes, "{name}");
        if cfg!(unix) {
            let up = if name.contains('/') { "../../../blobs" } else { "../../blobs" };
            assert_eq!(fs::read_link(file).unwrap(), Path::new(up).join(&etag));
        }
    }
    assert_eq!(tree(&snapshot).len(), needed.len());
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).map_or(Vec::new(), |entries| entries.map(|entry| entry.unwrap().path()).collect())
}

/// The files and links below a folder.
fn tree(folder: &Path) -> Vec<PathBuf> {
    let below = |path: PathBuf| if path.is_dir() { tree(&path) } else { vec![path] };
    entries(folder).into_iter().flat_map(below).collect()
}

/// How often something is tried: a few times, or as often as the environment says.
fn count(variable: &str, few: usize) -> usize {
    std::env::var(variable).map_or(few, |count| count.parse().expect("a number"))
}

#[test]
fn a_model_is_fetched_once_and_then_found() {
    let server = Server::new(files(), Duration::ZERO, |_| Fate::Fine);
    let (cache, hub) = hub(&server);
    assert_eq!(hub.cached(&stone()), None);
    let mut last = (0, 0);
    let folder = hub.fetch(&stone(), &mut |progress| last = (progress.done, progress.total)).unwrap();
    assert_eq!(folder, root(cache.path()).join("snapshots").join(COMMIT));
    expect_whole(cache.path());
    assert!(entries(&root(cache.path()).join("blobs")).len() == needed().len() && last.0 == last.1 && last.0 > 500_000);
    let asked = server.asked().len();
    for spec in [REPO.to_owned(), format!("{REPO}@{COMMIT}"), format!("{REPO}@main")] {
        assert_eq!(hub.fetch(&spec.parse().unwrap(), &mut |_| {}).unwrap(), folder);
    }
    assert_eq!(server.asked().len(), asked, "what is in the cache is asked of nobody");
    // Another name of the same commit: the list is asked for, the files are there.
    hub.fetch(&format!("{REPO}@v1").parse().unwrap(), &mut |_| {}).unwrap();
    assert!(server.asked()[asked..].iter().all(|asked| asked.path.starts_with("/api/")));
    let list = hub.list().unwrap();
    assert_eq!((list.len(), &list[0].repo[..], &list[0].revisions[..]), (1, REPO, &["main".into(), "v1".into()][..]));
    assert_eq!(list[0].bytes, needed().values().map(|bytes| bytes.len() as u64).sum::<u64>());
    assert!(list[0].missing.is_empty());
}

#[test]
fn with_the_network_off_nothing_is_connected_to() {
    let server = Server::new(files(), Duration::ZERO, |_| Fate::Fine);
    let (cache, online) = hub(&server);
    let offline = Hub::new(Settings { offline: true, ..settings(&server.endpoint(), cache.path()) });
    let said = offline.fetch(&stone(), &mut |_| {}).unwrap_err().to_string();
    assert!(said.contains("HF_HUB_OFFLINE") && said.contains(REPO), "{said}");
    assert_eq!(server.asked().len(), 0);
    let folder = pull(&online).unwrap();
    let asked = server.asked().len();
    assert_eq!(offline.fetch(&stone(), &mut |_| {}).unwrap(), folder);
    assert_eq!(pull(&offline).unwrap(), folder);
    fs::remove_file(folder.join("model-00002-of-00002.safetensors")).unwrap();
    let said = pull(&offline).unwrap_err().to_string();
    assert!(said.contains("lacks model-00002-of-00002.safetensors"), "{said}");
    assert_eq!(server.asked().len(), asked);
    pull(&online).unwrap();
    assert!(server.asked()[asked..].iter().all(|asked| !asked.cdn), "the blob was there, and the link was not");
    expect_whole(cache.path());
}

#[test]
fn the_token_goes_to_the_hub_alone() {
    let server = Server::new(files(), Duration::ZERO, |_| Fate::Fine);
    let cache = tempfile::tempdir().unwrap();
    let with = Settings { token: Some("hf_secret".to_owned()), ..settings(&server.endpoint(), cache.path()) };
    pull(&Hub::new(with)).unwrap();
    let (cdn, hub): (Vec<_>, Vec<_>) = server.asked().into_iter().partition(|asked| asked.cdn);
    assert!(!cdn.is_empty() && cdn.iter().all(|asked| asked.token.is_none()), "{cdn:?}");
    assert!(hub.iter().all(|asked| asked.token.as_deref() == Some("Bearer hf_secret")), "{hub:?}");
}

#[cfg(unix)]
#[test]
fn what_is_removed_is_what_no_other_revision_has() {
    let server = Server::new(files(), Duration::ZERO, |_| Fate::Fine);
    let (cache, hub) = hub(&server);
    let folder = pull(&hub).unwrap();
    // Another commit that shares all files but one.
    let other = "1".repeat(40);
    let copy = folder.with_file_name(&other);
    fs::create_dir(&copy).unwrap();
    for file in tree(&folder) {
        let copy = copy.join(file.strip_prefix(&folder).unwrap());
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        if copy.ends_with("config.json") {
            fs::write(copy, "{ }").unwrap();
        } else {
            std::os::unix::fs::symlink(fs::read_link(&file).unwrap(), copy).unwrap();
        }
    }
    fs::write(root(cache.path()).join("refs/old"), &other).unwrap();
    assert_eq!(hub.list().unwrap().len(), 2);
    let freed = hub.remove(&stone_at("main")).unwrap();
    assert_eq!(freed, 2, "the old config.json alone");
    let left = hub.list().unwrap();
    assert_eq!((left.len(), &left[0].commit, left[0].missing.len()), (1, &other, 0));
    assert!(hub.remove(&stone_at("main")).unwrap_err().to_string().contains("quernel ls"));
    assert!(hub.remove(&stone()).unwrap() > 500_000);
    assert!(!root(cache.path()).exists() && hub.list().unwrap().is_empty());
}

#[test]
fn one_name_of_a_model_is_removed_alone() {
    let server = Server::new(files(), Duration::ZERO, |_| Fate::Fine);
    let (cache, hub) = hub(&server);
    pull(&hub).unwrap();
    hub.pull(&stone_at("v1"), &mut |_| {}).unwrap();
    assert_eq!(hub.list().unwrap()[0].revisions, ["main", "v1"]);
    assert_eq!(hub.remove(&stone_at("v1")).unwrap(), 0);
    assert_eq!(hub.list().unwrap()[0].revisions, ["main"]);
    expect_whole(cache.path());
    assert!(hub.remove(&stone_at("main")).unwrap() > 500_000);
}

fn stone_at(revision: &str) -> Spec {
    format!("{REPO}@{revision}").parse().unwrap()
}
