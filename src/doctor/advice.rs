//! What a system lacks for its GPU to be used, and how it is got there.

use super::system::{Platform, System};

/// PCI's numbers of those who make GPUs.
const NVIDIA: u16 = 0x10de;
const AMD: u16 = 0x1002;
const INTEL: u16 = 0x8086;

/// Ways to install software.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packages {
    Debian,
    Ubuntu,
    Fedora,
    Arch,
    Unknown,
}

/// What to do on `system` where the GPU interface shows adapters of these kinds ([`AdapterInfo::kind`]), a sentence each;
/// empty where nothing is missing.
///
/// [`AdapterInfo::kind`]: crate::gpu::AdapterInfo::kind
///
/// ```
/// use quernel::doctor::{Platform, System, advice};
/// let os_release = "ID=fedora\n".to_owned();
/// let system = System { platform: Platform::Linux, os_release, gpus: vec![(0x1002, 0x744c)], nodes: vec![] };
/// assert!(advice(&system, &[])[0].contains("sudo dnf install mesa-vulkan-drivers"));
/// assert!(advice(&system, &["discrete"]).is_empty());
/// ```
pub fn advice(system: &System, kinds: &[&str]) -> Vec<String> {
    if kinds.iter().any(|kind| ["discrete", "integrated", "virtual", "other"].contains(kind)) {
        return Vec::new();
    }
    match system.platform {
        Platform::MacOs => vec!["every Mac that runs macOS 10.13 or later has Metal; update macOS".to_owned()],
        Platform::Windows => {
            let text = "install the GPU's driver from its maker (NVIDIA, AMD, Intel) or by Windows Update: it brings DX12 \
                        and Vulkan";
            vec![text.to_owned()]
        }
        Platform::Other => vec!["install a Vulkan driver of the GPU's maker, or Mesa's".to_owned()],
        Platform::Wsl => wsl(system, kinds),
        Platform::Linux => linux(system, kinds),
    }
}

fn wsl(system: &System, kinds: &[&str]) -> Vec<String> {
    let mut all = vec![
        "Linux in Windows sees the GPU by Mesa's dozen at best: the program for Windows uses it without loss"
            .to_owned(),
        format!("to try it here, {}", install(packages(system), Software::Mesa)),
    ];
    all.extend(kinds.is_empty().then(|| "the same package has a software driver".to_owned()));
    all
}

fn linux(system: &System, kinds: &[&str]) -> Vec<String> {
    let packages = packages(system);
    let mut all = Vec::new();
    let has = |vendor| system.gpus.iter().any(|(known, _)| *known == vendor);
    for node in system.nodes.iter().filter(|node| !node.opens) {
        all.push(format!("{} cannot be opened: sudo usermod -aG render,video $USER, and log in again", node.path));
    }
    if has(NVIDIA) {
        all.push(format!("an NVIDIA GPU is there and no driver shows it: {}", install(packages, Software::Nvidia)));
    }
    for (vendor, name) in [(AMD, "an AMD"), (INTEL, "an Intel")] {
        if has(vendor) {
            all.push(format!("{name} GPU is there and no driver shows it: {}", install(packages, Software::Mesa)));
        }
    }
    if kinds.is_empty() && !has(AMD) && !has(INTEL) {
        all.push(format!("a software driver computes on the processor: {}", install(packages, Software::Mesa)));
    }
    all
}

fn packages(system: &System) -> Packages {
    let like = system.release("ID_LIKE").unwrap_or_default().split_whitespace();
    let mut names = system.release("ID").into_iter().chain(like);
    let known = names.find_map(|name| match name {
        "debian" => Some(Packages::Debian),
        "ubuntu" => Some(Packages::Ubuntu),
        "fedora" | "rhel" | "centos" => Some(Packages::Fedora),
        "arch" => Some(Packages::Arch),
        _ => None,
    });
    known.unwrap_or(Packages::Unknown)
}

/// What is to be installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Software {
    /// Mesa's drivers for AMD, Intel and processors, with the loader.
    Mesa,
    /// NVIDIA's own.
    Nvidia,
}

fn install(packages: Packages, software: Software) -> String {
    let text = match (packages, software) {
        (Packages::Debian | Packages::Ubuntu, Software::Mesa) => "sudo apt install libvulkan1 mesa-vulkan-drivers",
        (Packages::Fedora, Software::Mesa) => "sudo dnf install mesa-vulkan-drivers vulkan-loader",
        (Packages::Arch, Software::Mesa) => {
            "sudo pacman -S vulkan-icd-loader vulkan-radeon (AMD), vulkan-intel (Intel) or vulkan-swrast (a processor)"
        }
        (Packages::Debian, Software::Nvidia) => {
            "sudo apt install nvidia-driver nvidia-vulkan-icd libvulkan1 (from non-free), and restart"
        }
        (Packages::Ubuntu, Software::Nvidia) => "sudo ubuntu-drivers install; sudo apt install libvulkan1, and restart",
        (Packages::Fedora, Software::Nvidia) => {
            "sudo dnf install akmod-nvidia vulkan-loader (from RPM Fusion), and restart"
        }
        (Packages::Arch, Software::Nvidia) => "sudo pacman -S nvidia-utils nvidia vulkan-icd-loader, and restart",
        (Packages::Unknown, Software::Mesa) => "install the Vulkan loader and Mesa's Vulkan drivers",
        (Packages::Unknown, Software::Nvidia) => "install the Vulkan loader and NVIDIA's driver, and restart",
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::system::Node;
    use super::*;

    fn system(os_release: &str, gpus: &[(u16, u16)]) -> System {
        let (os_release, gpus) = (os_release.to_owned(), gpus.to_vec());
        System { platform: Platform::Linux, os_release, gpus, nodes: Vec::new() }
    }

    #[test]
    fn each_system_installs_in_its_own_way() {
        let debian = "PRETTY_NAME=\"Debian GNU/Linux 13 (trixie)\"\nID=debian\n";
        let ubuntu = "ID=ubuntu\nID_LIKE=debian\n";
        let mint = "ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n";
        for (release, vendor, wanted) in [
            (debian, AMD, "apt install libvulkan1 mesa-vulkan-drivers"),
            (debian, NVIDIA, "nvidia-vulkan-icd"),
            (ubuntu, NVIDIA, "ubuntu-drivers"),
            (mint, NVIDIA, "ubuntu-drivers"),
            ("ID=fedora\n", INTEL, "dnf install mesa-vulkan-drivers"),
            ("ID=rocky\nID_LIKE=\"rhel centos fedora\"\n", NVIDIA, "akmod-nvidia"),
            ("ID=manjaro\nID_LIKE=arch\n", INTEL, "vulkan-intel"),
            ("", AMD, "Mesa's Vulkan drivers"),
        ] {
            let all = advice(&system(release, &[(vendor, 1)]), &[]);
            assert!(all[0].contains(wanted), "{release}: {all:?}");
        }
        assert_eq!(system(debian, &[]).name(), "Debian GNU/Linux 13 (trixie)");
    }

    #[test]
    fn a_machine_without_a_gpu_gets_a_software_driver() {
        let bare = system("ID=debian\n", &[]);
        let all = advice(&bare, &[]);
        assert!(all.len() == 1 && all[0].contains("software driver"), "{all:?}");
        // There is one: nothing is missing.
        assert!(advice(&bare, &["cpu"]).is_empty());
        // And a GPU that it hides is told all the same.
        let hidden = advice(&system("ID=debian\n", &[(NVIDIA, 0x2330)]), &["cpu"]);
        assert!(hidden.len() == 1 && hidden[0].contains("NVIDIA"), "{hidden:?}");
        assert!(advice(&system("ID=debian\n", &[(NVIDIA, 0x2330)]), &["discrete", "cpu"]).is_empty());
    }

    #[test]
    fn what_cannot_be_opened_comes_first() {
        let node = Node { path: "/dev/dri/renderD128".to_owned(), opens: false };
        let all = advice(&System { nodes: vec![node], ..system("ID=arch\n", &[(AMD, 1)]) }, &["cpu"]);
        assert!(all[0].contains("renderD128") && all[0].contains("render,video"), "{all:?}");
        assert_eq!(all.len(), 2);
    }

    #[test]
    fn other_platforms_have_their_own_ways() {
        for (platform, wanted) in
            [(Platform::Windows, "Windows Update"), (Platform::MacOs, "Metal"), (Platform::Wsl, "program for Windows")]
        {
            let all = advice(&System { platform, ..system("ID=ubuntu\n", &[]) }, &[]);
            assert!(all[0].contains(wanted), "{all:?}");
        }
    }
}
