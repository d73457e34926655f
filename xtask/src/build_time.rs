//! How long the compiler takes for many images: generates a crate of them and builds it.
//!
//! | crate | has |
//! |---|---|
//! | `images` | as many images, each of 15 fields with a subsection, and a table of their encoders and decoders |
//! | `peers` | the same structs with serde's derives, and a table of postcard's functions for them |
//!
//! What they depend on is built beforehand, so that only the crate itself is timed; the two alternate.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::workspace::{self, Workspace};

/// What to build.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Number of images
    #[arg(long, default_value_t = 300)]
    images: usize,
    /// How often each is built
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

/// Types of the fields of each image, in turn.
const TYPES: [&str; 15] =
    ["u32", "u8", "u64", "u16", "bool", "i32", "u32", "u8", "u64", "[u32; 4]", "i64", "u8", "u16", "[u8; 8]", "u32"];

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let folder = workspace.target.join("build-time");
    let crates = [
        write_crate(&folder.join("images"), workspace, &images(options.images), "")?,
        write_crate(
            &folder.join("peers"),
            workspace,
            &peers(options.images),
            "serde = { version = \"1\", features = [\"derive\"] }\npostcard = { version = \"1.1\", default-features = false }\n",
        )?,
    ];
    for profile in ["dev", "release"] {
        for crate_folder in &crates {
            build(workspace, crate_folder, profile)?;
        }
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..options.rounds {
            for (crate_folder, times) in crates.iter().zip(&mut times) {
                touch(crate_folder)?;
                times.push(build(workspace, crate_folder, profile)?);
            }
        }
        for (name, times) in ["vmstate", "serde + postcard"].into_iter().zip(&mut times) {
            times.sort_by(f64::total_cmp);
            let median = times.get(times.len() / 2).copied().unwrap_or_default();
            println!("{:8} {name:18} {} images: median {median:.1} s of {times:.1?}", profile, options.images);
        }
    }
    Ok(())
}

fn write_crate(folder: &Path, workspace: &Workspace, source: &str, dependencies: &str) -> Result<PathBuf> {
    let name = folder.file_name().context("a crate has a name")?.to_string_lossy();
    let vmstate = workspace.root.join("crates/vmstate");
    let manifest = format!(
        "[package]\nname = \"{name}\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n\
         vmstate = {{ path = {vmstate:?} }}\n{dependencies}",
    );
    fs::create_dir_all(folder.join("src")).with_context(|| format!("cannot make {}", folder.display()))?;
    fs::write(folder.join("Cargo.toml"), manifest)?;
    fs::write(folder.join("src/lib.rs"), source)?;
    // The versions that the repository uses.
    fs::copy(workspace.root.join("Cargo.lock"), folder.join("Cargo.lock"))?;
    Ok(folder.to_owned())
}

fn touch(folder: &Path) -> Result<()> {
    let path = folder.join("src/lib.rs");
    let source = fs::read_to_string(&path)?;
    fs::write(&path, source).with_context(|| format!("cannot write {}", path.display()))
}

/// Seconds that a build takes.
fn build(workspace: &Workspace, folder: &Path, profile: &str) -> Result<f64> {
    let mut command: Command = workspace.cargo(["build", "--quiet", "--profile", profile, "--manifest-path"]);
    command.arg(folder.join("Cargo.toml")).env("CARGO_TARGET_DIR", folder.join("target")).env("CARGO_INCREMENTAL", "0");
    let started = Instant::now();
    workspace::run(&mut command)?;
    Ok(started.elapsed().as_secs_f64())
}

fn images(count: usize) -> String {
    let mut text = String::from("//! Many images.\nuse vmstate::{Input, LoadError, SaveError, VmState};\n");
    for at in 0..count {
        let fields = fields();
        let _ = writeln!(
            text,
            "#[derive(VmState, Default)]\n#[vmstate(name = \"device{at}\", version = 2, min = 1)]\npub struct Image{at} {{\n{fields}\
             #[vmstate(subsection)] more: Option<More{at}>,\n}}\n\
             #[derive(VmState, Default)]\n#[vmstate(name = \"device{at}/more\", version = 1)]\npub struct More{at} {{ pub value: u64 }}"
        );
    }
    let _ = writeln!(text, "pub type Encode = fn(&mut Vec<u8>) -> Result<(), SaveError>;");
    let _ = writeln!(text, "pub type Decode = fn(&mut Input<'_>) -> Result<(), LoadError>;");
    let _ = writeln!(text, "pub static TABLE: &[(Encode, Decode)] = &[");
    for at in 0..count {
        let _ = writeln!(
            text,
            "(|out| Image{at}::default().encode(&(), out), |input| Image{at}::default().decode(&(), 2, input)),"
        );
    }
    text.push_str("];\n");
    text
}

fn peers(count: usize) -> String {
    let mut text = String::from("//! The same structs for a peer.\nuse serde::{Deserialize, Serialize};\n");
    for at in 0..count {
        let fields = fields();
        let _ = writeln!(
            text,
            "#[derive(Serialize, Deserialize, Default)]\npub struct Image{at} {{\n{fields}more: Option<More{at}>,\n}}\n\
             #[derive(Serialize, Deserialize, Default)]\npub struct More{at} {{ pub value: u64 }}"
        );
    }
    let _ = writeln!(text, "pub type Encode = fn(&mut [u8]) -> bool;\npub type Decode = fn(&[u8]) -> bool;");
    let _ = writeln!(text, "pub static TABLE: &[(Encode, Decode)] = &[");
    for at in 0..count {
        let _ = writeln!(
            text,
            "(|out| postcard::to_slice(&Image{at}::default(), out).is_ok(), |input| postcard::from_bytes::<Image{at}>(input).is_ok()),"
        );
    }
    text.push_str("];\n");
    text
}

fn fields() -> String {
    let mut text = String::new();
    for (at, ty) in TYPES.iter().enumerate() {
        let _ = writeln!(text, "    pub f{at}: {ty},");
    }
    text
}
