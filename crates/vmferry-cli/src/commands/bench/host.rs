//! The machine that it is measured on: what it is, and what is free of it.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use rustix::fs::statvfs;
use serde_json::{Value, json};

/// What a reader of figures should know of a machine.
#[derive(Debug, Clone)]
pub(super) struct Host {
    pub(super) processor: String,
    pub(super) cores: usize,
    pub(super) memory_gib: u64,
    pub(super) kernel: String,
    pub(super) huge_pages: String,
}

impl Host {
    pub(super) fn here() -> Self {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let cpuinfo = text("/proc/cpuinfo");
        let field = |name: &str| {
            let line = cpuinfo.lines().find(|line| line.starts_with(name));
            line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim())
        };
        let name = field("model name").or_else(|| field("uarch")).unwrap_or("a processor without a name");
        let processor = match (field("cpu family"), field("model\t")) {
            (Some(family), Some(model)) => format!("{name}, family {family} model {model}"),
            _ => name.to_owned(),
        };
        let huge = text("/sys/kernel/mm/transparent_hugepage/enabled");
        Self {
            processor,
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_gib: meminfo_bytes("MemTotal").map_or(0, |bytes| bytes.div_ceil(1 << 30)),
            kernel: text("/proc/sys/kernel/osrelease").trim().to_owned(),
            huge_pages: huge.split(['[', ']']).nth(1).unwrap_or("none").to_owned(),
        }
    }

    pub(super) fn text(&self) -> String {
        let Self { processor, cores, memory_gib, kernel, huge_pages } = self;
        format!("{cores} cores ({processor}), {memory_gib} GiB, Linux {kernel}, transparent huge pages: {huge_pages}")
    }

    pub(super) fn json(&self) -> Value {
        let Self { processor, cores, memory_gib, kernel, huge_pages } = self;
        json!({
            "processor": processor, "cores": cores, "memory_gib": memory_gib, "kernel": kernel,
            "transparent_huge_pages": huge_pages
        })
    }
}

/// What a measurement takes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Needs {
    pub(super) memory_bytes: u64,
    /// In the folder for files on a disk.
    pub(super) disk_bytes: u64,
}

impl Needs {
    /// Why it cannot be had; `disk` is where files would be.
    pub(super) fn missing(self, disk: &Path) -> Result<Option<String>> {
        let gib = |bytes: u64| format!("{}.{} GiB", bytes >> 30, ((bytes % (1 << 30)) * 10) >> 30);
        let free = meminfo_bytes("MemAvailable").context("no MemAvailable in /proc/meminfo")?;
        if free < self.memory_bytes {
            let needs = gib(self.memory_bytes);
            return Ok(Some(format!("it needs {needs} of memory, and {} are available", gib(free))));
        }
        let found = statvfs(disk).with_context(|| format!("the file system of {}", disk.display()))?;
        let free = found.f_bavail.saturating_mul(found.f_frsize);
        Ok((free < self.disk_bytes).then(|| {
            let (needs, disk) = (gib(self.disk_bytes), disk.display());
            format!("it needs {needs} in {disk}, and {} are free", gib(free))
        }))
    }
}

fn meminfo_bytes(name: &str) -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_free_is_told_with_both_figures() {
        let here = Path::new(".");
        assert_eq!(Needs::default().missing(here).unwrap(), None);
        let memory = Needs { memory_bytes: 1 << 60, disk_bytes: 0 }.missing(here).unwrap().unwrap();
        assert!(memory.starts_with("it needs 1073741824.0 GiB of memory, and "), "{memory}");
        let disk = Needs { memory_bytes: 0, disk_bytes: 3 << 59 }.missing(here).unwrap().unwrap();
        assert!(disk.starts_with("it needs 1610612736.0 GiB in ., and "), "{disk}");
    }

    #[test]
    fn the_machine_is_described() {
        let host = Host::here();
        assert!(host.cores > 0 && host.memory_gib > 0 && !host.kernel.is_empty(), "{host:?}");
        assert!(host.text().contains(&host.kernel));
    }
}
