//! The model that is compiled in, as a test of a whole adapter: every kernel that a Llama needs, one after the other.

use super::{Golden, ModelFinding, model_check};
use crate::checkpoint::Checkpoint;
use crate::engine::{Engine, EngineOptions};
use crate::gpu::Gpu;
use crate::kernels::KvFormat;
use crate::{Error, Result, STORYTELLER, files};
use serde::Deserialize;
use std::path::Path;

/// The largest difference of a logit that is allowed, by the logits' deviation: sums of 32-bit numbers in another order.
const ALLOWED: f64 = 1e-4;

/// Bytes that `expected.json` may have.
const MAX_EXPECTED: u64 = 1 << 20;

/// The part of `expected.json` that is used.
#[derive(Deserialize)]
struct Expected {
    tokens: Vec<u32>,
    stories: Vec<Story>,
}

#[derive(Deserialize)]
struct Story {
    prompt: Vec<u32>,
    greedy: Vec<u32>,
}

/// Holds the storyteller on `gpu` to what transformers computes with its weights: the logits of a text, and a story. That
/// it cannot be loaded or run there is a finding too.
///
/// # Errors
/// [`Error::BadFile`] and [`Error::BadTensor`] where what is compiled in is damaged.
pub async fn storyteller(gpu: &Gpu) -> Result<ModelFinding> {
    let folder = Path::new(STORYTELLER);
    let path = folder.join("expected.json");
    let expected: Expected = serde_json::from_str(&files::read_text(&path, MAX_EXPECTED)?)
        .map_err(|error| Error::bad_file(&path, error.to_string()))?;
    let story = expected.stories.first().ok_or_else(|| Error::bad_file(&path, "holds no story"))?;
    let stored = Checkpoint::open(folder.join("expected.safetensors"))?;
    let mut bytes = Vec::new();
    stored.read_rows("logits", 0..stored.fact("logits")?.shape.rows(), &mut bytes)?;
    let logits: Vec<f32> = bytemuck::pod_collect_to_vec(&bytes);
    let golden = Golden {
        name: "storyteller",
        tokens: &expected.tokens,
        logits: &logits,
        allowed: ALLOWED,
        prompt: &story.prompt,
        greedy: &story.greedy,
    };
    let options = EngineOptions { kv: KvFormat::F32, ..EngineOptions::default() };
    let checked = match Engine::open(folder, gpu.clone(), options, &mut |_, _| ()).await {
        Ok(mut engine) => model_check(&mut engine, golden).await,
        Err(error) => Err(error),
    };
    Ok(checked.unwrap_or_else(|error| ModelFinding::failed(&golden, &error)))
}
