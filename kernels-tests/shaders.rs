//! Every variant of every kernel, linked and read by every compiler that there is: no GPU needed.
//!
//! naga validates the text and writes it out for Vulkan, Metal and DX12, and `tint`, the compiler of Chrome's WebGPU,
//! checks it where it is installed, so that users of other systems than the testing one are served too.

mod variants;

use naga::ShaderStage::Compute;
use naga::back::{hlsl, msl, spv};
use naga::valid::{Capabilities, ShaderStages, SubgroupOperationSet, ValidationFlags, Validator};
use quernel::kernels::{Launch, Rung, Variant, linear};
use quernel::shader::{Access, Parsed, Recipe, Target, link, parse, sources};
use quernel::tensor::Caps;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// Each variant once, with a launch that chose it.
fn variants() -> BTreeMap<Variant, Launch> {
    let launches = variants::kernels().into_iter().flat_map(|kernel| kernel.launches);
    launches.map(|launch| (launch.variant.clone(), launch)).collect()
}

fn needs_subgroups(recipe: &Recipe) -> bool {
    recipe.slots.iter().any(|(_, file)| file.ends_with("/subgroup")) || matrices(recipe).is_some()
}

/// Whether it loads 64 bits at once, which is no part of WGSL's standard: the module that does so is for `naga` alone.
fn needs_int64(recipe: &Recipe) -> bool {
    recipe.slots.iter().any(|(_, file)| *file == "words/wide")
}

/// Rows and columns of the cooperative matrices that it needs.
fn matrices(recipe: &Recipe) -> Option<u32> {
    recipe.slots.iter().find_map(|(_, file)| file.strip_prefix("matrix/")?.parse().ok())
}

/// Whether a linked module has the `enable` line for `extension`.
fn enables(source: &str, extension: &str) -> bool {
    source.lines().any(|line| line == format!("enable {extension};"))
}

#[test]
fn every_variant_compiles_for_vulkan_metal_and_dx12() {
    let variants = variants();
    assert!(!variants.is_empty());
    for variant in variants.keys() {
        let linked = link(&variant.recipe, Target::Naga).unwrap_or_else(|error| panic!("{variant}: {error}"));
        let parsed = parse(&linked.source).unwrap_or_else(|error| panic!("{variant}: {error:?}"));
        let subgroups = needs_subgroups(&variant.recipe);
        // Unpacking halves into singles is part of WebGPU itself.
        let mut granted = Capabilities::SHADER_FLOAT16_IN_FLOAT32;
        granted.set(Capabilities::SUBGROUP, subgroups);
        let int64 = needs_int64(&variant.recipe);
        granted.set(Capabilities::SHADER_INT64, int64);
        granted.set(Capabilities::SHADER_FLOAT16, enables(&linked.source, "f16"));
        let matrices = enables(&linked.source, "wgpu_cooperative_matrix");
        granted.set(Capabilities::COOPERATIVE_MATRIX, matrices);
        let mut validator = Validator::new(ValidationFlags::all(), granted);
        validator.subgroup_stages(ShaderStages::COMPUTE).subgroup_operations(SubgroupOperationSet::all());
        validator
            .validate(&parsed.module)
            .unwrap_or_else(|error| panic!("{variant} needs more than its rung: {error:?}"));
        spir_v(&parsed).unwrap_or_else(|error| panic!("{variant} as SPIR-V: {error}"));
        // Metal's matrices are 8 by 8.
        if self::matrices(&variant.recipe).is_none_or(|size| size == 8) {
            metal(&parsed).unwrap_or_else(|error| panic!("{variant} as MSL: {error}"));
        }
        // DX12 has no cooperative matrices.
        if !matrices {
            let shader_model = match (enables(&linked.source, "f16"), subgroups) {
                (true, _) => hlsl::ShaderModel::V6_2,
                (false, true) => hlsl::ShaderModel::V6_0,
                (false, false) if int64 => hlsl::ShaderModel::V6_0,
                (false, false) => hlsl::ShaderModel::V5_1,
            };
            direct_x(&parsed, shader_model).unwrap_or_else(|error| panic!("{variant} as HLSL: {error}"));
        }
    }
    println!("{} variants compile for Vulkan, Metal and DX12", variants.len());
}

fn spir_v(parsed: &Parsed) -> Result<(), spv::Error> {
    let entry = spv::PipelineOptions { shader_stage: Compute, entry_point: "main".to_owned() };
    let words = spv::write_vec(&parsed.module, &parsed.info, &spv::Options::default(), Some(&entry))?;
    assert_eq!(words[0], 0x0723_0203, "not a SPIR-V module");
    Ok(())
}

fn metal(parsed: &Parsed) -> Result<(), msl::Error> {
    let options = msl::Options { lang_version: (2, 4), ..Default::default() };
    let (text, _) = msl::write_string(&parsed.module, &parsed.info, &options, &msl::PipelineOptions::default())?;
    assert!(text.contains("kernel void"), "no entry point in {text}");
    Ok(())
}

/// As DX12 takes it, in the oldest shader model that can hold the variant.
fn direct_x(parsed: &Parsed, shader_model: hlsl::ShaderModel) -> Result<(), hlsl::Error> {
    let options = hlsl::Options { shader_model, ..Default::default() };
    let mut text = String::new();
    hlsl::Writer::new(&mut text, &options, &hlsl::PipelineOptions::default()).write(
        &parsed.module,
        &parsed.info,
        None,
    )?;
    assert!(text.contains("numthreads"), "no entry point in {text}");
    Ok(())
}

#[test]
fn tint_accepts_every_variant() {
    if Command::new("tint").arg("--version").output().is_err() {
        println!("skipped: no `tint` on the PATH");
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("variant.wgsl");
    let variants = variants();
    for variant in variants.keys() {
        let linked = link(&variant.recipe, Target::Tint).unwrap_or_else(|error| panic!("{variant}: {error}"));
        // Browsers have no cooperative matrices under this name, and no integers of 64 bits.
        if enables(&linked.source, "wgpu_cooperative_matrix") || needs_int64(&variant.recipe) {
            continue;
        }
        std::fs::write(&file, &linked.source).expect("the temporary folder can be written");
        if let Err(reason) = tint(&file) {
            panic!("{variant}: {reason}\n{}", linked.source);
        }
    }
    println!("tint accepts {} variants", variants.len());
}

fn tint(file: &Path) -> Result<(), String> {
    // WGSL is the one output that every build of tint has.
    let output =
        Command::new("tint").args(["--format", "wgsl"]).arg(file).output().map_err(|error| error.to_string())?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

#[test]
fn bindings_are_what_launches_say() {
    for kernel in variants::kernels() {
        let chosen: BTreeSet<&Variant> = kernel.launches.iter().map(|launch| &launch.variant).collect();
        for variant in chosen {
            assert_eq!(variant.kernel, kernel.name);
            let linked = link(&variant.recipe, Target::Naga).unwrap_or_else(|error| panic!("{variant}: {error}"));
            let bound = |access: Access| -> BTreeSet<&str> {
                let bindings = linked.reflection.bindings.iter();
                bindings.filter(|binding| binding.access == access).map(|binding| binding.name.as_str()).collect()
            };
            let mut reads: BTreeSet<&str> = kernel.reads.iter().copied().collect();
            for (slot, name) in [
                (("bias", "bias/row"), "bias"),
                (("input", "input/rms_norm"), "norm"),
                (("output", "output/residual"), "residual"),
            ] {
                reads.extend(variant.recipe.slots.contains(&slot).then_some(name));
            }
            let mut writes: BTreeSet<&str> = kernel.writes.iter().copied().collect();
            if variant.recipe.slots.contains(&("output", "output/qkv")) {
                reads.extend(["angles", "positions", "kv_rows"]);
                writes.extend(["k_cache", "v_cache"]);
            }
            assert_eq!(bound(Access::Uniform), BTreeSet::from(["params"]), "{variant}");
            assert_eq!(bound(Access::Read), reads, "{variant}");
            assert_eq!(bound(Access::ReadWrite), writes, "{variant}");
        }
    }
}

#[test]
fn parameters_lie_where_rust_puts_them() {
    for kernel in variants::kernels() {
        assert!(kernel.fields.len() <= 16, "{}: more than 16 parameters", kernel.name);
        for launch in &kernel.launches {
            assert_eq!(launch.params.len(), 4 * kernel.fields.len(), "{}", launch.variant);
        }
        let chosen: BTreeSet<&Variant> = kernel.launches.iter().map(|launch| &launch.variant).collect();
        for variant in chosen {
            let linked = link(&variant.recipe, Target::Naga).unwrap_or_else(|error| panic!("{variant}: {error}"));
            let members = linked.reflection.params.iter();
            let members: Vec<_> = members.map(|member| (member.name.as_str(), member.offset as usize)).collect();
            assert_eq!(members, kernel.fields, "{variant}");
        }
    }
}

#[test]
fn every_variant_fits_webgpus_default_limits() {
    let limits = Caps::baseline();
    for (variant, launch) in variants() {
        let reflection =
            link(&variant.recipe, Target::Naga).unwrap_or_else(|error| panic!("{variant}: {error}")).reflection;
        let threads: u32 = reflection.workgroup.iter().product();
        let most = if matrices(&variant.recipe).is_some() { 512 } else { limits.max_workgroup_threads };
        assert!((1..=most).contains(&threads), "{variant}: {threads} threads");
        let memory = reflection.workgroup_memory;
        // Cooperative matrices of 16 are for adapters with more; `Rung::available` holds them to it.
        let most = if matrices(&variant.recipe) == Some(16) { 28 << 10 } else { limits.max_workgroup_memory };
        assert!(memory <= most, "{variant}: {memory} bytes of workgroup memory");
        let storage = reflection.bindings.iter().filter(|binding| binding.access != Access::Uniform).count();
        // Queries, keys and values in one are for adapters that bind more; graphs keep them apart elsewhere.
        let most = match variant.recipe.slots.contains(&("output", "output/qkv")) {
            true => linear::Qkv::buffers(variant.recipe.slots.contains(&("bias", "bias/row"))),
            false => limits.max_storage_buffers,
        };
        assert!(storage <= most as usize, "{variant}: {storage} storage buffers");
        assert!(
            launch.grid.iter().all(|&axis| (1..=limits.max_workgroups).contains(&axis)),
            "{variant}: {:?}",
            launch.grid
        );
    }
}

#[test]
fn every_shader_file_is_in_some_variant_and_every_kernel_has_a_portable_one() {
    let recipes: Vec<Recipe> = variants().into_keys().map(|variant| variant.recipe).collect();
    let mut reached: BTreeSet<&str> = BTreeSet::new();
    for recipe in &recipes {
        reached.insert(recipe.shader);
        reached.extend(recipe.slots.iter().map(|(_, file)| *file));
    }
    let used: Vec<&str> = sources()
        .iter()
        .filter(|(path, _)| reached.contains(path))
        .flat_map(|(_, text)| text.lines().filter_map(|line| line.strip_prefix("//!use ")))
        .collect();
    reached.extend(used);
    let files: BTreeSet<&str> = sources().iter().map(|(path, _)| *path).collect();
    assert_eq!(files, reached, "a shader file that no launch chooses is not tested, or not needed");

    for kernel in variants::kernels() {
        let mut portable = kernel.launches.iter().filter(|launch| !needs_subgroups(&launch.variant.recipe));
        assert!(portable.next().is_some(), "{} has no variant for {:?}", kernel.name, Rung::Portable);
    }
}

#[test]
fn no_file_on_disk_is_left_out_of_the_library() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders");
    let mut found = BTreeSet::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("shaders/ can be read") {
            let path = entry.expect("shaders/ can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(&root).expect("is below shaders/").with_extension("");
                found.insert(name.to_string_lossy().replace('\\', "/"));
            }
        }
    }
    assert_eq!(found, sources().iter().map(|(path, _)| (*path).to_owned()).collect());
}
