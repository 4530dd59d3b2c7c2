use super::*;
use crate::tensor::DType;
use proptest::prelude::*;
use std::fs;
use tempfile::TempDir;

/// A safetensors file: the header's length, the header, and `data` bytes.
fn file(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend((0..data).map(|i| i as u8));
    bytes
}

/// A folder with the given files.
fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        fs::write(dir.path().join(name), bytes).unwrap();
    }
    dir
}

fn entry(name: &str, dtype: &str, shape: &str, begin: u64, end: u64) -> String {
    format!(r#""{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{begin},{end}]}}"#)
}

/// Two weights of 6 and 4 elements, and a tensor that is no weight.
fn sound() -> Vec<u8> {
    let entries = [
        r#""__metadata__":{"format":"pt"}"#.to_owned(),
        entry("w", "F32", "[3,2]", 0, 24),
        entry("b", "BF16", "[4]", 24, 32),
        entry("mask", "BOOL", "[2,1]", 32, 34),
        entry("scalar", "F16", "[]", 34, 36),
        entry("none", "F32", "[0,4]", 36, 36),
    ];
    file(&format!("{{{}}}", entries.join(",")), 36)
}

fn said<T: std::fmt::Debug>(result: Result<T>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn tensors_are_read_by_rows() {
    let dir = folder(&[("model.safetensors", &sound())]);
    for path in [dir.path().to_owned(), dir.path().join("model.safetensors")] {
        let checkpoint = Checkpoint::open(path).unwrap();
        assert_eq!(checkpoint.dir(), dir.path());
        assert_eq!(checkpoint.names().collect::<Vec<_>>(), ["b", "mask", "none", "scalar", "w"]);
        assert_eq!(checkpoint.bytes(), 24 + 8 + 2);
        assert_eq!(checkpoint.fact("w").unwrap(), Fact::new(DType::F32, [3, 2]));
        let mut out = vec![7; 100];
        checkpoint.read_rows("w", 1..3, &mut out).unwrap();
        assert_eq!(out, (8..24).collect::<Vec<u8>>());
        checkpoint.read_rows("b", 3..4, &mut out).unwrap();
        assert_eq!(out, [30, 31]);
        checkpoint.read_rows("scalar", 0..1, &mut out).unwrap();
        assert_eq!(out, [34, 35]);
        checkpoint.read_rows("w", 2..2, &mut out).unwrap();
        assert!(out.is_empty());
    }
}

#[test]
fn what_is_no_weight_is_an_error_only_when_asked_for() {
    let dir = folder(&[("model.safetensors", &sound())]);
    let checkpoint = Checkpoint::open(dir.path()).unwrap();
    assert!(checkpoint.contains("mask") && !checkpoint.contains("v"));
    let file = dir.path().join("model.safetensors").display().to_string();
    let tensor = |name: &str, reason: &str| format!("{file}: tensor \"{name}\": {reason}");
    assert_eq!(said(checkpoint.fact("mask")), tensor("mask", "is stored as BOOL, and weights are F32, F16 or BF16"));
    assert_eq!(said(checkpoint.fact("none")), tensor("none", "has no elements: its shape is [0, 4]"));
    assert_eq!(said(checkpoint.fact("v")), tensor("v", "is missing"));
    let mut out = Vec::new();
    let error = said(checkpoint.read_rows("w", 2..4, &mut out));
    assert_eq!(error, tensor("w", "has 3 rows, and rows 2..4 were asked for"));
    #[expect(clippy::reversed_empty_ranges, reason = "it is what must be refused")]
    let reversed = checkpoint.read_rows("w", 2..1, &mut out);
    assert!(matches!(reversed, Err(Error::BadTensor { .. })));
}

/// What is wrong, the file, the tensor that the error must name (if any), and words that it must hold.
type Malformed = (&'static str, Vec<u8>, Option<&'static str>, &'static str);

/// A file of the given entries and so many bytes of data.
fn with(entries: &[String], data: usize) -> Vec<u8> {
    file(&format!("{{{}}}", entries.join(",")), data)
}

fn with_one(dtype: &str, shape: &str, begin: u64, end: u64) -> Vec<u8> {
    with(&[entry("w", dtype, shape, begin, end)], 8)
}

fn malformed_headers() -> Vec<Malformed> {
    let raw = |header: &str| file(header, 0);
    let mut cut_data = sound();
    cut_data.truncate(cut_data.len() - 1);
    let mut cut_header = sound();
    cut_header.truncate(40);
    let mut long_header = b"\x01\x00\x00\x01\x00\x00\x00\x00{}".to_vec();
    long_header.resize(100, b' ');
    let mut not_utf8 = raw(r#"{"w":0}"#);
    not_utf8[10] = 0xff;
    vec![
        ("empty", Vec::new(), None, "has 0 bytes"),
        ("shorter than a length", vec![1, 0, 0], None, "has 3 bytes"),
        ("absurd length", vec![0xff; 16], None, "its header would be 18446744073709551615 bytes long"),
        ("header past the limit", long_header, None, "16777216 are allowed"),
        ("header cut short", cut_header, None, "truncated"),
        ("data cut short", cut_data, Some("scalar"), "truncated"),
        ("trailing bytes", with(&[], 3), None, "its last 3 bytes belong to no tensor"),
        ("empty header", raw(""), None, "does not begin with '{'"),
        ("space before the header", raw(" {}"), None, "does not begin with '{'"),
        ("list as header", raw("[]"), None, "does not begin with '{'"),
        ("header not UTF-8", not_utf8, None, "UTF-8"),
        ("header not JSON", raw("{'w':0}"), None, "malformed"),
        ("two headers", raw("{}{}"), None, "malformed"),
        ("metadata twice", raw(r#"{"__metadata__":{},"__metadata__":{}}"#), None, "twice"),
        ("metadata not strings", raw(r#"{"__metadata__":{"a":1}}"#), None, "malformed"),
        ("Git LFS pointer", b"version https://git-lfs.github.com/spec/v1\n".to_vec(), None, "git lfs pull"),
        ("GGUF", b"GGUF\x03\x00\x00\x00\x00".to_vec(), None, "GGUF"),
    ]
}

fn malformed_entries() -> Vec<Malformed> {
    let raw = |header: &str| file(header, 0);
    let many: Vec<String> = (0..=header::MAX_TENSORS).map(|i| entry(&format!("t{i}"), "F32", "[0]", 0, 0)).collect();
    let axes = format!("[{}1]", "1,".repeat(100_000));
    let deep = format!(r#"{{"w":{}"#, "[".repeat(100_000));
    vec![
        ("NaN", raw(r#"{"w":NaN}"#), Some("w"), "malformed"),
        ("deep JSON", raw(&deep), Some("w"), "malformed"),
        ("entry not an object", raw(r#"{"w":1}"#), Some("w"), "malformed"),
        ("entry without a field", raw(r#"{"w":{"dtype":"F32","shape":[]}}"#), Some("w"), "data_offsets"),
        ("unknown field", raw(r#"{"w":{"dtype":"F32","x":0}}"#), Some("w"), "unknown field"),
        ("field twice", raw(r#"{"w":{"dtype":"F32","dtype":"F32"}}"#), Some("w"), "duplicate field"),
        ("unknown storage", with_one("F33", "[2]", 0, 8), Some("w"), "F33"),
        (
            "tensor twice",
            with(&[entry("w", "F32", "[1]", 0, 4), entry("w", "F32", "[1]", 4, 8)], 8),
            Some("w"),
            "twice",
        ),
        ("negative offset", raw(r#"{"w":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}}"#), Some("w"), "malformed"),
        ("fraction", with_one("F32", "[1.5]", 0, 8), Some("w"), "malformed"),
        ("axis past the limit", with_one("F32", "[0,18446744073709551615]", 0, 0), Some("w"), "longer than"),
        ("too many axes", with_one("F32", &axes, 0, 4), Some("w"), "more than 8 axes"),
        ("too many tensors", with(&many, 0), None, "more than 100000 tensors"),
    ]
}

fn malformed_layouts() -> Vec<Malformed> {
    vec![
        ("no data at all", with_one("F32", "[1000000]", 0, 4_000_000), Some("w"), "truncated"),
        ("size and storage differ", with_one("F16", "[2]", 0, 8), Some("w"), "does not have the 8 bytes"),
        ("size and shape differ", with_one("F32", "[3]", 0, 8), Some("w"), "does not have the 8 bytes"),
        ("half a byte", with_one("F4", "[15]", 0, 8), Some("w"), "does not have the 8 bytes"),
        (
            "size overflows",
            with_one("F32", "[4294967296,4294967296,4294967296]", 0, 8),
            Some("w"),
            "does not have the 8 bytes",
        ),
        (
            "overlap",
            with(&[entry("v", "F32", "[1]", 0, 4), entry("w", "F32", "[1]", 2, 6)], 6),
            Some("w"),
            "overlap those of \"v\"",
        ),
        ("shared", with(&[entry("v", "F32", "[1]", 0, 4), entry("w", "F32", "[1]", 0, 4)], 4), Some("w"), "overlap"),
        (
            "gap",
            with(&[entry("v", "F32", "[1]", 0, 4), entry("w", "F32", "[1]", 6, 10)], 10),
            Some("w"),
            "2 bytes before it",
        ),
        ("gap at the beginning", with_one("F32", "[1]", 4, 8), Some("w"), "4 bytes before it"),
        ("ends before it begins", with_one("F32", "[1]", 4, 0), Some("w"), "before they begin"),
        ("end overflows", with_one("F32", "[1]", 0, u64::MAX), Some("w"), "truncated"),
    ]
}

#[test]
fn malformed_files_are_typed_errors() {
    for (what, bytes, tensor, words) in
        malformed_headers().into_iter().chain(malformed_entries()).chain(malformed_layouts())
    {
        let dir = folder(&[("model.safetensors", &bytes)]);
        let error = Checkpoint::open(dir.path()).err().unwrap_or_else(|| panic!("{what}: accepted"));
        let found = match &error {
            Error::BadFile { .. } => None,
            Error::BadTensor { tensor, .. } => Some(tensor.as_str()),
            other => panic!("{what}: {other}"),
        };
        let message = error.to_string();
        assert_eq!(found, tensor, "{what}: {message}");
        assert!(message.contains("model.safetensors") && message.contains(words), "{what}: {message}");
    }
}

#[test]
fn a_file_cut_short_after_it_was_opened_is_an_error() {
    let dir = folder(&[("model.safetensors", &sound())]);
    let checkpoint = Checkpoint::open(dir.path()).unwrap();
    let length = sound().len() as u64;
    fs::File::options().write(true).open(dir.path().join("model.safetensors")).unwrap().set_len(length - 20).unwrap();
    let error = checkpoint.read_rows("w", 0..3, &mut Vec::new()).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
}

/// Any byte, and often one that leaves the header JSON.
fn changed_byte() -> impl Strategy<Value = u8> {
    prop_oneof![any::<u8>(), b'0'..=b'9', prop::sample::select(b"[]{},:\"-ew ".to_vec())]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// Whatever happens to a file's bytes, opening it and reading all of it ends, and what is accepted the safetensors
    /// crate accepts too.
    #[test]
    fn mutations_never_panic(cut in 0usize..500, changes in prop::collection::vec((0usize..500, changed_byte()), 0..4)) {
        let mut bytes = sound();
        let length = bytes.len();
        for (at, byte) in changes {
            bytes[at % length] = byte;
        }
        bytes.truncate(length - if cut < length { cut } else { 0 });
        let dir = folder(&[("model.safetensors", &bytes)]);
        if let Ok(checkpoint) = Checkpoint::open(dir.path()) {
            prop_assert!(safetensors::SafeTensors::read_metadata(&bytes).is_ok());
            for name in checkpoint.names() {
                if let Ok(fact) = checkpoint.fact(name) {
                    let mut out = Vec::new();
                    let rows = fact.shape.axes().first().copied().unwrap_or(1);
                    checkpoint.read_rows(name, 0..rows, &mut out).unwrap();
                    prop_assert_eq!(out.len(), fact.bytes());
                }
            }
        }
    }
}

/// A sharded checkpoint of the given index and shards, each with its tensors' names.
fn sharded(index: &str, shards: &[(&str, &[&str])]) -> (TempDir, Result<Checkpoint>) {
    let dir = folder(&[("model.safetensors.index.json", index.as_bytes())]);
    for (name, tensors) in shards {
        let entries = tensors.iter().enumerate().map(|(i, t)| entry(t, "F32", "[1]", 4 * i as u64, 4 * i as u64 + 4));
        let entries: Vec<String> = entries.collect();
        fs::write(dir.path().join(name), file(&format!("{{{}}}", entries.join(",")), 4 * tensors.len())).unwrap();
    }
    let opened = Checkpoint::open(dir.path());
    (dir, opened)
}

#[test]
fn shards_are_read_through_the_index() {
    let index =
        r#"{"metadata":{"total_size":12},"weight_map":{"a":"1.safetensors","b":"2.safetensors","c":"1.safetensors"}}"#;
    let (_dir, checkpoint) = sharded(index, &[("1.safetensors", &["a", "c"]), ("2.safetensors", &["b"])]);
    let checkpoint = checkpoint.unwrap();
    assert_eq!((checkpoint.names().count(), checkpoint.bytes()), (3, 12));
    let mut out = Vec::new();
    checkpoint.read_rows("c", 0..1, &mut out).unwrap();
    assert_eq!(out, [4, 5, 6, 7]);
    assert!(said(checkpoint.fact("d")).ends_with("tensor \"d\": is missing"));
}

#[test]
fn malformed_indexes_are_typed_errors() {
    let shards: [(&str, &[&str]); 2] = [("1.safetensors", &["a"]), ("2.safetensors", &["b"])];
    let twice: [(&str, &[&str]); 2] = [("1.safetensors", &["a"]), ("2.safetensors", &["b", "a"])];
    let map = |entries: &str| format!(r#"{{"weight_map":{{{entries}}}}}"#);
    let both = r#""a":"1.safetensors","b":"2.safetensors""#;
    for (index, shards, words) in [
        (map(r#""a":"3.safetensors""#), &shards, "3.safetensors: "),
        (map(&format!("{both},\"c\":\"2.safetensors\"")), &shards, "2.safetensors: tensor \"c\": is not in this file"),
        (map(r#""a":"2.safetensors","b":"1.safetensors""#), &shards, "tensor \"a\": is not in this file"),
        (map(both), &twice, "2.safetensors: tensor \"a\": is in "),
        (map(r#""a":"1.safetensors","a":"2.safetensors""#), &shards, "tensor \"a\" appears twice"),
        (map(r#""a":1"#), &shards, "index.json: "),
        ("{}".to_owned(), &shards, "weight_map"),
        ("[".repeat(100_000), &shards, "index.json: "),
        (map(both).replace("1.s", "\u{0}1.s"), &shards, "index.json: "),
    ] {
        let (_dir, opened) = sharded(&index, shards);
        let error = said(opened);
        assert!(error.contains(words), "{error}\n{index}");
    }
}

#[test]
fn no_index_leads_out_of_its_folder() {
    for name in [
        "../1.safetensors",
        "/1.safetensors",
        "x/../1.safetensors",
        "x/1.safetensors",
        "./1.safetensors",
        "..",
        ".",
        "",
        "..\\1.safetensors",
        "C:1.safetensors",
        "1.bin",
        "1.safetensors/",
        "1\u{0}.safetensors",
    ] {
        let index = serde_json::json!({"weight_map": {"a": name}}).to_string();
        let (_dir, opened) = sharded(&index, &[("1.safetensors", &["a"])]);
        let error = said(opened);
        assert!(
            error.contains("tensor \"a\": its shard") && error.contains(".safetensors file in the same folder"),
            "{error}"
        );
    }
}

#[test]
fn what_is_no_checkpoint_is_explained() {
    let none = tempfile::tempdir().unwrap();
    assert!(said(Checkpoint::open(none.path())).contains("holds neither model.safetensors nor"));
    assert!(matches!(Checkpoint::open(none.path().join("absent")), Err(Error::Io { .. })));
    let other = folder(&[("pytorch_model.bin", b"x")]);
    assert!(said(Checkpoint::open(other.path())).contains("pytorch_model.bin is in a format"));
    let named = folder(&[("weights.safetensors", &sound())]);
    assert!(said(Checkpoint::open(named.path())).contains("to read weights.safetensors alone, name that file"));
    assert!(Checkpoint::open(named.path().join("weights.safetensors")).is_ok());
    fs::create_dir(none.path().join("model.safetensors")).unwrap();
    assert!(said(Checkpoint::open(none.path())).contains("model.safetensors: is a folder"));
}

#[test]
fn settings_are_read_from_the_folder_of_a_file_too() {
    let dir = folder(&[("model.safetensors", &sound())]);
    let checkpoint = Checkpoint::open(dir.path().join("model.safetensors")).unwrap();
    assert!(matches!(checkpoint.config(), Err(Error::Io { .. })));
    assert_eq!(checkpoint.generation().unwrap(), Generation::default());
    fs::write(dir.path().join("config.json"), r#"{"hidden_size": 8, "eos_token_id": 2}"#).unwrap();
    assert_eq!(checkpoint.config().unwrap().usize("hidden_size").unwrap(), 8);
    assert_eq!(checkpoint.generation().unwrap().eos, [2]);
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(4 << 20));
    fs::write(dir.path().join("config.json"), long).unwrap();
    assert!(said(checkpoint.config()).contains("may have 4194304 at most"));
    fs::write(dir.path().join("config.json"), b"{\"a\":\"\xff\"}").unwrap();
    assert!(said(checkpoint.config()).contains("not UTF-8 text: the byte at 6"));
}

#[cfg(unix)]
#[test]
fn links_and_pipes_are_told_from_files() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let dir = folder(&[("blob", &sound())]);
    let weights = dir.path().join("model.safetensors");
    symlink("blob", &weights).unwrap();
    assert!(Checkpoint::open(dir.path()).is_ok(), "Hugging Face's cache is made of links");
    for target in ["model.safetensors", "gone"] {
        fs::remove_file(&weights).unwrap();
        symlink(target, &weights).unwrap();
        let error = Checkpoint::open(dir.path()).unwrap_err();
        assert!(matches!(error, Error::Io { .. }) && error.to_string().contains("model.safetensors"), "{error}");
    }
    assert!(said(Checkpoint::open("/dev/zero")).contains("neither a file nor a folder"));
    fs::remove_file(&weights).unwrap();
    fs::write(&weights, sound()).unwrap();
    fs::set_permissions(&weights, fs::Permissions::from_mode(0o000)).unwrap();
    // Root reads whatever the permissions are.
    if fs::File::open(&weights).is_err() {
        assert!(matches!(Checkpoint::open(dir.path()), Err(Error::Io { .. })));
    }
}
