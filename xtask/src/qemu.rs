//! Real QEMUs for the tests that compare with one: `tools/qemu-versions.sh` unpacks them beside the system.
//!
//! | looked for in | |
//! |---|---|
//! | `$VMFERRY_QEMU_DIR` | if set |
//! | `$XDG_CACHE_HOME/vmferry/qemu` | otherwise, if that is set |
//! | `~/.cache/vmferry/qemu` | otherwise |

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::workspace::{self, Workspace};

/// The releases that are tested against, oldest first. The script knows the same.
pub(crate) const VERSIONS: [&str; 4] = ["5.2", "7.2", "10.0", "11.1"];
const TARGETS: [&str; 3] = ["x86_64", "aarch64", "riscv64"];

/// Where the tests will look for QEMUs.
pub(crate) fn folder(workspace: &Workspace) -> PathBuf {
    env::var_os("VMFERRY_QEMU_DIR").map_or_else(|| workspace.cache.join("qemu"), |folder| workspace.root.join(folder))
}

/// Makes sure that each release is there and starts; fetches those that are not. Where that is impossible it says why,
/// and the tests that need them will be skipped.
pub(crate) fn provide(workspace: &Workspace, folder: &Path) {
    let missing = missing(folder);
    if missing.is_empty() {
        eprintln!("QEMU {}: in {}", VERSIONS.join(", "), folder.display());
        return;
    }
    eprintln!(
        "QEMU {}: unpacking into {} (about 450 MB each; --no-qemu does without)",
        missing.join(", "),
        folder.display()
    );
    let mut script = Command::new("bash");
    script.arg("tools/qemu-versions.sh").arg(folder).args(&missing).current_dir(&workspace.root);
    if let Err(error) = workspace::run(&mut script) {
        eprintln!(
            "note: the tests against QEMU {} will be skipped: {error:#}\n\
             note: they need Debian (or a derivative) on x86-64 and a reachable mirror, or wrappers \
             {}/bin/qemu-VERSION-TARGET of your own around any builds of these releases",
            self::missing(folder).join(", "),
            folder.display()
        );
    }
}

/// The releases of which a wrapper does not exist or does not start.
fn missing(folder: &Path) -> Vec<&'static str> {
    let starts = |version: &str, target: &str| {
        let wrapper = folder.join(format!("bin/qemu-{version}-{target}"));
        workspace::answer(Command::new(wrapper).arg("--version"))
            .is_some_and(|text| text.starts_with(&format!("QEMU emulator version {version}.")))
    };
    VERSIONS.into_iter().filter(|version| !TARGETS.iter().all(|target| starts(version, target))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_knows_the_same_releases_and_targets() {
        let workspace = Workspace::find().unwrap();
        let script = workspace::read(&workspace.root.join("tools/qemu-versions.sh")).unwrap();
        assert!(script.contains(&format!("ALL_VERSIONS=({})\n", VERSIONS.join(" "))));
        assert!(script.contains(&format!("TARGETS=({})\n", TARGETS.join(" "))));
    }

    #[test]
    fn a_wrapper_of_another_release_counts_as_missing() {
        let folder = env::temp_dir().join(format!("vmferry-xtask-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("bin")).unwrap();
        let write = |version: &str, target: &str, says: &str| {
            use std::os::unix::fs::PermissionsExt;
            let path = folder.join(format!("bin/qemu-{version}-{target}"));
            std::fs::write(&path, format!("#!/bin/sh\necho QEMU emulator version {says}\n")).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        };
        for target in TARGETS {
            write("5.2", target, "5.2.0");
            write("7.2", target, "7.20.1");
            write("10.0", target, "10.0.2");
        }
        std::fs::remove_file(folder.join("bin/qemu-10.0-riscv64")).unwrap();
        let missing = missing(&folder);
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(missing, ["7.2", "10.0", "11.1"]);
    }
}
