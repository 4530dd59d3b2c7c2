//! One test's result as named fields, in the order and under the names that llama-bench gives them, with ours after.

use super::measure::{Measured, Sample};
use super::roofline::Roofline;
use super::stats::{deviation, mean, percentile};
use crate::gpu::AdapterInfo;
use crate::graph::Cost;
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::time::Duration;

/// A field's value.
#[derive(Debug, Clone, PartialEq)]
pub enum Field {
    /// Words.
    Text(String),
    /// A whole number.
    Integer(u64),
    /// A number; `None` where there is none.
    Real(Option<f64>),
    /// Yes or no.
    Flag(bool),
    /// Whole numbers: a list, which tables leave out.
    Integers(Vec<u64>),
    /// Numbers: a list, which tables leave out.
    Reals(Vec<f64>),
}

impl Serialize for Field {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Integer(number) => serializer.serialize_u64(*number),
            Self::Real(number) => number.serialize(serializer),
            Self::Flag(yes) => serializer.serialize_bool(*yes),
            Self::Integers(numbers) => numbers.serialize(serializer),
            Self::Reals(numbers) => numbers.serialize(serializer),
        }
    }
}

/// Named fields in order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Record(Vec<(&'static str, Field)>);

impl Record {
    /// The value of the field `name`.
    pub fn get(&self, name: &str) -> Option<&Field> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, field)| field)
    }

    /// Names and values, in order.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, &Field)> {
        self.0.iter().map(|(name, field)| (*name, field))
    }

    /// Appends a field.
    pub fn add(&mut self, name: &'static str, field: Field) {
        self.0.push((name, field));
    }

    fn text(&mut self, name: &'static str, text: impl Into<String>) {
        self.add(name, Field::Text(text.into()));
    }

    fn integer(&mut self, name: &'static str, number: u64) {
        self.add(name, Field::Integer(number));
    }

    fn real(&mut self, name: &'static str, number: impl Into<Option<f64>>) {
        self.add(name, Field::Real(number.into()));
    }

    fn flags(&mut self, names: &[&'static str], yes: bool) {
        names.iter().for_each(|name| self.add(name, Field::Flag(yes)));
    }
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        self.0.iter().try_for_each(|(name, field)| map.serialize_entry(name, field))?;
        map.end()
    }
}

/// What a test ran on, and how: all that a record holds besides what was measured.
#[derive(Debug, Clone)]
pub struct Setting {
    /// The commit that the program was built from, where the build was told.
    pub commit: String,
    /// The processor.
    pub cpu: String,
    /// The adapter.
    pub adapter: AdapterInfo,
    /// The model's file or folder, or its shape.
    pub model_file: String,
    /// The model's name.
    pub model_name: String,
    /// The storage of the weights.
    pub weights: String,
    /// The storage of keys and values.
    pub kv: String,
    /// What weights are multiplied by, as it is rounded for it: `f32` for not at all.
    pub activations: String,
    /// Bytes of the weights on the device.
    pub model_bytes: u64,
    /// Numbers in the weights.
    pub parameters: u64,
    /// Tokens that are handed over at once at most.
    pub batch: usize,
    /// Tokens of a step at most.
    pub ubatch: usize,
    /// The device's own limits, where they were measured.
    pub roofline: Option<Roofline>,
    /// What a self-test of the adapter found, where there was one.
    pub tested: Option<Tested>,
}

/// What a self-test of an adapter found, in short.
#[derive(Debug, Clone, PartialEq)]
pub struct Tested {
    /// How it ended.
    pub verdict: String,
    /// When, as RFC 3339.
    pub date: String,
    /// The largest error of a kernel by what is allowed for it.
    pub worst: f64,
    /// Kinds of kernel variants that are not used, with commas between them.
    pub refused: String,
    /// The certificate's hash.
    pub certificate: String,
}

impl Setting {
    /// The record of what was measured from `time` on, as RFC 3339, and took `cost` at least.
    pub fn record(&self, measured: &Measured, cost: Cost, time: &str) -> Record {
        let mut record = Record::default();
        self.identity(&mut record);
        self.parameters(&mut record);
        results(&mut record, measured, time);
        self.ours(&mut record, measured);
        self.limits(&mut record, measured, cost);
        self.tested(&mut record);
        record
    }

    /// Empty where there was no self-test.
    fn tested(&self, record: &mut Record) {
        let text =
            |of: fn(&Tested) -> &String| self.tested.as_ref().map_or_else(|| "none".to_owned(), |it| of(it).clone());
        record.text("selftest", text(|it| &it.verdict));
        record.text("selftest_date", text(|it| &it.date));
        record.real("selftest_worst", self.tested.as_ref().map(|it| it.worst));
        record.text("selftest_refused", text(|it| &it.refused));
        record.text("selftest_certificate", text(|it| &it.certificate));
    }

    fn identity(&self, record: &mut Record) {
        record.text("build_commit", &self.commit);
        record.integer("build_number", 0);
        record.text("cpu_info", &self.cpu);
        record.text("gpu_info", &self.adapter.name);
        record.text("backends", backend(self.adapter.backend));
        record.text("model_filename", &self.model_file);
        record.text("model_type", format!("{} {}", self.model_name, self.weights));
        record.integer("model_size", self.model_bytes);
        record.integer("model_n_params", self.parameters);
    }

    /// llama-bench's settings. What has no counterpart here has the value that says so there.
    fn parameters(&self, record: &mut Record) {
        record.integer("n_batch", self.batch as u64);
        record.integer("n_ubatch", self.ubatch as u64);
        record.integer("n_threads", 1);
        record.text("cpu_mask", "0x0");
        record.flags(&["cpu_strict"], false);
        record.integer("poll", 50);
        record.text("type_k", &self.kv);
        record.text("type_v", &self.kv);
        // All layers, in llama-bench's way of saying so.
        record.integer("n_gpu_layers", 99);
        record.integer("n_cpu_moe", 0);
        record.text("split_mode", "none");
        record.integer("main_gpu", self.adapter.index as u64);
        record.flags(&["no_kv_offload"], false);
        record.flags(&["flash_attn"], true);
        record.text("devices", &self.adapter.name);
        record.text("tensor_split", "0.00");
        record.text("tensor_buft_overrides", "none");
        record.text("load_mode", "read");
        record.flags(&["embeddings", "no_op_offload", "no_host"], false);
        record.integer("fit_target", 0);
        record.integer("fit_min_ctx", 0);
    }

    fn ours(&self, record: &mut Record, measured: &Measured) {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let first: Vec<f64> = measured.samples.iter().map(|sample| ms(sample.first)).collect();
        let steps: Vec<f64> = measured.samples.iter().flat_map(|sample| &sample.steps).map(|step| ms(*step)).collect();
        record.text("engine", concat!("quernel ", env!("CARGO_PKG_VERSION")));
        record.text("test", measured.test.to_string());
        record.text("adapter_name", &self.adapter.name);
        record.integer("vendor_id", self.adapter.vendor.into());
        record.integer("device_id", self.adapter.device.into());
        record.text("driver", format!("{} {}", self.adapter.driver, self.adapter.driver_info).trim());
        record.text("wgpu_backend", self.adapter.backend);
        record.text("weights", &self.weights);
        record.text("kv", &self.kv);
        record.text("activations", &self.activations);
        let step = measured.samples.iter().map(|sample| sample.step_tokens).max();
        record.integer("step_tokens", step.unwrap_or(0) as u64);
        record.real("ttft_ms", mean(&first));
        for (name, share) in [("itl_p50_ms", 0.5), ("itl_p95_ms", 0.95), ("itl_p99_ms", 0.99)] {
            record.real(name, percentile(&steps, share));
        }
        record.integer("peak_gpu_bytes", measured.gpu_bytes);
    }
}

impl Setting {
    /// How close it came to what the device can do.
    fn limits(&self, record: &mut Record, measured: &Measured, cost: Cost) {
        let seconds: Vec<f64> = measured.samples.iter().map(|sample| sample.whole.as_secs_f64()).collect();
        let seconds = mean(&seconds).max(1e-9);
        record.real("bytes_per_token", cost.bytes / measured.test.tokens().max(1) as f64);
        record.real("gbps", cost.bytes / seconds / 1e9);
        record.real("tflops", cost.flops / seconds / 1e12);
        let roofline = self.roofline.as_ref();
        record.real("share_of_ceiling", roofline.map(|it| it.least_seconds(cost.bytes, cost.flops) / seconds));
        record.real("roofline_read_gbps", roofline.map(|it| it.read_gbps));
        record.real("roofline_copy_gbps", roofline.map(|it| it.copy_gbps));
        record.real("roofline_f32_tflops", roofline.map(|it| it.f32_tflops));
        record.real("roofline_f16_tflops", roofline.and_then(|it| it.f16_tflops));
        record.real("roofline_int8_tops", roofline.map(|it| it.int8_tops));
        let matrices = |it: &Roofline| it.matrices.iter().map(|peak| peak.tflops).reduce(f64::max);
        record.real("roofline_matrix_tflops", roofline.and_then(matrices));
        record.real("roofline_dependent_dispatch_us", roofline.map(|it| it.dependent_dispatch_us));
        record.real("roofline_independent_dispatch_us", roofline.map(|it| it.independent_dispatch_us));
        record.real("roofline_encode_us", roofline.map(|it| it.encode_us));
        record.real("roofline_latency_us", roofline.map(|it| it.latency_us));
    }
}

fn results(record: &mut Record, measured: &Measured, time: &str) {
    let nanoseconds: Vec<u64> = measured.samples.iter().map(Sample::nanoseconds).collect();
    let exact: Vec<f64> = nanoseconds.iter().map(|&time| time as f64).collect();
    let rates = measured.rates();
    record.integer("n_prompt", measured.test.prompt as u64);
    record.integer("n_gen", measured.test.generated as u64);
    record.integer("n_depth", measured.test.depth as u64);
    record.text("test_time", time);
    record.integer("avg_ns", mean(&exact).round() as u64);
    record.integer("stddev_ns", deviation(&exact).round() as u64);
    record.real("avg_ts", mean(&rates));
    record.real("stddev_ts", deviation(&rates));
    record.add("samples_ns", Field::Integers(nanoseconds));
    record.add("samples_ts", Field::Reals(rates));
}

impl Sample {
    /// The whole time in nanoseconds.
    fn nanoseconds(&self) -> u64 {
        u64::try_from(self.whole.as_nanos()).unwrap_or(u64::MAX)
    }
}

/// The backend as llama.cpp spells it.
fn backend(name: &str) -> &str {
    match name {
        "vulkan" => "Vulkan",
        "metal" => "Metal",
        "dx12" => "DX12",
        "gl" => "GL",
        other => other,
    }
}

/// `seconds` after the beginning of 1970 as RFC 3339, in UTC.
///
/// The calendar of Hinnant's "chrono-compatible low-level date algorithms": a year there begins in March, so that the
/// leap day is its last.
pub fn rfc3339(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (year, month) = (400 * era + year + month / 10, if month < 10 { month + 3 } else { month - 9 });
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, date) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(seconds), date);
        }
    }
}
