//! The corpus: where it is, and the files of its streams.
//!
//! It is not part of the repository. It is looked for in `$VMFERRY_CORPUS`, then beside the repository; without it the
//! tests say so and pass.

#![allow(unreachable_pub, dead_code, reason = "each test uses its part")]

use std::path::{Path, PathBuf};
use std::{env, fs};

use serde_json::Value;
use vmferry_inspect::{Channel, Inputs, Source};

/// The octets of all files of one stream, by role.
pub struct Stream {
    pub name: String,
    pub sidecar: Value,
    pub main: Vec<u8>,
    /// Multifd and preempt channels.
    pub channels: Vec<(String, Vec<u8>)>,
    /// Files of shared memory, by name.
    pub kept: Vec<(String, Vec<u8>)>,
}

impl Stream {
    pub fn inputs(&self) -> Inputs<'_> {
        let channels = self.channels.iter().map(|(role, octets)| Channel::new(role, &octets[..])).collect();
        Inputs { main: Source::from_octets(&self.main), channels }
    }
}

/// One stream with all its files.
pub fn stream(corpus: &Path, name: &str, sidecar: &Value) -> Stream {
    let mut stream = Stream {
        name: name.to_owned(),
        sidecar: sidecar.clone(),
        main: Vec::new(),
        channels: Vec::new(),
        kept: Vec::new(),
    };
    for file in sidecar["files"].as_array().unwrap() {
        let role = file["role"].as_str().unwrap();
        if role == "rp" {
            continue;
        }
        let octets = read(&corpus.join("streams").join(file["file"].as_str().unwrap()));
        match role.split_once(':') {
            _ if role == "main" => stream.main = octets,
            Some(("keep", name)) => stream.kept.push((name.to_owned(), octets)),
            _ => stream.channels.push((role.to_owned(), octets)),
        }
    }
    stream
}

pub fn corpus() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    let folder = env::var_os("VMFERRY_CORPUS").map_or(beside, PathBuf::from);
    if folder.join("streams").is_dir() {
        return Some(folder);
    }
    println!("skipped: no corpus in {}; set VMFERRY_CORPUS", folder.display());
    None
}

pub fn read(path: &Path) -> Vec<u8> {
    let octets = fs::read(path).unwrap();
    if path.extension().is_some_and(|extension| extension == "zst") {
        return zstd::decode_all(&octets[..]).unwrap();
    }
    octets
}

/// Names and sidecars of the streams, sorted.
pub fn sidecars(corpus: &Path) -> Vec<(String, Value)> {
    let mut sidecars: Vec<_> = fs::read_dir(corpus.join("streams"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| {
            let sidecar: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), sidecar)
        })
        .collect();
    sidecars.sort_by(|a, b| a.0.cmp(&b.0));
    sidecars
}

pub fn main_channel(corpus: &Path, sidecar: &Value) -> Vec<u8> {
    let files = sidecar["files"].as_array().unwrap();
    let main = files.iter().find(|file| file["role"] == "main").unwrap();
    read(&corpus.join("streams").join(main["file"].as_str().unwrap()))
}
