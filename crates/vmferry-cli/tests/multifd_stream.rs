//! What a source sends by multifd, captured channel by channel, is read by `analyze`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::io::Read as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vmferry_qmp::Client;

/// A machine that ends with the test.
struct Machine(Child);

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(socket: &Path) -> (Machine, Client) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vmferry"));
    command.args(["run", "--memory", "16M", "--paused", "--quiet", "--qmp"]).arg(format!("unix:{}", socket.display()));
    let machine = Machine(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap());
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match Client::connect(socket) {
            Ok(client) => return (machine, client),
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn each_compression_is_read_channel_by_channel() {
    for compression in ["none", "zlib", "zstd"] {
        let dir = tempfile::tempdir().unwrap();
        let (_machine, mut client) = start(&dir.path().join("qmp"));
        let off = |name: &str, state: bool| json!({"capability": name, "state": state});
        let capabilities = json!({"capabilities": [off("multifd", true), off("return-path", false)]});
        client.execute("migrate-set-capabilities", capabilities).unwrap();
        let parameters = json!({"multifd-channels": 3, "multifd-compression": compression, "max-bandwidth": 0});
        client.execute("migrate-set-parameters", parameters).unwrap();
        let listener = UnixListener::bind(dir.path().join("m")).unwrap();
        let uri = format!("unix:{}", dir.path().join("m").display());
        client.execute("migrate", json!({ "uri": uri })).unwrap();
        // The main channel is the first; each is read to its end.
        let readers: Vec<_> = (0..4)
            .map(|_| {
                let (mut channel, _) = listener.accept().unwrap();
                thread::spawn(move || {
                    let mut octets = Vec::new();
                    channel.read_to_end(&mut octets).unwrap();
                    octets
                })
            })
            .collect();
        let mut analyze = Command::new(env!("CARGO_BIN_EXE_vmferry"));
        analyze.args(["analyze", "--json", "--extract-ram"]).arg(dir.path().join("ram"));
        for (number, reader) in readers.into_iter().enumerate() {
            let file = dir.path().join(format!("channel-{number}"));
            std::fs::write(&file, reader.join().unwrap()).unwrap();
            if number > 0 {
                analyze.arg("--channel");
            }
            analyze.arg(file);
        }
        let output = analyze.output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{compression}: {errors}");
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        let dialects = document["format"]["dialect"].as_array().unwrap();
        assert!(dialects.contains(&json!("multifd")), "{compression}: {dialects:?}");
        if compression != "none" {
            assert!(dialects.contains(&json!(format!("multifd-{compression}"))), "{compression}: {dialects:?}");
        }
        // The RAM that comes out is the machine's.
        let dump = dir.path().join("ram");
        let files: Vec<_> = std::fs::read_dir(&dump).unwrap().map(|file| file.unwrap().path()).collect();
        let bytes: u64 = files.iter().map(|file| std::fs::metadata(file).unwrap().len()).sum();
        assert_eq!(bytes, 16 << 20, "{files:?}");
        assert!(
            files.iter().any(|file| std::fs::read(file).unwrap().iter().any(|octet| *octet != 0)),
            "the guest's image"
        );
    }
}
