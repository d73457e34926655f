//! Finds and runs real QEMUs, for the tests that compare with them.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Longest run of a QEMU before it is ended.
const LIMIT: Duration = Duration::from_secs(60);

/// The `qemu-system-riscv64` of a release, if there is one: `$VMFERRY_QEMU_DIR` or `~/.cache/vmferry/qemu`,
/// `bin/qemu-RELEASE-riscv64` in it. Otherwise prints why the test does nothing.
pub fn find(release: &str) -> Option<PathBuf> {
    let directory = match std::env::var_os("VMFERRY_QEMU_DIR") {
        Some(directory) => PathBuf::from(directory),
        None => PathBuf::from(std::env::var_os("HOME")?).join(".cache/vmferry/qemu"),
    };
    let path = directory.join(format!("bin/qemu-{release}-riscv64"));
    if path.exists() {
        return Some(path);
    }
    println!("skipped: there is no {}", path.display());
    None
}

/// Boots `image` on `-M virt` with a CPU like ours and returns what it printed until it powered off.
pub fn run(qemu: &PathBuf, image: &[u8], options: &[&str]) -> String {
    let cpu = ["-cpu", "rv64i,m=true,a=true,c=true,zicsr=true,zifencei=true"];
    boot(qemu, image, &[&cpu, options].concat())
}

/// Boots `image` on `-M virt` and returns what it printed until it powered off.
pub fn boot(qemu: &PathBuf, image: &[u8], options: &[&str]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let bios = directory.path().join("image.bin");
    let complaints = directory.path().join("stderr");
    std::fs::write(&bios, image).unwrap();
    let mut child = Command::new(qemu)
        .args(["-M", "virt", "-nodefaults", "-display", "none", "-serial", "stdio", "-bios"])
        .arg(&bios)
        .args(options)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(&complaints).unwrap())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        let read = stdout.read_to_string(&mut text);
        let _ = sender.send(read.map(|_| text));
    });
    // Its output ends when it does.
    let in_time = receiver.recv_timeout(LIMIT);
    if in_time.is_err() {
        child.kill().unwrap();
    }
    let status = child.wait().unwrap();
    let complaints = std::fs::read_to_string(complaints).unwrap();
    let Ok(text) = in_time else { panic!("the program did not power off within {LIMIT:?}: {complaints}") };
    let text = text.unwrap();
    assert!(status.success(), "QEMU ended with {status}: {complaints}; the program printed:\n{text}");
    text
}

/// Boots `image`, and as soon as it has printed a line that `until` accepts, stops it and returns its migration stream.
pub fn save_when(qemu: &PathBuf, image: &[u8], options: &[&str], until: impl Fn(&str) -> bool) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("image.bin"), image).unwrap();
    let mut child = Command::new(qemu)
        .args(["-M", "virt", "-nodefaults", "-display", "none", "-serial", "stdio", "-bios"])
        .arg(path("image.bin"))
        .args(["-monitor", &format!("unix:{},server=on,wait=off", path("monitor"))])
        .args(options)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let reached = lines.map_while(Result::ok).any(|line| until(&line));
    if reached {
        let mut monitor = UnixStream::connect(path("monitor")).unwrap();
        monitor.set_read_timeout(Some(LIMIT)).unwrap();
        // The monitor serves one command after the other: `quit` comes after the stream is complete.
        let commands = format!("stop\nmigrate \"exec:cat > {}\"\nquit\n", path("stream"));
        monitor.write_all(commands.as_bytes()).unwrap();
        let mut answer = Vec::new();
        monitor.read_to_end(&mut answer).unwrap();
    } else {
        child.kill().unwrap();
    }
    child.wait().unwrap();
    assert!(reached, "the program ended before it printed what was waited for");
    std::fs::read(path("stream")).unwrap()
}
