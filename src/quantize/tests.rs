//! What a quantized checkpoint holds, and that it is there whole or not at all.

use super::*;
use crate::quant::recode;
use std::fs;
use std::path::PathBuf;

fn golden(name: &str) -> Checkpoint {
    Checkpoint::open(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("assets/golden").join(name)).unwrap()
}

const GOLDEN: [&str; 8] = ["gpt2", "llama", "llama-3", "llama-bias", "llama-yarn", "mistral", "qwen2", "qwen3"];

/// The bytes of every weight that the model asks for.
fn weights(checkpoint: &Checkpoint, width: Option<DType>) -> BTreeMap<String, (Fact, Vec<u8>)> {
    let model = Model::open(&checkpoint.config().unwrap(), checkpoint).unwrap();
    let step = StepShape { tokens: 1, outputs: 1, sequences: 1, table_pitch: 1 };
    let graph = model.graph(step, 1, Outputs::Logits, checkpoint, width).unwrap();
    let mut reader = Reader::new(checkpoint);
    let read = |weight: Weight| {
        let mut bytes = Vec::new();
        let rows = weight.fact.shape.rows();
        reader.rows(&weight, 0..rows, &mut bytes).unwrap();
        (weight.name, (weight.fact, bytes))
    };
    graph.weights.into_iter().map(read).collect()
}

#[test]
fn weights_are_byte_for_byte_those_of_quantizing_at_load() {
    for name in GOLDEN {
        let checkpoint = golden(name);
        for format in [DType::Q8, DType::Q4, DType::Q4A] {
            let dir = tempfile::tempdir().unwrap();
            let quantized = Quantized::new(&checkpoint, format).unwrap();
            let mut told = (0, 0);
            quantized.write(dir.path().join("new/folder"), &mut |done, total| told = (done, total)).unwrap();
            assert_eq!(told, (quantized.bytes(), quantized.bytes()));
            let narrow = Checkpoint::open(dir.path().join("new/folder")).unwrap();
            assert_eq!(weights(&narrow, None), weights(&checkpoint, Some(format)), "{name} {format}");
            // To ask for what it has changes nothing; to ask for another format gives that, of the numbers it has.
            assert_eq!(weights(&narrow, Some(format)), weights(&narrow, None), "{name} {format}");
            for (weight, (fact, bytes)) in weights(&narrow, Some(DType::F32)) {
                let (had, groups) = &weights(&narrow, None)[&weight];
                if had.dtype.is_grouped() {
                    assert_eq!(
                        bytes,
                        recode(had.dtype, DType::F32, groups, had.shape.columns()),
                        "{name} {weight} {fact}"
                    );
                }
            }
            assert!(narrow.names().eq(checkpoint.names()));
        }
    }
}

#[test]
fn other_readers_of_safetensors_take_it() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoint = golden("gpt2");
    Quantized::new(&checkpoint, DType::Q8).unwrap().write(dir.path(), &mut |_, _| ()).unwrap();
    let bytes = fs::read(dir.path().join("model.safetensors")).unwrap();
    let (_, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut names = tensors.names();
    names.sort_unstable();
    assert!(names.into_iter().eq(checkpoint.names()));
    let strings = metadata.metadata().as_ref().unwrap();
    assert_eq!((strings["format"].as_str(), strings["quernel.version"].as_str()), ("pt", "1"));
    for name in checkpoint.names() {
        let (before, after) = (checkpoint.stored(name).unwrap(), tensors.tensor(name).unwrap());
        if let Some(format) = strings.get(&format!("quernel.tensor.{name}")) {
            let columns: usize = format.strip_prefix("q8 ").unwrap().parse().unwrap();
            assert_eq!((after.dtype(), after.shape()[1]), (Dtype::U8, DType::Q8.row_bytes(columns)));
        } else if before == Stored::plain(after.dtype(), after.shape().to_vec()) {
            let mut bytes = Vec::new();
            checkpoint.read_bytes(name, 0..before.bytes().unwrap(), &mut bytes).unwrap();
            assert!(bytes == after.data(), "{name}");
        } else {
            assert_eq!((after.dtype(), after.shape()), (Dtype::F16, checkpoint.fact(name).unwrap().shape.axes()));
        }
    }
}

#[test]
fn settings_and_tokenizer_come_along() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoint = golden("llama");
    Quantized::new(&checkpoint, DType::Q4).unwrap().write(dir.path(), &mut |_, _| ()).unwrap();
    let mut found: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    found.sort();
    assert!(found.iter().any(|name| name == "tokenizer.json") && found.iter().any(|name| name == "config.json"));
    assert!(found.iter().all(|name| !name.to_string_lossy().ends_with(".part")), "{found:?}");
    for name in found.iter().filter(|name| *name != "model.safetensors") {
        let read = |dir: &Path| fs::read(dir.join(name)).unwrap();
        assert_eq!(read(dir.path()), read(checkpoint.dir()), "{name:?}");
    }
}

#[test]
fn a_folder_that_holds_something_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("mine"), "x").unwrap();
    let checkpoint = golden("llama");
    let quantized = Quantized::new(&checkpoint, DType::Q4).unwrap();
    let error = quantized.write(dir.path(), &mut |_, _| ()).unwrap_err();
    assert!(matches!(error, Error::BadFile { .. }) && error.to_string().contains("is not empty"), "{error}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    assert!(matches!(quantized.write(dir.path().join("mine"), &mut |_, _| ()), Err(Error::Io { .. })));
}

/// What an interrupted run left makes room; what another is at, or what is somebody's, stays.
#[test]
fn a_folder_that_is_being_filled_has_one_owner() {
    let (checkpoint, dir) = (golden("llama"), tempfile::tempdir().unwrap());
    let quantized = Quantized::new(&checkpoint, DType::Q4).unwrap();
    let lock = dir.path().join(".quernel-quantize");
    let leave = |name: &str| fs::write(dir.path().join(name), "left").unwrap();
    [".quernel-quantize", "config.json", "vocab.json", "model.safetensors.part"].into_iter().for_each(leave);
    let held = fs::File::open(&lock).unwrap();
    held.lock().unwrap();
    let busy = quantized.write(dir.path(), &mut |_, _| ()).unwrap_err().to_string();
    assert!(busy.contains("being filled by another"), "{busy}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 4);
    drop(held);
    leave("mine");
    let mine = quantized.write(dir.path(), &mut |_, _| ()).unwrap_err().to_string();
    assert!(mine.contains("is not empty") && dir.path().join("vocab.json").exists(), "{mine}");
    fs::remove_file(dir.path().join("mine")).unwrap();
    quantized.write(dir.path(), &mut |_, _| ()).unwrap();
    let mut found: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    found.sort();
    assert!(!found.iter().any(|name| name == "vocab.json" || name == ".quernel-quantize"), "{found:?}");
    assert!(Checkpoint::open(dir.path()).is_ok());
}

#[test]
fn named_templates_go_along_and_what_is_no_file_does_not() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        fs::copy(golden("llama").dir().join(name), dir.path().join(name)).unwrap();
    }
    fs::create_dir(dir.path().join("tokenizer")).unwrap();
    fs::create_dir(dir.path().join("additional_chat_templates")).unwrap();
    fs::write(dir.path().join("additional_chat_templates/rag.jinja"), "{{ messages }}").unwrap();
    let checkpoint = Checkpoint::open(dir.path()).unwrap();
    let new = dir.path().join("new");
    Quantized::new(&checkpoint, DType::Q4).unwrap().write(&new, &mut |_, _| ()).unwrap();
    assert_eq!(fs::read_to_string(new.join("additional_chat_templates/rag.jinja")).unwrap(), "{{ messages }}");
    assert!(new.join("tokenizer.json").exists() && !new.join("tokenizer").exists());
}

#[test]
fn what_cannot_be_finished_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        fs::copy(golden("llama").dir().join(name), dir.path().join(name)).unwrap();
    }
    let checkpoint = Checkpoint::open(dir.path()).unwrap();
    let quantized = Quantized::new(&checkpoint, DType::Q4).unwrap();
    let weights = fs::File::options().write(true).open(dir.path().join("model.safetensors")).unwrap();
    weights.set_len(2000).unwrap();
    let new = dir.path().join("new");
    assert!(matches!(quantized.write(&new, &mut |_, _| ()), Err(Error::Io { .. })));
    assert!(!new.exists());
    assert!(checkpoint.contains("model.norm.weight"));
}

#[test]
fn the_choice_names_formats_and_reasons() {
    let said = |name: &str, format| Quantized::new(&golden(name), format).unwrap().formats().to_string();
    assert_eq!(said("qwen3", DType::Q4), "q4 3 matrices, f16 20 (rows that are no whole groups of 32)");
    assert_eq!(said("qwen2", DType::Q8), "q8 15 matrices");
    let tables = "q4 14 matrices, q8 1 (embeddings and head)";
    assert_eq!(said("qwen2", DType::Q4), tables);
}
