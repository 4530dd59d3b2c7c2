//! Picking one adapter.

use super::AdapterInfo;
use crate::{Error, Result};

/// Which adapter to open.
///
/// By default the one with the best score, or the best of those that `WGPU_ADAPTER_NAME` names. `WGPU_BACKEND` narrows
/// down which backends are looked at in every case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    text: Option<String>,
}

impl Choice {
    /// The adapter that `text` names: its index in [`adapters`](super::adapters), its place on the PCI bus
    /// (`0000:01:00.0`, or `01:00.0`), its PCI vendor and device (`10de:2330`), or a part of its name in any case.
    pub fn adapter(text: impl Into<String>) -> Self {
        Self { text: Some(text.into()) }
    }

    /// The place in `list` of the adapter that this choice takes.
    ///
    /// # Errors
    /// [`Error::NoAdapter`] with the whole list when none is it, [`Error::Unsupported`] when it cannot run kernels.
    pub fn pick(&self, list: &[AdapterInfo]) -> Result<usize> {
        let told = |variable| std::env::var(variable).ok();
        match told("WGPU_BACKEND") {
            Some(backends) if list.is_empty() => Err(no_backend(&backends)),
            _ => self.among(list, told("WGPU_ADAPTER_NAME")),
        }
    }

    fn among(&self, list: &[AdapterInfo], environment: Option<String>) -> Result<usize> {
        let (text, source) = match (&self.text, environment.filter(|name| !name.is_empty())) {
            (Some(text), _) => (text.clone(), ""),
            (None, Some(name)) => (name, " (from WGPU_ADAPTER_NAME)"),
            (None, None) => return best(list, |_| true).ok_or_else(|| none("none can be used", list)),
        };
        let fits: [fn(&AdapterInfo, &str) -> bool; 3] = [is_index, is_pci, is_name];
        for fit in fits {
            let chosen = |info: &AdapterInfo| fit(info, &text.to_lowercase());
            if let Some(place) = best(list, chosen) {
                return Ok(place);
            }
            if let Some(info) = list.iter().find(|info| chosen(info)) {
                let reason = info.unusable.clone().unwrap_or_default();
                return Err(Error::Unsupported { adapter: info.name.clone(), reason });
            }
        }
        Err(none(&format!("none is {text:?}{source}"), list))
    }
}

/// The usable one with the best score among those that `chosen` takes; the first of equals.
fn best(list: &[AdapterInfo], chosen: impl Fn(&AdapterInfo) -> bool) -> Option<usize> {
    let usable = list.iter().enumerate().filter(|(_, info)| info.unusable.is_none() && chosen(info));
    usable.rev().max_by_key(|(_, info)| info.score).map(|(place, _)| place)
}

fn is_index(info: &AdapterInfo, text: &str) -> bool {
    text.parse() == Ok(info.index)
}

fn is_pci(info: &AdapterInfo, text: &str) -> bool {
    let bus = info.pci.to_lowercase();
    let on_bus = !bus.is_empty() && (bus == text || bus.split_once(':').is_some_and(|(_, rest)| rest == text));
    on_bus || format!("{:04x}:{:04x}", info.vendor, info.device) == text
}

fn is_name(info: &AdapterInfo, text: &str) -> bool {
    info.name.to_lowercase().contains(text)
}

fn no_backend(backends: &str) -> Error {
    let reason = format!(
        "none is there for {backends:?} (from WGPU_BACKEND); vulkan, metal, dx12 and gl are known, and without that \
         variable all are looked at"
    );
    Error::NoAdapter { reason }
}

fn none(what: &str, list: &[AdapterInfo]) -> Error {
    if list.is_empty() {
        let reason = "no Vulkan, Metal, DX12 or GL driver shows one; install the GPU's driver, or a software one such \
                      as Mesa's lavapipe";
        return Error::NoAdapter { reason: reason.to_owned() };
    }
    let there = list.iter().map(|info| match &info.unusable {
        None => format!("\n  {} {} ({})", info.index, info.name, info.backend),
        Some(why) => format!("\n  {} {} ({}), which cannot be used: {why}", info.index, info.name, info.backend),
    });
    Error::NoAdapter { reason: format!("{what}; there are{}", there.collect::<String>()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::Limits;

    fn adapter(index: usize, name: &str, pci: &str, score: u64) -> AdapterInfo {
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
        AdapterInfo {
            index,
            name: name.to_owned(),
            backend: "vulkan",
            driver: String::new(),
            driver_info: String::new(),
            kind: "discrete",
            pci: pci.to_owned(),
            vendor: 0x10de,
            device: 0x2330 + index as u32,
            memory: None,
            f16: false,
            subgroup: None,
            int8_dot: None,
            matrices: Vec::new(),
            limits,
            unusable: (score == 0).then(|| "it is broken".to_owned()),
            score,
        }
    }

    fn list() -> Vec<AdapterInfo> {
        vec![
            adapter(0, "Software", "", 1),
            adapter(1, "GeForce RTX 4090", "0000:01:00.0", 9),
            adapter(2, "GeForce RTX 4090", "0000:02:00.0", 9),
            adapter(3, "Relic", "", 0),
        ]
    }

    #[test]
    fn takes_an_index_a_pci_id_or_a_part_of_the_name() {
        let pick = |text: &str| Choice::adapter(text).pick(&list()).ok();
        assert_eq!(pick("0"), Some(0));
        assert_eq!(pick("geforce"), Some(1));
        assert_eq!(pick("4090"), Some(1));
        assert_eq!(pick("02:00.0"), Some(2));
        assert_eq!(pick("0000:02:00.0"), Some(2));
        assert_eq!(pick("10DE:2332"), Some(2));
        assert_eq!(Choice::default().among(&list(), None).ok(), Some(1));
    }

    #[test]
    fn the_environment_names_an_adapter_where_the_choice_does_not() {
        let named = |name: &str| Some(name.to_owned());
        assert_eq!(Choice::default().among(&list(), named("software")).ok(), Some(0));
        assert_eq!(Choice::default().among(&list(), named("")).ok(), Some(1));
        assert_eq!(Choice::adapter("1").among(&list(), named("software")).ok(), Some(1));
        let text = Choice::default().among(&list(), named("banana")).expect_err("there is none").to_string();
        assert!(text.contains("(from WGPU_ADAPTER_NAME)"), "{text}");
    }

    #[test]
    fn a_backend_that_the_environment_names_in_vain_is_told() {
        let text = no_backend("vulcan").to_string();
        assert!(text.contains("\"vulcan\" (from WGPU_BACKEND)"), "{text}");
    }

    #[test]
    fn says_what_there_is_when_nothing_fits() {
        let error = Choice::adapter("banana").pick(&list()).expect_err("there is none");
        assert!(matches!(&error, Error::NoAdapter { .. }));
        let text = error.to_string();
        assert!(text.contains("banana") && text.contains("1 GeForce RTX 4090 (vulkan)"), "{text}");
        assert!(text.contains("3 Relic (vulkan), which cannot be used: it is broken"), "{text}");
        assert!(matches!(Choice::adapter("relic").pick(&list()), Err(Error::Unsupported { .. })));
        assert!(matches!(Choice::adapter("0").pick(&[]), Err(Error::NoAdapter { .. })));
    }
}
