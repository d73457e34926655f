//! A machine without a guest, a raw connection, and where real QEMUs are.
#![allow(dead_code, reason = "each test program uses its part")]

use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vmferry::channel::{Descriptors, Uri};
use vmferry::control::{Capabilities, Event, MigrationInfo, Parameters, RunState};
use vmferry::dirty_limit::VcpuDirtyLimit;
use vmferry::dirty_rate::{DirtyRate, DirtyRateRequest};
use vmferry_qmp::{CapabilitiesUpdate, Client, CommandError, EventBus, MachineInfo, Monitor, ParametersUpdate, Server};
use vmstate::machine::{DeviceType, MachineFamily, MachineVersion};
use vmstate::props::{OnOffAuto, Size};
use vmstate::{Properties, compat};

/// Longest wait for anything that must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Properties)]
#[properties(device = "pl011", parents = ["sys-bus-device"])]
pub(crate) struct Pl011Props {
    #[property(default = true)]
    pub(crate) migrate_clk: bool,
    #[property(default = 16)]
    pub(crate) fifo_depth: u32,
    #[property(default = OnOffAuto::Auto)]
    pub(crate) dma: OnOffAuto,
    #[property(default = [1, 2])]
    pub(crate) lines: Vec<i64>,
}

/// Some properties of QEMU's device of this name.
#[derive(Properties)]
#[properties(device = "virtio-rng-pci", parents = ["virtio-pci", "pci-device"])]
pub(crate) struct RngProps {
    #[property(default = false)]
    pub(crate) multifunction: bool,
    #[property(default = u32::MAX)]
    pub(crate) vectors: u32,
    #[property(default = i64::MAX.cast_unsigned())]
    pub(crate) max_bytes: u64,
    #[property(default = Size(4096))]
    pub(crate) x_max_bounce_buffer_size: Size,
    #[property(default = -1)]
    pub(crate) rombar: i32,
    #[property(default = OnOffAuto::Auto)]
    pub(crate) disable_legacy: OnOffAuto,
}

/// The machine types of the mock.
static VIRT: MachineFamily = MachineFamily::new(
    "virt",
    "8.2",
    &[
        MachineVersion { version: "8.2", compat: compat![] },
        MachineVersion { version: "5.1", compat: compat![("pl011", "fifo-depth", "1")] },
        MachineVersion {
            version: "5.0",
            compat: compat![("pl011", "migrate-clk", "off"), ("sys-bus-device", "fifo-depth", "8")],
        },
    ],
);
const DEVICE_TYPES: &[DeviceType] = &[DeviceType::of::<Pl011Props>(), DeviceType::of::<RngProps>()];
const _: () = VIRT.require(DEVICE_TYPES);

/// What the mock is.
#[derive(Debug, Default, Clone)]
pub(crate) struct State {
    pub(crate) run_state: RunState,
    pub(crate) parameters: Parameters,
    pub(crate) capabilities: Capabilities,
    pub(crate) migration: MigrationInfo,
    pub(crate) listening: Option<Uri>,
}

/// A monitor that obeys and takes notes.
pub(crate) struct Mock {
    pub(crate) state: Mutex<State>,
    pub(crate) calls: Mutex<Vec<String>>,
    pub(crate) descriptors: Descriptors,
    pub(crate) events: EventBus,
    quit: Sender<()>,
}

impl Mock {
    fn note(&self, call: String) {
        self.calls.lock().unwrap().push(call);
    }

    fn set(&self, run_state: RunState, event: Event) {
        let mut state = self.state.lock().unwrap();
        if state.run_state != run_state {
            state.run_state = run_state;
            self.events.emit(event);
        }
    }
}

impl Monitor for Mock {
    fn run_state(&self) -> RunState {
        self.state.lock().unwrap().run_state
    }

    fn stop(&self) -> Result<(), CommandError> {
        self.set(RunState::Paused, Event::Stop);
        Ok(())
    }

    fn cont(&self) -> Result<(), CommandError> {
        self.set(RunState::Running, Event::Resume);
        Ok(())
    }

    fn quit(&self) {
        self.note("quit".to_owned());
        self.quit.send(()).unwrap();
    }

    fn migrate(&self, uri: &Uri) -> Result<(), CommandError> {
        self.note(format!("migrate {uri}"));
        if let Uri::Fd(name) = uri {
            self.descriptors.open(name).map_err(|error| CommandError::generic(error.to_string()))?;
        }
        Ok(())
    }

    fn migrate_incoming(&self, uri: &Uri, exit_on_error: bool) -> Result<(), CommandError> {
        self.note(format!("migrate-incoming {uri} {exit_on_error}"));
        if self.run_state() == RunState::InMigrate { Ok(()) } else { Err(CommandError::generic("not '-incoming'")) }
    }

    fn migrate_cancel(&self) {
        self.note("migrate_cancel".to_owned());
    }

    fn migration(&self) -> MigrationInfo {
        self.state.lock().unwrap().migration.clone()
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

    fn set_vcpu_dirty_limit(&self, vcpu: Option<u64>, mb_per_s: u64) -> Result<(), CommandError> {
        self.note(format!("set-vcpu-dirty-limit {vcpu:?} {mb_per_s}"));
        Ok(())
    }

    fn cancel_vcpu_dirty_limit(&self, vcpu: Option<u64>) -> Result<(), CommandError> {
        self.note(format!("cancel-vcpu-dirty-limit {vcpu:?}"));
        Ok(())
    }

    fn vcpu_dirty_limits(&self) -> Vec<VcpuDirtyLimit> {
        vec![VcpuDirtyLimit { vcpu: 1, limit_mb_per_s: u64::MAX, current_mb_per_s: 15 }]
    }

    fn listening(&self) -> Option<Uri> {
        self.state.lock().unwrap().listening.clone()
    }

    fn parameters(&self) -> Parameters {
        self.state.lock().unwrap().parameters
    }

    fn set_parameters(&self, update: ParametersUpdate) -> Result<(), CommandError> {
        let mut state = self.state.lock().unwrap();
        state.parameters = update.applied_to(state.parameters);
        Ok(())
    }

    fn capabilities(&self) -> Capabilities {
        self.state.lock().unwrap().capabilities
    }

    fn set_capabilities(&self, update: CapabilitiesUpdate) -> Result<(), CommandError> {
        let mut state = self.state.lock().unwrap();
        let capabilities = update.applied_to(state.capabilities);
        capabilities.check().map_err(CommandError::generic)?;
        state.capabilities = capabilities;
        Ok(())
    }

    fn register_fd(&self, name: &str, descriptor: OwnedFd) -> Result<(), CommandError> {
        self.descriptors.register(name, descriptor).map_err(CommandError::generic)
    }

    fn close_fd(&self, name: &str) -> Result<(), CommandError> {
        self.descriptors.close(name).map_err(CommandError::generic)
    }

    fn machines(&self) -> Vec<MachineInfo> {
        VIRT.machine_types()
            .map(|machine_type| MachineInfo {
                machine_type,
                is_default: machine_type.is_newest(),
                cpu_max: 8,
                has_hotpluggable_cpus: false,
                has_numa_memory: true,
                has_acpi: true,
                default_ram_id: Some("mach-virt.ram".to_owned()),
                default_cpu_type: None,
            })
            .collect()
    }

    fn device_types(&self) -> Vec<DeviceType> {
        DEVICE_TYPES.to_vec()
    }
}

/// A mock behind a server.
pub(crate) struct Served {
    pub(crate) mock: Arc<Mock>,
    pub(crate) server: Server,
    pub(crate) has_quit: Receiver<()>,
    folder: tempfile::TempDir,
}

pub(crate) fn serve() -> Served {
    let folder = tempfile::tempdir().unwrap();
    let (quit, has_quit) = channel();
    let mock = Arc::new(Mock {
        state: Mutex::default(),
        calls: Mutex::default(),
        descriptors: Descriptors::default(),
        events: EventBus::new(),
        quit,
    });
    let monitor: Arc<dyn Monitor> = mock.clone();
    let server = Server::bind(&folder.path().join("qmp"), monitor, mock.events.clone()).unwrap();
    Served { mock, server, has_quit, folder }
}

/// A connection that sends octets and reads lines.
pub(crate) struct Raw {
    pub(crate) stream: UnixStream,
    lines: BufReader<UnixStream>,
}

impl Raw {
    /// Connects and reads the greeting.
    pub(crate) fn connect(path: &Path) -> (Self, Value) {
        let stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let lines = BufReader::new(stream.try_clone().unwrap());
        let mut raw = Self { stream, lines };
        let greeting = raw.read();
        (raw, greeting)
    }

    /// Connects and negotiates.
    pub(crate) fn negotiated(path: &Path) -> Self {
        let (mut raw, _) = Self::connect(path);
        let reply = raw.ask(r#"{"execute":"qmp_capabilities"}"#);
        assert_eq!(reply, serde_json::json!({"return": {}}));
        raw
    }

    pub(crate) fn send(&mut self, octets: impl AsRef<[u8]>) {
        self.stream.write_all(octets.as_ref()).unwrap();
    }

    /// The next message, whose line must end with CR LF.
    pub(crate) fn read(&mut self) -> Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        assert!(line.ends_with("\r\n"), "{line:?}");
        serde_json::from_str(&line).unwrap()
    }

    /// Whether the other side has closed; what it sent before is dropped.
    pub(crate) fn is_closed(&mut self) -> bool {
        let mut rest = Vec::new();
        match std::io::Read::read_to_end(&mut self.lines, &mut rest) {
            Ok(_) => true,
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }

    /// Sends one request and reads its reply, dropping events.
    pub(crate) fn ask(&mut self, request: impl AsRef<[u8]>) -> Value {
        self.send(request);
        loop {
            let message = self.read();
            if message.get("event").is_none() {
                return message;
            }
        }
    }
}

/// A real QEMU without a machine, with a QMP socket.
pub(crate) struct Qemu {
    child: Child,
    pub(crate) path: PathBuf,
    _folder: tempfile::TempDir,
}

impl Qemu {
    /// Starts the binary of `version`, or prints why not.
    pub(crate) fn start(version: &str) -> Option<Self> {
        Self::start_with(version, &[])
    }

    /// The same with more arguments.
    pub(crate) fn start_with(version: &str, arguments: &[&str]) -> Option<Self> {
        let folder = std::env::var_os("VMFERRY_QEMU_DIR").map(PathBuf::from).or_else(|| {
            let home = std::env::var_os("HOME")?;
            Some(PathBuf::from(home).join(".cache/vmferry/qemu"))
        });
        let binary = folder?.join(format!("bin/qemu-{version}-x86_64"));
        if !binary.exists() {
            println!("skipped: {} does not exist", binary.display());
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("qmp");
        let child = Command::new(&binary)
            .args(["-M", "none", "-S", "-nodefaults", "-display", "none", "-qmp"])
            .arg(format!("unix:{},server=on,wait=off", path.display()))
            .args(arguments)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let qemu = Self { child, path, _folder: folder };
        let deadline = Instant::now() + PATIENCE;
        while UnixStream::connect(&qemu.path).is_err() {
            assert!(Instant::now() < deadline, "{} does not listen", binary.display());
            std::thread::yield_now();
        }
        Some(qemu)
    }
}

/// Waits until a QEMU's migration has the status `wanted`; `context` is told where it does not come there.
pub(crate) fn wait_for(client: &mut Client, wanted: &str, context: impl std::fmt::Debug) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let reply = client.execute("query-migrate", Value::Null).unwrap();
        let status = reply.get("status").and_then(Value::as_str);
        if status == Some(wanted) {
            return reply;
        }
        assert!(status != Some("failed") && Instant::now() < deadline, "{context:?}: {reply}");
        std::thread::yield_now();
    }
}

/// The first `bytes` of the RAM of a stopped QEMU.
pub(crate) fn memory_of(client: &mut Client, folder: &Path, bytes: usize) -> Vec<u8> {
    let path = folder.join("memory");
    client.execute("pmemsave", json!({"val": 0, "size": bytes, "filename": path})).unwrap();
    std::fs::read(path).unwrap()
}

impl Drop for Qemu {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}
