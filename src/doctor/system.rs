//! What a system is, as far as drivers depend on it.

use std::fs;

/// What a program runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Platform {
    /// Linux, of whatever distribution.
    Linux,
    /// Linux in Windows.
    Wsl,
    /// Windows.
    Windows,
    /// macOS.
    MacOs,
    /// Another system.
    Other,
}

/// A file that stands for a GPU, and whether this user may open it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its path.
    pub path: String,
    /// Whether it can be opened for reading and writing.
    pub opens: bool,
}

/// A system: what its files say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct System {
    /// What it is.
    pub platform: Platform,
    /// The text of `/etc/os-release`; empty where there is none.
    pub os_release: String,
    /// Vendor and device of every display controller on the PCI bus.
    pub gpus: Vec<(u16, u16)>,
    /// The files by which programs compute on GPUs.
    pub nodes: Vec<Node>,
}

impl System {
    /// The one that this program runs on.
    pub fn here() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let platform = if cfg!(target_os = "linux") {
            let wsl = read("/proc/sys/kernel/osrelease").to_lowercase().contains("microsoft");
            if wsl { Platform::Wsl } else { Platform::Linux }
        } else if cfg!(windows) {
            Platform::Windows
        } else if cfg!(target_os = "macos") {
            Platform::MacOs
        } else {
            Platform::Other
        };
        Self { platform, os_release: read("/etc/os-release"), gpus: gpus(), nodes: nodes() }
    }

    /// A field of `/etc/os-release`, without its quotes.
    pub fn release(&self, field: &str) -> Option<&str> {
        let lines = self.os_release.lines().filter_map(|line| line.split_once('='));
        lines.into_iter().find(|(name, _)| *name == field).map(|(_, value)| value.trim_matches(['"', '\'']))
    }

    /// Its name, to be told.
    pub fn name(&self) -> String {
        match self.platform {
            Platform::Windows => "Windows".to_owned(),
            Platform::MacOs => "macOS".to_owned(),
            Platform::Other => std::env::consts::OS.to_owned(),
            Platform::Linux => self.release("PRETTY_NAME").unwrap_or("Linux").to_owned(),
            Platform::Wsl => format!("{} in Windows (WSL)", self.release("PRETTY_NAME").unwrap_or("Linux")),
        }
    }
}

/// The display controllers that Linux lists, whose class begins with 03.
fn gpus() -> Vec<(u16, u16)> {
    let Ok(devices) = fs::read_dir("/sys/bus/pci/devices") else { return Vec::new() };
    let number = |device: &fs::DirEntry, file: &str| {
        let text = fs::read_to_string(device.path().join(file)).ok()?;
        u32::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok()
    };
    let display = |device: &fs::DirEntry| number(device, "class").is_some_and(|class| class >> 16 == 3);
    let ids = devices.flatten().filter(display).filter_map(|device| {
        let (vendor, id) = (number(&device, "vendor")?, number(&device, "device")?);
        Some((u16::try_from(vendor).ok()?, u16::try_from(id).ok()?))
    });
    let mut ids: Vec<_> = ids.collect();
    ids.sort_unstable();
    ids
}

fn nodes() -> Vec<Node> {
    let files = fs::read_dir("/dev/dri").into_iter().flatten().flatten();
    let render = files.filter(|file| file.file_name().to_string_lossy().starts_with("renderD"));
    let mut nodes: Vec<_> = render
        .map(|file| {
            let opens = fs::OpenOptions::new().read(true).write(true).open(file.path()).is_ok();
            Node { path: file.path().to_string_lossy().into_owned(), opens }
        })
        .collect();
    nodes.sort_by(|a, b| a.path.cmp(&b.path));
    nodes
}
