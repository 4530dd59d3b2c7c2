//! Reports as text, held to llama-bench's; and a shape of random numbers, held to its definition on the GPU.

use super::*;
use crate::engine::{Engine, EngineOptions};
use crate::gpu::{AdapterInfo, Choice, Gpu, Limits};
use crate::graph::{Plan, StepShape};
use crate::kernels::Policy;
use crate::model::{Model, Outputs};
use crate::tensor::DType;
use std::time::Duration;

fn setting(roofline: Option<Roofline>) -> Setting {
    let limits = Limits {
        max_binding: 0,
        max_uniform_binding: 0,
        max_buffer: 0,
        max_storage_buffers: 0,
        max_workgroup_threads: 0,
        max_workgroup_memory: 0,
        max_workgroups: 0,
        storage_alignment: 0,
        uniform_alignment: 0,
    };
    let adapter = AdapterInfo {
        index: 0,
        name: "A \"GPU\"".to_owned(),
        backend: "vulkan",
        driver: "driver".to_owned(),
        driver_info: "1.2".to_owned(),
        kind: "discrete",
        pci: String::new(),
        vendor: 0x10de,
        device: 7,
        memory: None,
        f16: false,
        subgroup: None,
        int8_dot: None,
        matrices: Vec::new(),
        limits,
        unusable: None,
        score: 1,
    };
    Setting {
        commit: "abc1234".to_owned(),
        cpu: "it's a CPU".to_owned(),
        adapter,
        model_file: "models/llama".to_owned(),
        model_name: "llama".to_owned(),
        weights: "f16".to_owned(),
        kv: "f32".to_owned(),
        activations: "f32".to_owned(),
        model_bytes: 3 << 29,
        parameters: 805_306_368,
        batch: 2048,
        ubatch: 512,
        roofline,
        tested: None,
    }
}

fn limits() -> Roofline {
    Roofline {
        read_gbps: 100.0,
        copy_gbps: 90.0,
        f32_tflops: 10.0,
        f16_tflops: None,
        int8_tops: 5.0,
        matrices: vec![MatrixPeak { shape: "16x16 f16".to_owned(), tflops: 40.0 }],
        dependent_dispatch_us: 2.0,
        independent_dispatch_us: 1.0,
        encode_us: 0.5,
        latency_us: 30.0,
    }
}

/// Two runs of 128 tokens, in one second and in two.
fn measured() -> Measured {
    let sample = |seconds: u64| Sample {
        whole: Duration::from_secs(seconds),
        first: Duration::from_millis(10),
        steps: vec![Duration::from_millis(5), Duration::from_millis(7)],
        step_tokens: 1,
    };
    let test = Test { prompt: 0, generated: 128, depth: 512 };
    Measured { test, samples: vec![sample(1), sample(2)], gpu_bytes: 1 << 31 }
}

fn record(roofline: Option<Roofline>) -> Record {
    let cost = Cost { bytes: 1.2e10, flops: 1.5e13 };
    setting(roofline).record(&measured(), cost, "2026-11-25T00:00:00Z")
}

fn text(format: Format, shown: Vec<&'static str>, roofline: Option<Roofline>) -> String {
    let mut report = Report::new(format, shown, roofline.is_some());
    let record = record(roofline);
    let texts = [report.record(&record).unwrap(), report.record(&record).unwrap(), report.end("abc1234")];
    texts.concat()
}

/// llama-bench's fields in its order, as of `load_mode`.
const THEIRS: &str = "build_commit build_number cpu_info gpu_info backends model_filename model_type model_size \
     model_n_params n_batch n_ubatch n_threads cpu_mask cpu_strict poll type_k type_v n_gpu_layers n_cpu_moe split_mode \
     main_gpu no_kv_offload flash_attn devices tensor_split tensor_buft_overrides load_mode embeddings no_op_offload \
     no_host fit_target fit_min_ctx n_prompt n_gen n_depth test_time avg_ns stddev_ns avg_ts stddev_ts";

const OURS: &str = "engine test adapter_name vendor_id device_id driver wgpu_backend weights kv activations step_tokens \
     ttft_ms itl_p50_ms itl_p95_ms itl_p99_ms peak_gpu_bytes bytes_per_token gbps tflops share_of_ceiling roofline_read_gbps \
     roofline_copy_gbps roofline_f32_tflops roofline_f16_tflops roofline_int8_tops roofline_matrix_tflops \
     roofline_dependent_dispatch_us roofline_independent_dispatch_us roofline_encode_us roofline_latency_us \
     selftest selftest_date selftest_worst selftest_refused selftest_certificate";

#[test]
fn fields_are_llama_benchs_in_its_order_and_then_ours() {
    let record = record(Some(limits()));
    let names: Vec<&str> = record.fields().map(|(name, _)| name).collect();
    let expected: Vec<&str> =
        THEIRS.split_whitespace().chain(["samples_ns", "samples_ts"]).chain(OURS.split_whitespace()).collect();
    assert_eq!(names, expected);
    // The text keeps the order that the record has.
    let line = text(Format::Jsonl, vec![], None);
    let places: Vec<_> = expected.iter().map(|name| line.find(&format!("\"{name}\":")).unwrap()).collect();
    assert!(places.is_sorted());
}

#[test]
fn what_was_measured_becomes_rates_and_shares() {
    let record = record(Some(limits()));
    let real = |name| match record.get(name) {
        Some(Field::Real(Some(number))) => *number,
        other => panic!("{name} is {other:?}"),
    };
    assert_eq!(record.get("avg_ns"), Some(&Field::Integer(1_500_000_000)));
    assert_eq!((real("avg_ts"), real("ttft_ms"), real("itl_p50_ms")), (96.0, 10.0, 6.0));
    assert!((real("stddev_ts") - 32.0 * 2f64.sqrt()).abs() < 1e-9);
    assert_eq!(real("bytes_per_token"), 1.2e10 / 128.0);
    assert!((real("gbps") - 8.0).abs() < 1e-9 && (real("tflops") - 10.0).abs() < 1e-9);
    // 15 TFLOP at 40 a second take longer than 12 GB at 100 a second: a quarter of the time that it took.
    assert!((real("share_of_ceiling") - 0.25).abs() < 1e-9);
    assert_eq!(record.get("roofline_f16_tflops"), Some(&Field::Real(None)));
    assert_eq!(self::record(None).get("share_of_ceiling"), Some(&Field::Real(None)));
}

#[test]
fn markdown_has_llama_benchs_columns() {
    let expected = "\
| model                          |       size |     params | backend    | ngl | n_ubatch |            test |                  t/s |     GB/s |  TFLOP/s |
| ------------------------------ | ---------: | ---------: | ---------- | --: | -------: | --------------: | -------------------: | -------: | -------: |
| llama f16                      |   1.50 GiB |   805.31 M | Vulkan     |  99 |      512 |    tg128 @ d512 |        96.00 ± 45.25 |     8.00 |   10.000 |
| llama f16                      |   1.50 GiB |   805.31 M | Vulkan     |  99 |      512 |    tg128 @ d512 |        96.00 ± 45.25 |     8.00 |   10.000 |

build: abc1234 (quernel 0.1.0)
";
    assert_eq!(text(Format::Md, vec!["n_ubatch"], None), expected.replace("0.1.0", env!("CARGO_PKG_VERSION")));
    let with_limits = text(Format::Md, vec![], Some(limits()));
    assert!(with_limits.lines().next().unwrap().ends_with("|  TFLOP/s | of ceiling |"), "{with_limits}");
    assert!(with_limits.contains("|   10.000 |     25.0 % |\n"), "{with_limits}");
}

#[test]
fn tables_quote_every_value() {
    let csv = text(Format::Csv, vec![], None);
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), 3);
    let names: Vec<&str> = THEIRS.split_whitespace().chain(OURS.split_whitespace()).collect();
    assert_eq!(lines[0], names.join(","));
    let begin =
        "\"abc1234\",\"0\",\"it's a CPU\",\"A \"\"GPU\"\"\",\"Vulkan\",\"models/llama\",\"llama f16\",\"1610612736\",";
    assert!(lines[1].starts_with(begin), "{}", lines[1]);
    assert!(lines[1].contains(",\"0\",\"128\",\"512\",\"2026-11-25T00:00:00Z\",\"1500000000\",\"707106781\",\"96\","));
    assert!(lines[1].ends_with(",\"\",\"\",\"none\",\"none\",\"\",\"none\",\"none\""), "{}", lines[1]);
    assert_eq!(lines[1], lines[2]);

    let sql = text(Format::Sql, vec![], None);
    let head =
        "CREATE TABLE IF NOT EXISTS llama_bench (\n  build_commit TEXT,\n  build_number INTEGER,\n  cpu_info TEXT,\n";
    assert!(sql.starts_with(head), "{sql}");
    assert!(sql.contains("  avg_ts REAL,\n  stddev_ts REAL,\n  engine TEXT,\n"), "{sql}");
    assert!(sql.contains("  selftest_certificate TEXT\n);\n\nINSERT INTO llama_bench (build_commit, build_number, "));
    assert!(sql.contains(") VALUES ('abc1234', '0', 'it''s a CPU', 'A \"GPU\"', 'Vulkan', "), "{sql}");
    assert_eq!(sql.matches("NULL, 'none', 'none', NULL, 'none', 'none');\n").count(), 2);
}

#[test]
fn json_is_one_list_and_jsonl_a_line_each() {
    let json: serde_json::Value = serde_json::from_str(&text(Format::Json, vec![], None)).unwrap();
    let lines = text(Format::Jsonl, vec![], None);
    let lines: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(json.as_array().unwrap(), &lines);
    assert_eq!(lines[0]["samples_ns"], serde_json::json!([1_000_000_000, 2_000_000_000]));
    assert_eq!(lines[0]["samples_ts"], serde_json::json!([128.0, 64.0]));
    assert_eq!(lines[0]["flash_attn"], serde_json::json!(true));
    let empty = Report::new(Format::Json, vec![], false).end("");
    assert!(serde_json::from_str::<Vec<u8>>(&empty).unwrap().is_empty());
}

/// Numbers made on the device are those that the reference reads, in every width; and a test computes what it says.
#[test]
fn a_shape_runs_as_defined() {
    let gpu =
        pollster::block_on(Gpu::open(&Choice::default())).expect("this test needs a GPU driver; see scripts/drivers");
    let config = Shape::named("tiny").unwrap().config().unwrap();
    for dtype in [None, Some(DType::F32), Some(DType::F16)] {
        let tensors = Box::new(Synthetic::new(&config, 7).unwrap());
        let options = EngineOptions { context: Some(64), batch: 8, dtype, check: true, ..EngineOptions::default() };
        let mut progress = |_, _| ();
        let engine = Engine::from_tensors(&config, tensors, gpu.clone(), options, &mut progress);
        let mut engine = pollster::block_on(engine).unwrap();
        assert!(engine.tokenizer().is_err(), "a shape has no words");
        let protocol = Protocol { repetitions: 2, warmup: false, delay: Duration::ZERO };
        let test = Test { prompt: 11, generated: 3, depth: 5 };
        let mut told = Vec::new();
        let mut tell = |doing: &str| told.push(doing.to_owned());
        let measured = pollster::block_on(measure(&mut engine, test, protocol, &mut tell)).unwrap();
        assert_eq!(told, ["filling the cache", "run 1 of 2", "run 2 of 2"]);
        assert_eq!(measured.samples.len(), 2);
        for sample in &measured.samples {
            assert_eq!(sample.steps.len(), 3);
            let sum: Duration = sample.steps.iter().sum();
            assert_eq!(sample.first + sum, sample.whole);
        }
        assert_eq!(measured.gpu_bytes, gpu.allocated());
        let alone = Test { prompt: 0, generated: 4, depth: 0 };
        let measured = pollster::block_on(measure(&mut engine, alone, protocol, &mut |_| ())).unwrap();
        assert_eq!(measured.samples[0].steps.len(), 3, "the first token comes before the steps");
    }
}

#[test]
fn a_device_has_limits() {
    let gpu =
        pollster::block_on(Gpu::open(&Choice::default())).expect("this test needs a GPU driver; see scripts/drivers");
    let before = gpu.allocated();
    let found = pollster::block_on(Roofline::measure(&gpu)).unwrap();
    assert_eq!(gpu.allocated(), before);
    let all = [found.read_gbps, found.copy_gbps, found.f32_tflops, found.int8_tops, found.encode_us, found.latency_us];
    assert!(all.iter().all(|limit| limit.is_finite() && *limit > 0.0), "{found:?}");
    assert_eq!(found.f16_tflops.is_some(), gpu.caps().f16);
    assert!(found.peak() >= 1e12 * found.f32_tflops);
}

#[test]
fn every_kernel_of_a_plan_is_timed_once_on_each_shape() {
    let gpu =
        pollster::block_on(Gpu::open(&Choice::default())).expect("this test needs a GPU driver; see scripts/drivers");
    let config = Shape::named("tiny").unwrap().config().unwrap();
    let tensors = Synthetic::new(&config, 7).unwrap();
    let model = Model::open(&config, &tensors).unwrap();
    let step = StepShape { tokens: 3, outputs: 1, sequences: 1, table_pitch: 3 };
    let graph = model.graph(step, 96, Outputs::Argmax, &tensors, None).unwrap();
    let plan = Plan::new(graph, gpu.caps(), Policy::new(gpu.caps(), false)).unwrap();
    let before = gpu.allocated();
    let rows = pollster::block_on(kernels(&gpu, &plan, 64, Some(&limits()))).unwrap();
    assert_eq!(gpu.allocated(), before);
    let count: f64 = rows.iter().map(|row| row.count).sum();
    assert_eq!(count as usize, plan.dispatches.len());
    assert!(rows.iter().all(|row| row.ms > 0.0 && row.gbps > 0.0 && row.share_of_ceiling.is_some()), "{rows:?}");
    assert!(rows.is_sorted_by(|a, b| a.ms >= b.ms));
    let mut names: Vec<_> = rows.iter().map(|row| &row.kernel).collect();
    names.dedup();
    assert_eq!(names.len(), rows.len());
}
