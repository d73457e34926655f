//! Real QEMUs are asked whether they load what other ones saved.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod kit;
#[path = "kit/real_qemu.rs"]
mod real_qemu;

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use kit::{Ran, qemu, run};
use real_qemu::Qemu;
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(30);

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Saves a machine that never ran.
fn save(version: &str, arguments: &[&str], stream: &Path) {
    Qemu::start(version, arguments).unwrap().save(stream);
}

fn rehearse(stream: &Path, program: &Path, arguments: &[&str]) -> Ran {
    let mut words = vec!["rehearse", "--json", stream.to_str().unwrap(), "--", program.to_str().unwrap()];
    words.extend(["-accel", "tcg", "-nodefaults"]);
    words.extend(arguments);
    run(&words)
}

/// One property of 10.0 has its new value on an old machine type, as if the compatibility entry had been forgotten
/// (`docs/spec/compat.md` section 7); 5.2 refuses, and the cause is found.
#[test]
fn a_forgotten_compatibility_entry_is_found_by_its_refusal() {
    let (Some(_), Some(old)) = (qemu("qemu-10.0-x86_64"), qemu("qemu-5.2-x86_64")) else { return };
    let folder = tempfile::tempdir().unwrap();
    let stream = folder.path().join("stream");
    let machine = ["-M", "pc-q35-5.2", "-m", "16"];
    for (source, destination, what) in [
        (&["-global", "i8042.extended-state=on"][..], &[][..], "'pckbd' has the subsection 'pckbd/extended_state'"),
        (&["-global", "migration.send-switchover-start=on"], &[], "a command 0xb that the destination does not know"),
        (
            &["-device", "e1000e,romfile=", "-global", "e1000e.migrate-timadj=on"],
            &["-device", "e1000e,romfile="],
            "the state of '0000:00:01.0/e1000e' has another length",
        ),
        (
            &["-device", "virtio-rng-pci,vectors=2"],
            &["-device", "virtio-rng-pci"],
            "configuration space differs at offset 0x34",
        ),
        (&["-device", "virtio-rng-pci"], &[], "a section '0000:00:01.0/virtio-rng' instance 0"),
        (&[], &["-m", "32"], "RAM block 'pc.ram' has 0x1000000 bytes in the stream and 0x2000000"),
        (&[], &["-M", "pc-q35-5.1"], "of machine type 'pc-q35-5.2', the destination is a 'pc-q35-5.1'"),
    ] {
        save("10.0", &[&machine[..], source].concat(), &stream);
        let ran = rehearse(&stream, &old, &[&machine[..], destination].concat());
        let document = ran.document();
        assert_eq!((ran.code, &document["verdict"]), (Some(1), &json!("refused")), "{source:?}: {document:#}");
        let causes = document["causes"].as_array().unwrap();
        assert_eq!(causes.len(), 1, "{source:?}: {document:#}");
        assert!(causes[0]["what"].as_str().unwrap().contains(what), "{source:?}: {document:#}");
        let recipe = causes[0]["recipe"].as_str().unwrap();
        assert!(!recipe.is_empty());
        if what.contains("extended_state") {
            // What it advises is what `edit` takes.
            let path = recipe.split_once("--drop-subsection '").unwrap().1.trim_end_matches('\'');
            let mended = folder.path().join("mended");
            let files = [&stream, &mended].map(|file| file.to_str().unwrap());
            let edited = run(&["edit", files[0], files[1], "--drop-subsection", path]);
            assert_eq!(edited.code, Some(0), "{}", edited.stderr);
            assert_eq!(rehearse(&mended, &old, &machine).code, Some(0), "mended, it loads");
        }
        assert!(!document["said"].as_array().unwrap().is_empty());
    }
}

#[test]
fn what_fits_loads_in_both_directions() {
    let (Some(new), Some(old)) = (qemu("qemu-10.0-x86_64"), qemu("qemu-5.2-x86_64")) else { return };
    let folder = tempfile::tempdir().unwrap();
    let stream = folder.path().join("stream");
    let machine = ["-M", "pc-q35-5.2", "-m", "16", "-device", "virtio-rng-pci"];
    for to in [&new, &old] {
        save("5.2", &machine, &stream);
        let ran = rehearse(&stream, to, &machine);
        assert_eq!((ran.code, &ran.document()["verdict"]), (Some(0), &json!("loads")), "{}", ran.stdout);
    }
    let ran = run(&["rehearse", stream.to_str().unwrap(), "--", old.to_str().unwrap(), "-accel", "tcg", "-nodefaults"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stdout.contains("do      start the destination with"), "{}", ran.stdout);
}

#[test]
fn our_own_machine_rehearses_too() {
    let folder = tempfile::tempdir().unwrap();
    let stream = folder.path().join("stream");
    let socket = folder.path().join("qmp");
    let qmp = format!("unix:{}", socket.display());
    let arguments = ["run", "--memory", "8M", "--qmp", &qmp, "--serial", "/dev/null"];
    let _running = Running(kit::vmferry(&arguments).stdout(Stdio::null()).spawn().unwrap());
    let deadline = Instant::now() + PATIENCE;
    while !socket.exists() {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(10));
    }
    let uri = format!("file:{}", stream.display());
    assert_eq!(run(&["migrate", "--qmp", &qmp, &uri, "--follow"]).code, Some(0));
    let program = env!("CARGO_BIN_EXE_vmferry");
    let path = stream.to_str().unwrap();
    let ran = run(&["rehearse", path, "--", program, "run", "--memory", "8M", "--serial", "/dev/null"]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    let ran = run(&["rehearse", path, "--", program, "run", "--memory", "16M", "--serial", "/dev/null"]);
    assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("it said"), "{}", ran.stdout);

    let octets = std::fs::read(&stream).unwrap();
    std::fs::write(&stream, octets.get(..octets.len() / 2).unwrap()).unwrap();
    assert_eq!(run(&["rehearse", path, "--", program, "run"]).code, Some(3), "cut short");
    std::fs::write(&stream, octets).unwrap();
    assert_eq!(run(&["rehearse", path, "--", "/bin/false"]).code, Some(4), "no destination");
    assert_eq!(run(&["rehearse", path, "--", program, "run", "--incoming", "defer"]).code, Some(2));
    assert_eq!(run(&["rehearse", path, "--channel", path, "--", program, "run"]).code, Some(2));
}

/// A destination that closes its control plane once the stream comes, and lives on.
const HANGING: &str = r#"
import json, socket, sys, time
words = dict(zip(sys.argv, sys.argv[1:]))
path = words["-qmp"].removeprefix("unix:").split(",")[0]
server = socket.socket(socket.AF_UNIX)
server.bind(path)
server.listen()
while True:
    client, _ = server.accept()
    lines = client.makefile("rw")
    say = lambda document: print(json.dumps(document), file=lines, flush=True)
    say({"QMP": {"version": {"qemu": {"micro": 0, "minor": 0, "major": 10}, "package": ""}, "capabilities": []}})
    for line in lines:
        request = json.loads(line)
        say({"return": {}, **({"id": request["id"]} if "id" in request else {})})
        if request["execute"] == "migrate-incoming":
            way_in = socket.socket(socket.AF_UNIX)
            way_in.bind(request["arguments"]["uri"].removeprefix("unix:"))
            way_in.listen()
            client.shutdown(socket.SHUT_RDWR)
            way_in.accept()
            time.sleep(600)
"#;

#[test]
fn a_destination_that_hangs_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let (stream, script) = (folder.path().join("stream"), folder.path().join("hanging.py"));
    std::fs::write(&stream, include_bytes!("../../vmferry-inspect/tests/data/none-10.0.bin")).unwrap();
    std::fs::write(&script, HANGING).unwrap();
    let start = Instant::now();
    let words = [
        "rehearse",
        "--style",
        "qemu",
        "--timeout",
        "1",
        stream.to_str().unwrap(),
        "--",
        "python3",
        script.to_str().unwrap(),
    ];
    let ran = run(&words);
    assert_eq!(ran.code, Some(4), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("does not answer, and does not end"), "{}", ran.stderr);
    assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
}
