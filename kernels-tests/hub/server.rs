//! A hub on this machine: its protocol, and everything that can go wrong with it, on two ports, as the hub has a host of
//! its own for large files.

use crate::digest::{git_sha1, sha256};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The model that it has.
pub const REPO: &str = "mill/stone";

/// Its only commit, which `main` and the tag `v1` are.
pub const COMMIT: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

/// What becomes of a request.
#[derive(Clone)]
pub enum Fate {
    /// The reply that is due.
    Fine,
    /// This status, with these lines in the head.
    Status(u16, &'static str),
    /// The connection ends after so many bytes of the body, or before the head where it is none.
    Cut(Option<usize>),
    /// So many bytes of the body, and then nothing, while the connection stays.
    Silent(usize),
    /// The reply that is due, with other bytes.
    Spoiled,
}

/// A request as it came in.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    pub path: String,
    pub range: Option<usize>,
    pub token: Option<String>,
    /// It came to the host of large files.
    pub cdn: bool,
}

type Decide = Box<dyn FnMut(&Asked) -> Fate + Send>;

struct Shared {
    files: BTreeMap<String, Vec<u8>>,
    hub: SocketAddr,
    cdn: SocketAddr,
    decide: Mutex<Decide>,
    asked: Mutex<Vec<Asked>>,
    /// Between pieces of a body.
    pause: Duration,
    gone: AtomicBool,
}

/// The server, until it is dropped.
pub struct Server(Arc<Shared>);

impl Server {
    /// A hub with these files, on which `decide` brings what it says.
    pub fn new(
        files: BTreeMap<String, Vec<u8>>,
        pause: Duration,
        decide: impl FnMut(&Asked) -> Fate + Send + 'static,
    ) -> Self {
        let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [hub, cdn] = [0, 1].map(|at: usize| listeners[at].local_addr().unwrap());
        let (decide, asked) = (Mutex::new(Box::new(decide) as Decide), Mutex::default());
        let shared = Arc::new(Shared { files, hub, cdn, decide, asked, pause, gone: AtomicBool::new(false) });
        for (listener, is_cdn) in listeners.into_iter().zip([false, true]) {
            let shared = shared.clone();
            std::thread::spawn(move || {
                for stream in listener.incoming().map_while(Result::ok) {
                    let shared = shared.clone();
                    if shared.gone.load(Ordering::Relaxed) {
                        break;
                    }
                    std::thread::spawn(move || shared.serve(&stream, is_cdn));
                }
            });
        }
        Self(shared)
    }

    /// What `HF_ENDPOINT` is to be.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.0.hub)
    }

    /// What was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.0.asked.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.0.gone.store(true, Ordering::Relaxed);
        // The listeners wake up, and see it.
        for address in [self.0.hub, self.0.cdn] {
            let _ = TcpStream::connect(address);
        }
    }
}

/// A reply before it is sent.
struct Reply {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Shared {
    /// Replies until the other side, or a cut, ends the connection.
    fn serve(&self, stream: &TcpStream, cdn: bool) {
        stream.set_nodelay(true).unwrap();
        let mut reader = BufReader::new(stream);
        while let Some(asked) = read(&mut reader, cdn) {
            self.asked.lock().unwrap().push(asked.clone());
            let fate = (self.decide.lock().unwrap())(&asked);
            let mut reply = match fate {
                Fate::Status(status, head) => Reply { status, head: head.to_owned(), body: b"so it is".to_vec() },
                _ => self.reply(&asked),
            };
            if matches!(fate, Fate::Spoiled) {
                reply.body.iter_mut().for_each(|byte| *byte ^= 1);
            }
            let cut = match fate {
                Fate::Cut(bytes) => Some(bytes.unwrap_or(0)),
                Fate::Silent(bytes) => Some(bytes),
                _ => None,
            };
            let head = !matches!(fate, Fate::Cut(None));
            if self.send(stream, &asked, &reply, head, cut).is_err() || cut.is_some() {
                if matches!(fate, Fate::Silent(_)) {
                    // Until the other side has had enough.
                    let _ = reader.read_until(b'\0', &mut Vec::new());
                }
                let _ = stream.shutdown(Shutdown::Both);
                return;
            }
        }
    }

    fn send(
        &self,
        mut to: &TcpStream,
        asked: &Asked,
        reply: &Reply,
        head: bool,
        cut: Option<usize>,
    ) -> std::io::Result<()> {
        let Reply { status, head: lines, body } = reply;
        if head {
            write!(to, "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n{lines}\r\n", body.len())?;
        }
        if asked.method == "HEAD" || !head {
            return Ok(());
        }
        for piece in body[..cut.unwrap_or(body.len()).min(body.len())].chunks(8 << 10) {
            to.write_all(piece)?;
            std::thread::sleep(self.pause);
        }
        to.flush()
    }

    fn reply(&self, asked: &Asked) -> Reply {
        let path = asked.path.split('?').next().unwrap();
        let lost = |code: &str| Reply { status: 404, head: format!("X-Error-Code: {code}\r\n"), body: Vec::new() };
        if let Some(name) = path.strip_prefix("/cdn/") {
            return ranged(&self.files[name], asked.range, String::new());
        }
        if let Some(rest) = path.strip_prefix("/api/models/") {
            return match rest.strip_prefix(REPO) {
                Some("/revision/main" | "/revision/v1") => self.json(&self.listing()),
                Some(rest) if rest == format!("/revision/{COMMIT}") => self.json(&self.listing()),
                Some(rest) if rest.starts_with("/tree/") => self.json(&self.tree()),
                Some(_) => lost("RevisionNotFound"),
                None => lost("RepoNotFound"),
            };
        }
        let resolved = ["main", COMMIT].map(|revision| path.strip_prefix(&format!("/{REPO}/resolve/{revision}/")));
        match resolved[0].or(resolved[1]).map(|name| (name, self.files.get(name))) {
            Some((name, Some(bytes))) => self.resolve(name, bytes, asked),
            _ => lost("EntryNotFound"),
        }
    }

    /// A small file is here; a large one elsewhere.
    fn resolve(&self, name: &str, bytes: &[u8], asked: &Asked) -> Reply {
        let commit = format!("X-Repo-Commit: {COMMIT}\r\n");
        if !is_large(name) {
            return ranged(bytes, asked.range, format!("{commit}ETag: \"{}\"\r\n", git_sha1(bytes)));
        }
        let (sum, size) = (sha256(bytes), bytes.len());
        let linked = format!("{commit}X-Linked-Etag: \"{sum}\"\r\nX-Linked-Size: {size}\r\nETag: \"another\"\r\n");
        let head = format!("{linked}Location: http://{}/cdn/{name}?Signature=secret\r\n", self.cdn);
        Reply { status: 302, head, body: b"Found".to_vec() }
    }

    fn json(&self, value: &serde_json::Value) -> Reply {
        Reply { status: 200, head: "Content-Type: application/json\r\n".to_owned(), body: value.to_string().into() }
    }

    fn listing(&self) -> serde_json::Value {
        let names: Vec<_> = self.files.keys().map(|name| serde_json::json!({ "rfilename": name })).collect();
        serde_json::json!({ "id": REPO, "sha": COMMIT, "siblings": names, "private": false, "tags": [], "downloads": 0 })
    }

    /// What `huggingface_hub` asks for besides.
    fn tree(&self) -> serde_json::Value {
        let file = |(name, bytes): (&String, &Vec<u8>)| {
            let mut file =
                serde_json::json!({ "type": "file", "path": name, "oid": git_sha1(bytes), "size": bytes.len() });
            if is_large(name) {
                file["lfs"] = serde_json::json!({ "oid": sha256(bytes), "size": bytes.len(), "pointerSize": 130 });
            }
            file
        };
        self.files.iter().map(file).collect()
    }
}

/// Whether the hub keeps such a file outside of git.
pub fn is_large(name: &str) -> bool {
    name.ends_with(".safetensors")
}

fn ranged(bytes: &[u8], from: Option<usize>, head: String) -> Reply {
    let head = format!("{head}Accept-Ranges: bytes\r\n");
    match from {
        None => Reply { status: 200, head, body: bytes.to_vec() },
        Some(from) if from >= bytes.len() => Reply { status: 416, head, body: Vec::new() },
        Some(from) => {
            let (last, length) = (bytes.len() - 1, bytes.len());
            let head = format!("{head}Content-Range: bytes {from}-{last}/{length}\r\n");
            Reply { status: 206, head, body: bytes[from..].to_vec() }
        }
    }
}

fn read(reader: &mut impl BufRead, cdn: bool) -> Option<Asked> {
    let mut lines = reader.lines();
    let first = lines.next()?.ok()?;
    let mut words = first.split(' ').map(str::to_owned);
    let mut asked = Asked { method: words.next()?, path: words.next()?, range: None, token: None, cdn };
    for line in lines {
        let line = line.ok()?;
        if line.is_empty() {
            return Some(asked);
        }
        let (name, value) = line.split_once(": ")?;
        match name.to_ascii_lowercase().as_str() {
            "range" => asked.range = value.strip_prefix("bytes=")?.split('-').next()?.parse().ok(),
            "authorization" => asked.token = Some(value.to_owned()),
            _ => {}
        }
    }
    None
}
