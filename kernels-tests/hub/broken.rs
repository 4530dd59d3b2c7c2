//! A hub that refuses, spoils and cuts what it sends, and processes that are killed while it sends.

use super::*;
use crate::command::quernel;
use crate::server::Asked;
use quernel::Error;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// A fate for requests whose path holds `part`, as long as `times` lasts.
fn on(part: &'static str, times: usize, fate: Fate) -> impl FnMut(&Asked) -> Fate + Send {
    let mut left = times;
    move |asked| {
        if left == 0 || !asked.path.contains(part) {
            return Fate::Fine;
        }
        left -= 1;
        fate.clone()
    }
}

/// What a pull from a hub that does so says, and how often it was asked.
fn said(decide: impl FnMut(&Asked) -> Fate + Send + 'static) -> (String, Error, usize) {
    let server = Server::new(files(), Duration::ZERO, decide);
    let (cache, hub) = hub(&server);
    let error = pull(&hub).unwrap_err();
    expect_sound(cache.path());
    assert!(!root(cache.path()).join("refs/main").exists());
    (error.to_string(), error, server.asked().len())
}

#[test]
fn a_refusal_says_who_can_act_and_is_not_asked_again() {
    for status in [401, 403] {
        let (said, error, asked) =
            said(on("/api/", 9, Fate::Status(status, "X-Error-Message: Access is restricted\r\n")));
        assert!(matches!(error, Error::HubRefused { status: found, .. } if found == status), "{said}");
        assert!(said.contains("HF_TOKEN") && said.contains("licence") && said.contains("restricted"), "{said}");
        assert_eq!(asked, 1);
    }
    let gated = said(on("tokenizer.json", 9, Fate::Status(403, "X-Error-Code: GatedRepo\r\n")));
    assert!(matches!(gated.1, Error::HubRefused { .. }), "{}", gated.0);
    let lost = said(on("/tokenizer.json", 9, Fate::Status(404, "X-Error-Code: EntryNotFound\r\n")));
    assert!(matches!(lost.1, Error::HubNotFound { .. }) && lost.0.contains("file tokenizer.json in"), "{}", lost.0);
    let odd = said(on("/api/", 9, Fate::Status(418, "")));
    assert!(matches!(odd.1, Error::HubReply { .. }) && odd.0.contains("418") && odd.2 == 1, "{}", odd.0);
}

#[test]
fn what_is_not_there_is_named() {
    let server = Server::new(files(), Duration::ZERO, |_| Fate::Fine);
    let (_cache, hub) = hub(&server);
    for (spec, what) in [("mill/sand", "model mill/sand"), ("mill/stone@v2", "revision v2 of mill/stone")] {
        let error = hub.pull(&spec.parse().unwrap(), &mut |_| {}).unwrap_err();
        assert!(matches!(&error, Error::HubNotFound { what: found, .. } if found == what), "{error}");
    }
}

#[test]
fn passing_failures_are_waited_for_and_lasting_ones_given_up() {
    for status in [429, 500, 502, 503] {
        for part in ["/api/", "/config.json", "/cdn/"] {
            let server = Server::new(files(), Duration::ZERO, on(part, 3, Fate::Status(status, "")));
            let (cache, hub) = hub(&server);
            pull(&hub).unwrap();
            expect_whole(cache.path());
        }
    }
    let (said, error, asked) = said(on("/api/", 99, Fate::Status(503, "")));
    assert!(matches!(error, Error::Network { .. }) && said.contains("503") && asked == 5, "{asked} {said}");
}

#[test]
fn a_server_that_asks_for_a_pause_gets_it() {
    let server = Server::new(files(), Duration::ZERO, on("/cdn/", 2, Fate::Status(429, "Retry-After: 1\r\n")));
    let (cache, hub) = hub(&server);
    let begin = Instant::now();
    pull(&hub).unwrap();
    expect_whole(cache.path());
    assert!(begin.elapsed() >= Duration::from_secs(2), "{:?}", begin.elapsed());
    let (said, _, asked) = said(on("/cdn/", 9, Fate::Status(429, "Retry-After: 86400\r\n")));
    assert!(said.contains("86400 s") && !said.contains("secret"), "{said}");
    assert!(asked < 20);
}

#[test]
fn a_connection_that_falls_silent_is_taken_for_lost() {
    for part in ["/cdn/", "/api/"] {
        let server = Server::new(files(), Duration::ZERO, on(part, 2, Fate::Silent(100)));
        let cache = tempfile::tempdir().unwrap();
        let patience = Settings { silence: Duration::from_millis(300), ..settings(&server.endpoint(), cache.path()) };
        pull(&Hub::new(patience)).unwrap();
        expect_whole(cache.path());
    }
}

#[test]
fn a_hub_that_is_not_there() {
    let cache = tempfile::tempdir().unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = pull(&Hub::new(settings(&format!("http://{free}"), cache.path()))).unwrap_err();
    assert!(matches!(error, Error::Network { .. }) && error.to_string().contains("5 times"), "{error}");
}

#[test]
fn replies_that_cannot_be_trusted() {
    let (said, error, _) = said(on("/cdn/", 99, Fate::Spoiled));
    assert!(matches!(error, Error::BadFile { .. }) && said.contains("checksum"), "{said}");
    let small = self::said(on("/resolve/", 99, Fate::Spoiled));
    assert!(matches!(small.1, Error::BadFile { .. }), "{}", small.0);
    let around = self::said(on("/config.json", 99, Fate::Status(302, "Location: /config.json\r\n")));
    assert!(around.0.contains("redirects more than"), "{}", around.0);
    let nowhere = self::said(on("/config.json", 99, Fate::Status(302, "Location: file:///etc/passwd\r\n")));
    assert!(nowhere.0.contains("redirects to no address"), "{}", nowhere.0);
    let path = self::said(on("/config.json", 1, Fate::Status(200, "ETag: \"../../evil\"\r\n")));
    assert!(matches!(path.1, Error::HubReply { .. }) && path.0.contains("checksum"), "{}", path.0);
    let sizes = "X-Linked-Etag: \"e\"\r\nX-Linked-Size: 18446744073709551615\r\n";
    let large = self::said(on("/model-0", 99, Fate::Status(200, sizes)));
    assert!(matches!(large.1, Error::DoesNotFit { .. }) && large.0.contains("quernel rm"), "{}", large.0);
    let json = self::said(on("/api/", 1, Fate::Status(200, "")));
    assert!(matches!(json.1, Error::HubReply { .. }) && json.0.contains("list of files"), "{}", json.0);
}

#[test]
fn a_start_that_belongs_to_another_file_is_thrown_away() {
    let server = Server::new(files(), Duration::ZERO, |_| Fate::Fine);
    let (cache, hub) = hub(&server);
    let blobs = root(cache.path()).join("blobs");
    fs::create_dir_all(&blobs).unwrap();
    let needed = needed();
    let shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    for (name, junk) in shards.iter().zip([1_000, 200_002]) {
        fs::write(blobs.join(format!("{}.incomplete", sha256(&needed[*name]))), vec![0; junk]).unwrap();
    }
    pull(&hub).unwrap();
    expect_whole(cache.path());
    let from = |name: &str| -> Vec<_> {
        server.asked().iter().filter(|asked| asked.cdn && asked.path.contains(name)).map(|asked| asked.range).collect()
    };
    assert_eq!((from(shards[0]), from(shards[1])), (vec![Some(1_000), None], vec![None]));
}

#[test]
fn cut_connections_are_taken_up_where_they_ended() {
    let cuts = count("QUERNEL_HUB_CUTS", 10);
    let done = Arc::new(AtomicUsize::new(0));
    for round in 0.. {
        let (counted, mut dice) = (done.clone(), Dice(round));
        let server = Server::new(files(), Duration::ZERO, move |asked| {
            let often = if asked.cdn { 10 } else { 3 };
            if counted.load(Ordering::Relaxed) >= cuts || dice.below(10) >= often {
                return Fate::Fine;
            }
            counted.fetch_add(1, Ordering::Relaxed);
            // Within the body of a large file, and anywhere in the others.
            let bytes = dice.below(60_000);
            Fate::Cut(if asked.cdn { Some(bytes + 1) } else { Some(bytes % 20).filter(|bytes| *bytes > 9) })
        });
        let (cache, hub) = hub(&server);
        pull(&hub).unwrap();
        expect_whole(cache.path());
        let asked = server.asked();
        let sent = |asked: &&Asked| asked.cdn && asked.range.is_some();
        assert!(asked.iter().any(|asked| sent(&asked)), "nothing was taken up");
        if done.load(Ordering::Relaxed) >= cuts {
            println!("{} connections cut, {} models fetched", done.load(Ordering::Relaxed), round + 1);
            return;
        }
    }
}

#[test]
fn killed_processes_leave_a_sound_cache_and_the_next_one_finishes() {
    let (kills, mut killed, mut finished) = (count("QUERNEL_HUB_KILLS", 20), 0, 0);
    let mut dice = Dice(3);
    let server = Server::new(files(), Duration::from_millis(2), |_| Fate::Fine);
    let mut cache = tempfile::tempdir().unwrap();
    while killed < kills {
        let mut child = spawn(&server, cache.path());
        std::thread::sleep(Duration::from_millis(dice.below(180) as u64));
        if child.try_wait().unwrap().is_none() {
            child.kill().unwrap();
            killed += 1;
        }
        child.wait().unwrap();
        expect_sound(cache.path());
        if root(cache.path()).join("refs/main").exists() {
            finished += 1;
            cache = tempfile::tempdir().unwrap();
        }
    }
    let output = spawn(&server, cache.path()).wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    expect_whole(cache.path());
    println!("{killed} processes killed, {} models fetched", finished + 1);
}

#[test]
fn two_processes_fetch_each_file_once() {
    for _ in 0..3 {
        let server = Server::new(files(), Duration::from_millis(1), |_| Fate::Fine);
        let cache = tempfile::tempdir().unwrap();
        let children = [(); 2].map(|()| spawn(&server, cache.path()));
        for child in children {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        expect_whole(cache.path());
        let asked: Vec<_> = server.asked().into_iter().filter(|asked| asked.method == "GET").collect();
        // Both ask for the list, and a large file is not where it is asked for.
        let file = |asked: &&Asked| asked.cdn || !(asked.path.starts_with("/api/") || is_large(&asked.path));
        let mut paths: Vec<_> = asked.iter().filter(file).map(|asked| &asked.path).collect();
        paths.sort();
        let all = paths.len();
        paths.dedup();
        assert_eq!((all, paths.len()), (needed().len(), needed().len()), "{paths:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_disk_that_is_full_leaves_a_sound_cache() {
    let server = Server::new(files(), Duration::ZERO, |_| Fate::Fine);
    let cache = tempfile::tempdir().unwrap();
    for blocks in [1, 100, 500] {
        // A file that may not grow any more is what a program sees of it.
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" pull {REPO}");
        let mut command = Command::new("sh");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_quernel")]).env("HF_ENDPOINT", server.endpoint());
        let output = command.env("HF_HUB_CACHE", cache.path()).env_remove("HF_HUB_OFFLINE").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && said.contains(".incomplete: "), "{said}");
        expect_sound(cache.path());
    }
    let output = spawn(&server, cache.path()).wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    expect_whole(cache.path());
}

fn spawn(server: &Server, cache: &Path) -> Child {
    let mut command: Command = quernel(["pull", REPO]);
    command.env("HF_ENDPOINT", server.endpoint()).env("HF_HUB_CACHE", cache);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}
