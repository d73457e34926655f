//! Real QEMUs that stand still, are saved and load.
#![allow(dead_code, reason = "each test program uses its part")]

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vmferry_qmp::Client;

use crate::kit::qemu;

const PATIENCE: Duration = Duration::from_secs(60);

/// A paused QEMU.
pub(crate) struct Qemu {
    child: Child,
    pub(crate) client: Client,
    folder: tempfile::TempDir,
}

impl Qemu {
    pub(crate) fn start(version: &str, arguments: &[&str]) -> Option<Self> {
        qemu(&format!("qemu-{version}-x86_64"))?;
        Some(Self::try_start(version, arguments).unwrap())
    }

    /// Starts one that may not know its arguments; what it said then.
    pub(crate) fn try_start(version: &str, arguments: &[&str]) -> Result<Self, String> {
        let binary = qemu(&format!("qemu-{version}-x86_64")).ok_or("no such release here")?;
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("qmp");
        let errors = std::fs::File::create(folder.path().join("errors")).unwrap();
        let mut child = Command::new(binary)
            .args(["-accel", "tcg", "-m", "1M", "-S", "-nodefaults", "-display", "none", "-qmp"])
            .arg(format!("unix:{},server=on,wait=off", socket.display()))
            .args(arguments)
            .stdin(Stdio::null())
            .stderr(errors)
            .spawn()
            .unwrap();
        let deadline = Instant::now() + PATIENCE;
        while UnixStream::connect(&socket).is_err() {
            assert!(Instant::now() < deadline, "QEMU {version} does not listen");
            if child.try_wait().unwrap().is_some() {
                return Err(std::fs::read_to_string(folder.path().join("errors")).unwrap());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        match Client::connect(&socket) {
            Ok(client) => Ok(Self { child, client, folder }),
            // It listens before it looks at its devices.
            Err(_) => {
                child.wait().unwrap();
                Err(std::fs::read_to_string(folder.path().join("errors")).unwrap())
            }
        }
    }

    /// How the migration ends; what QEMU said, if it ended with it.
    pub(crate) fn wait(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.client.execute("query-migrate", Value::Null) {
                Ok(reply) if reply["status"] == "completed" => return Ok(()),
                Ok(reply) if reply["status"] == "failed" => return Err(reply.to_string()),
                Ok(_) => assert!(Instant::now() < deadline, "the migration does not end"),
                Err(_) => {
                    self.child.wait().unwrap();
                    return Err(std::fs::read_to_string(self.folder.path().join("errors")).unwrap());
                }
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Lets the guest run for a moment: its firmware sets devices up.
    pub(crate) fn run_for(&mut self, moment: Duration) {
        self.client.execute("cont", Value::Null).unwrap();
        std::thread::sleep(moment);
        self.client.execute("stop", Value::Null).unwrap();
    }

    /// Loads a stream; started with `-incoming defer`.
    pub(crate) fn load(&mut self, stream: &Path) -> Result<(), String> {
        let uri = format!("exec:cat {}", stream.display());
        // It may end before it answers; waiting tells.
        let _ = self.client.execute("migrate-incoming", json!({ "uri": uri }));
        self.wait()
    }

    /// Saves, if nothing blocks that.
    pub(crate) fn try_save(&mut self, stream: &Path) -> Result<(), String> {
        let uri = format!("exec:cat > {}", stream.display());
        self.client.execute("migrate", json!({ "uri": uri })).map_err(|error| error.to_string())?;
        self.wait()
    }

    pub(crate) fn save(&mut self, stream: &Path) {
        self.try_save(stream).unwrap();
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().unwrap();
    }
}
