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
        let binary = qemu(&format!("qemu-{version}-x86_64"))?;
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("qmp");
        let errors = std::fs::File::create(folder.path().join("errors")).unwrap();
        let child = Command::new(binary)
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
            std::thread::yield_now();
        }
        let client = Client::connect(&socket).unwrap();
        Some(Self { child, client, folder })
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
            std::thread::yield_now();
        }
    }

    pub(crate) fn save(&mut self, stream: &Path) {
        let uri = format!("exec:cat > {}", stream.display());
        self.client.execute("migrate", json!({ "uri": uri })).unwrap();
        self.wait().unwrap();
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().unwrap();
    }
}
