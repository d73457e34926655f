//! Properties and machine types beside a real QEMU: what texts mean, in which order settings win, how types are named
//! and how machine types age (`docs/properties.md`, `docs/spec/compat.md` sections 2 and 3).
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod kit;

use kit::{Qemu, RngProps, serve};
use serde_json::{Value, json};
use vmferry_qmp::Client;
use vmstate::machine::{DeviceType, Global, LifeCycle, MachineFamily, MachineVersion, Status, Version};
use vmstate::{Properties, Settings, compat};

const RNG: [&str; 2] = ["-object", "rng-random,id=r0,filename=/dev/urandom"];

/// Sets a property of a new device to a text, and reads it; `None` if the text is refused.
fn read_by_qemu(client: &mut Client, id: usize, property: &str, text: &str) -> Option<Value> {
    let line = format!("device_add virtio-rng-pci,id=x{id},rng=r0,{property}={text}");
    let said = client.execute("human-monitor-command", json!({"command-line": line})).unwrap();
    let path = format!("/machine/peripheral/x{id}");
    let value = client.execute("qom-get", json!({"path": path, "property": property})).ok();
    assert_eq!(value.is_some(), said == "", "{property}={text}: {said}");
    value
}

/// The same by us, in the JSON that QEMU would answer.
fn read_by_us(property: &str, text: &str) -> Option<Value> {
    let mut props = RngProps::defaults();
    props.set(property, text).ok()?;
    Some(match props.value(property).unwrap().to_string() {
        text if text == "on" && property == "multifunction" => json!(true),
        text if text == "off" && property == "multifunction" => json!(false),
        text => serde_json::from_str(&text).unwrap_or_else(|_| json!(text)),
    })
}

#[test]
fn a_text_that_is_taken_means_what_it_means_to_qemu() {
    let Some(qemu) = Qemu::start_with("10.0", &[&["-machine", "pc"][..], &RNG].concat()) else { return };
    let mut client = Client::connect(&qemu.path).unwrap();
    let mut count = 0;
    let mut both = |property: &str, text: &str| {
        count += 1;
        (read_by_us(property, text), read_by_qemu(&mut client, count, property, text))
    };
    // As many as there are slots on the bus are devices; what is refused takes none.
    for (property, taken) in [
        ("multifunction", &["on", "off", "yes", "no", "true", "false", "y", "n"][..]),
        ("vectors", &["5", "0x10", "0X1f", "0"]),
        ("x-max-bounce-buffer-size", &["1", "4k", "4K", "2m", "1G", "0x1000", "7b"]),
        ("rombar", &["1", "-1", "-0x1", "0x7fffffff", "-2147483648"]),
        ("disable-legacy", &["on", "off"]),
    ] {
        for text in taken {
            let (ours, qemus) = both(property, text);
            assert!(ours.is_some() && ours == qemus, "{property}={text}: {ours:?} {qemus:?}");
        }
    }
    for (property, refused) in [
        ("multifunction", &["On", "ON", "1", "0", "t"][..]),
        ("vectors", &["-1", "4294967296", "1k", "1e3", "5.0", "08"]),
        ("x-max-bounce-buffer-size", &["-1", "16E", "1KiB", "1kk", "0x1k", "1.5", "18446744073709551616"]),
        ("rombar", &["2147483648", "-2147483649", "0xffffffff"]),
        ("disable-legacy", &["yes", "true", "n", "Auto"]),
    ] {
        for text in refused {
            assert_eq!(both(property, text), (None, None), "{property}={text}");
        }
    }
    // Where we are stricter, as `docs/properties.md` section 1 says.
    for (property, text, qemus) in
        [("vectors", "010", json!(8)), ("vectors", "+5", json!(5)), ("x-max-bounce-buffer-size", "1.5K", json!(1536))]
    {
        assert_eq!(both(property, text), (None, Some(qemus)), "{property}={text}");
    }
}

#[test]
fn settings_win_in_the_order_in_which_they_win_in_qemu() {
    static Q35: MachineFamily = MachineFamily::new(
        "pc-q35",
        "10.0",
        &[
            MachineVersion { version: "10.0", compat: compat![] },
            MachineVersion { version: "7.1", compat: compat![("virtio-rng-pci", "vectors", "0")] },
        ],
    );
    for (machine, globals, own) in [
        ("pc-q35-7.1", &[][..], None),
        ("pc-q35-7.1", &["virtio-rng-pci.vectors=5"], None),
        ("pc-q35-7.1", &["virtio-rng-pci.vectors=5", "virtio-pci.vectors=7"], None),
        ("pc-q35-7.1", &["virtio-pci.vectors=7", "virtio-rng-pci.vectors=5"], None),
        ("pc-q35-10.0", &["virtio-rng-pci.vectors=5", "virtio-rng-pci.vectors=6"], None),
        ("pc-q35-7.1", &["virtio-rng-pci.vectors=5", "virtio-pci.vectors=7"], Some("9")),
    ] {
        let device = own.map_or(String::new(), |own| format!(",vectors={own}"));
        let device = format!("virtio-rng-pci,id=x,rng=r0{device}");
        let mut arguments = [&["-machine", machine, "-device", &device][..], &RNG].concat();
        arguments.extend(globals.iter().flat_map(|global| ["-global", global]));
        let Some(qemu) = Qemu::start_with("10.0", &arguments) else { return };
        let get = json!({"path": "/machine/peripheral/x", "property": "vectors"});
        let qemus = Client::connect(&qemu.path).unwrap().execute("qom-get", get).unwrap();

        let globals: Vec<Global> = globals.iter().map(|global| global.parse().unwrap()).collect();
        let settings = Settings::new(Q35.find(machine).unwrap(), globals, &[DeviceType::of::<RngProps>()]).unwrap();
        let own: Vec<(&str, &str)> = own.map(|own| ("vectors", own)).into_iter().collect();
        let ours = settings.properties::<RngProps>(&own).unwrap().vectors;
        assert_eq!(json!(ours), qemus, "{arguments:?}");
    }
}

#[test]
fn types_defaults_and_descriptions_are_those_of_qemu() {
    let Some(qemu) = Qemu::start("10.0") else { return };
    let typename = json!({"typename": "virtio-rng-pci"});
    let qemus = Client::connect(&qemu.path).unwrap().execute("device-list-properties", typename.clone()).unwrap();
    let served = serve();
    let ours = Client::connect(served.server.path()).unwrap().execute("device-list-properties", typename).unwrap();
    let ours = ours.as_array().unwrap();
    assert_eq!(ours.len(), RngProps::PROPERTIES.all().len());
    for property in ours {
        let theirs = qemus.as_array().unwrap().iter().find(|theirs| theirs["name"] == property["name"]).unwrap();
        // Of some properties QEMU says more than their type does.
        for (key, value) in property.as_object().unwrap() {
            assert_eq!(value, &theirs[key], "{key} of {}", property["name"]);
        }
    }
}

#[test]
fn machine_types_are_deprecated_and_removed_when_qemus_are() {
    // 10.0 did not remove any yet.
    for (version, removes) in [("10.0", false), ("11.1", true)] {
        let Some(qemu) = Qemu::start(version) else { continue };
        let machines = Client::connect(&qemu.path).unwrap().execute("query-machines", Value::Null).unwrap();
        let mut seen = 0;
        for machine in machines.as_array().unwrap() {
            let name = machine["name"].as_str().unwrap();
            let number = ["pc-q35-", "pc-i440fx-"].iter().find_map(|family| Version::parse(name.strip_prefix(family)?));
            let Some(number) = number else { continue };
            seen += 1;
            let status = LifeCycle::QEMU.status(number, Version::parse(version).unwrap());
            assert_eq!(machine["deprecated"], json!(status != Status::Current), "{name} in {version}: {status:?}");
            assert!(!(removes && matches!(status, Status::Removed { .. })), "{name} in {version}: {status:?}");
        }
        assert!(seen > 30, "{version}: {seen}");
    }
}
