//! Runs the command, and a machine without a guest for it to talk to.
#![allow(dead_code, reason = "each test program uses its part")]

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use vmferry::channel::Uri;
use vmferry::control::{Capabilities, MigrationInfo, Parameters, RunState};
use vmferry::dirty_limit::VcpuDirtyLimit;
use vmferry::dirty_rate::{DirtyRate, DirtyRateRequest};
use vmferry_qmp::{CapabilitiesUpdate, CommandError, EventBus, MachineInfo, Monitor, ParametersUpdate, Server};
use vmstate::machine::DeviceType;

/// The command, not yet started; without a terminal and without variables that change what it prints.
pub(crate) fn vmferry(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vmferry"));
    command.args(args).stdin(Stdio::null());
    for variable in ["NO_COLOR", "CLICOLOR_FORCE", "VMFERRY_LOG"] {
        command.env_remove(variable);
    }
    command
}

/// A recorded file of `vmferry-inspect`, decompressed into a folder.
pub(crate) fn recorded(folder: &Path, name: &str) -> String {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vmferry-inspect/tests/data");
    let octets = std::fs::read(data.join(format!("{name}.zst"))).unwrap();
    let path = folder.join(name);
    std::fs::write(&path, zstd::decode_all(&octets[..]).unwrap()).unwrap();
    path.to_str().unwrap().to_owned()
}

/// What the command did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Standard output as the one JSON document that it must be.
    pub(crate) fn document(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap()
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

pub(crate) fn run(args: &[&str]) -> Ran {
    vmferry(args).output().unwrap().into()
}

/// A machine whose migration goes through the given states, one a look; the last one stays.
pub(crate) struct Scripted {
    pub(crate) script: Mutex<Vec<MigrationInfo>>,
    pub(crate) started_with: Mutex<Option<Uri>>,
    pub(crate) parameters: Mutex<Parameters>,
    pub(crate) capabilities: Mutex<Capabilities>,
}

impl Monitor for Scripted {
    fn run_state(&self) -> RunState {
        RunState::Running
    }

    fn stop(&self) -> Result<(), CommandError> {
        Err(CommandError::generic("not in this test"))
    }

    fn cont(&self) -> Result<(), CommandError> {
        Err(CommandError::generic("not in this test"))
    }

    fn quit(&self) {}

    fn migrate(&self, uri: &Uri) -> Result<(), CommandError> {
        *self.started_with.lock().unwrap() = Some(uri.clone());
        Ok(())
    }

    fn migrate_incoming(&self, _: &Uri, _: bool) -> Result<(), CommandError> {
        Err(CommandError::generic("not in this test"))
    }

    fn migrate_cancel(&self) {}

    fn migration(&self) -> MigrationInfo {
        if self.started_with.lock().unwrap().is_none() {
            return MigrationInfo::default();
        }
        let mut script = self.script.lock().unwrap();
        if script.len() > 1 { script.remove(0) } else { script.first().unwrap().clone() }
    }

    fn memory_bytes(&self) -> u64 {
        1 << 30
    }

    fn calc_dirty_rate(&self, _: DirtyRateRequest) -> Result<(), CommandError> {
        Err(CommandError::generic("not in this test"))
    }

    fn dirty_rate(&self) -> DirtyRate {
        DirtyRate::default()
    }

    fn set_vcpu_dirty_limit(&self, _: Option<u64>, _: u64) -> Result<(), CommandError> {
        Ok(())
    }

    fn cancel_vcpu_dirty_limit(&self, _: Option<u64>) -> Result<(), CommandError> {
        Ok(())
    }

    fn vcpu_dirty_limits(&self) -> Vec<VcpuDirtyLimit> {
        Vec::new()
    }

    fn listening(&self) -> Option<Uri> {
        None
    }

    fn parameters(&self) -> Parameters {
        *self.parameters.lock().unwrap()
    }

    fn set_parameters(&self, update: ParametersUpdate) -> Result<(), CommandError> {
        let mut parameters = self.parameters.lock().unwrap();
        *parameters = update.applied_to(*parameters);
        Ok(())
    }

    fn capabilities(&self) -> Capabilities {
        *self.capabilities.lock().unwrap()
    }

    fn set_capabilities(&self, update: CapabilitiesUpdate) -> Result<(), CommandError> {
        let mut capabilities = self.capabilities.lock().unwrap();
        let updated = update.applied_to(*capabilities);
        updated.check().map_err(CommandError::generic)?;
        *capabilities = updated;
        Ok(())
    }

    fn register_fd(&self, _: &str, _: OwnedFd) -> Result<(), CommandError> {
        Err(CommandError::generic("not in this test"))
    }

    fn close_fd(&self, _: &str) -> Result<(), CommandError> {
        Err(CommandError::generic("not in this test"))
    }

    fn machines(&self) -> Vec<MachineInfo> {
        Vec::new()
    }

    fn device_types(&self) -> Vec<DeviceType> {
        Vec::new()
    }
}

/// A scripted machine behind a QMP server.
pub(crate) struct Served {
    pub(crate) machine: Arc<Scripted>,
    pub(crate) server: Server,
    /// For `--qmp`.
    pub(crate) address: String,
    _folder: tempfile::TempDir,
}

pub(crate) fn serve(script: Vec<MigrationInfo>) -> Served {
    let folder = tempfile::tempdir().unwrap();
    let machine = Arc::new(Scripted {
        script: Mutex::new(script),
        started_with: Mutex::default(),
        parameters: Mutex::default(),
        capabilities: Mutex::default(),
    });
    let path = folder.path().join("qmp");
    let server = Server::bind(&path, machine.clone(), EventBus::new()).unwrap();
    Served { machine, server, address: format!("unix:{}", path.display()), _folder: folder }
}

/// Where a real QEMU is, or a line that says that there is none.
pub(crate) fn qemu(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("VMFERRY_QEMU_DIR")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache/vmferry/qemu")))?;
    let binary = folder.join("bin").join(name);
    if binary.exists() {
        return Some(binary);
    }
    println!("skipped: {} does not exist", binary.display());
    None
}

/// Whether there is KVM; a line says so where there is none.
pub(crate) fn has_kvm() -> bool {
    match std::fs::OpenOptions::new().read(true).write(true).open("/dev/kvm") {
        Ok(_) => true,
        Err(error) => {
            eprintln!("skipped: /dev/kvm: {error}");
            false
        }
    }
}
