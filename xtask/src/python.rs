//! The QMP client that QEMU's developers publish, in a Python environment of its own, for the test that our server
//! suits it.

use std::env;
use std::ffi::OsString;
use std::process::Command;

use crate::workspace::{self, Workspace};

/// The client's package. 0.0.6 is what the server was written against.
const PACKAGE: &str = "qemu.qmp==0.0.6";

/// A Python that can import the client; `None`, with the reason printed, where there is none and none can be made.
pub(crate) fn provide(workspace: &Workspace) -> Option<OsString> {
    let has_client =
        |python: &OsString| workspace::answer(Command::new(python).args(["-c", "import qemu.qmp"])).is_some();
    let named = env::var_os("VMFERRY_QMP_PYTHON");
    let environment = workspace.cache.join("python");
    let candidates = [named.clone(), Some("python3".into()), Some(environment.join("bin/python").into_os_string())];
    if let Some(python) = candidates.into_iter().flatten().find(has_client) {
        return Some(python);
    }
    if let Some(named) = named {
        eprintln!("note: VMFERRY_QMP_PYTHON={} cannot import qemu.qmp", named.display());
    }
    let made =
        workspace::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment)).and_then(|()| {
            let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", PACKAGE];
            workspace::run(Command::new(environment.join("bin/python")).args(pip))
        });
    match made {
        Ok(()) => Some(environment.join("bin/python").into_os_string()),
        Err(error) => {
            eprintln!(
                "note: the test with the QMP client from PyPI will be skipped: {error:#}\n\
                 note: it needs python3 with venv (package python3-venv) and a reachable package index, or \
                 VMFERRY_QMP_PYTHON naming a Python that can import qemu.qmp"
            );
            None
        }
    }
}
