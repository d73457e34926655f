//! What a property may be: kinds, names of the past, parents, and who set what (`docs/properties.md`).

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail by panicking")]

use vmstate::machine::{DeviceType, Global, Origin, Warning};
use vmstate::props::{OnOffAuto, PropertyKind, PropertyType, PropertyValue, Size};
use vmstate::{MachineFamily, MachineVersion, Properties, PropertyEnum, Settings, compat};

#[derive(PropertyEnum, Debug, Clone, Copy, PartialEq, Eq)]
enum LinkSpeed {
    #[property(name = "2_5")]
    Gen1,
    #[property(name = "5")]
    Gen2,
    AsFastAsPossible,
}

#[derive(Properties, Debug, Clone, PartialEq)]
#[properties(device = "port", parents = ["pci-device", "device"], removed("x-slow", "since 2.0; set 'speed' to 2_5"))]
struct PortProps {
    #[property(default = false)]
    multifunction: bool,
    #[property(default = 7)]
    mdts: u8,
    #[property(default = 1 << 10)]
    mtu: u16,
    #[property(default = u32::MAX)]
    vectors: u32,
    #[property(default = 0)]
    wwn: u64,
    #[property(default = -1)]
    rombar: i32,
    #[property(default = i64::MIN)]
    base_ns: i64,
    #[property(default = Size(4 << 10), alias = "bounce")]
    x_max_bounce_buffer_size: Size,
    #[property(default = "none")]
    serial: String,
    #[property(default = LinkSpeed::Gen2, old_name = "x-speed")]
    speed: LinkSpeed,
    #[property(default = OnOffAuto::Auto)]
    disable_legacy: OnOffAuto,
    #[property(default = [1, 2])]
    lanes: Vec<u8>,
    #[property(default = [])]
    tags: Vec<String>,
    #[property(default = true, deprecated = "it has no effect since 2.0")]
    fast: bool,
}

static FAMILY: MachineFamily = MachineFamily::new(
    "virt",
    "2.0",
    &[
        MachineVersion { version: "2.0", compat: compat![] },
        MachineVersion {
            version: "1.0",
            compat: compat![("port", "speed", "2_5"), ("pci-device", "lanes", "1"), ("port", "fast", "off")],
        },
    ],
);
const DEVICES: &[DeviceType] = &[DeviceType::of::<PortProps>()];
const _: () = FAMILY.require(DEVICES);

fn settings(machine: &str, globals: &[&str]) -> Result<Settings, String> {
    let globals = globals.iter().map(|text| text.parse::<Global>().unwrap()).collect();
    Settings::new(FAMILY.find(machine).unwrap(), globals, DEVICES).map_err(|error| error.to_string())
}

#[test]
fn every_kind_has_a_default_a_text_and_a_name() {
    let props = PortProps::default();
    let described: Vec<String> = PortProps::PROPERTIES
        .all()
        .into_iter()
        .map(|property| {
            let value = props.value(property.name).unwrap();
            assert_eq!(value, property.default, "{}", property.name);
            format!("{}:{}={value}", property.name, property.kind.type_name())
        })
        .collect();
    assert_eq!(
        described,
        [
            "multifunction:bool=off",
            "mdts:uint8=7",
            "mtu:uint16=1024",
            "vectors:uint32=4294967295",
            "wwn:uint64=0",
            "rombar:int32=-1",
            "base-ns:int64=-9223372036854775808",
            "x-max-bounce-buffer-size:size=4096",
            "serial:str=none",
            "speed:LinkSpeed=5",
            "disable-legacy:OnOffAuto=auto",
            "lanes:list=1,2",
            "tags:list=",
            "fast:bool=on",
        ]
    );
}

#[test]
fn every_kind_is_set_from_text() {
    let mut props = PortProps::default();
    for (name, text, reads) in [
        ("multifunction", "yes", "on"),
        ("mdts", "0xff", "255"),
        ("mtu", "65535", "65535"),
        ("vectors", "5", "5"),
        ("wwn", "0xffffffffffffffff", "18446744073709551615"),
        ("rombar", "-0x2", "-2"),
        ("base-ns", "9223372036854775807", "9223372036854775807"),
        ("x-max-bounce-buffer-size", "64k", "65536"),
        ("serial", "a b=c,d", "a b=c,d"),
        ("speed", "as-fast-as-possible", "as-fast-as-possible"),
        ("disable-legacy", "off", "off"),
        ("lanes", "3,0x4,5", "3,4,5"),
        ("tags", "a,b", "a,b"),
    ] {
        props.set(name, text).unwrap();
        let value = props.value(name).unwrap();
        assert_eq!(value.to_string(), reads, "{name}");
        // What is written reads back.
        let mut again = PortProps::default();
        again.set(name, reads).unwrap();
        assert_eq!(again.value(name), Some(value), "{name}");
    }
    assert_eq!(props.speed, LinkSpeed::AsFastAsPossible);
    assert_eq!(props.lanes, [3, 4, 5]);
    assert_eq!(props.tags, ["a", "b"]);
    props.set("lanes", "").unwrap();
    assert!(props.lanes.is_empty());
}

#[test]
fn what_is_no_value_is_refused_with_what_is() {
    let mut props = PortProps::default();
    let mut refused = |name: &str, text: &str| props.set(name, text).unwrap_err().to_string();
    for (name, text, accepted) in [
        ("multifunction", "1", "on (yes, true, y) and off (no, false, n)"),
        ("mdts", "256", "numbers from 0 to 255"),
        ("rombar", "2147483648", "numbers from -2147483648 to 2147483647"),
        ("base-ns", "x", "numbers from -9223372036854775808 to 9223372036854775807"),
        ("bounce", "16E", "bytes, with one of the suffixes K, M, G, T, P and E for powers of 1024, below 16E"),
        ("speed", "Gen1", "2_5, 5 and as-fast-as-possible"),
        ("disable-legacy", "yes", "on, off and auto"),
        ("lanes", "1,256", "a list between commas of numbers from 0 to 255"),
    ] {
        assert_eq!(
            refused(name, text),
            format!("property 'port.{name}' does not accept '{text}'; it accepts {accepted}")
        );
    }
    assert_eq!(props, PortProps::default(), "a refused setting changes nothing");
}

#[test]
fn a_property_is_set_by_its_alias_and_its_old_name_and_a_removed_one_says_what_to_do() {
    let mut props = PortProps::default();
    props.set("bounce", "1").unwrap();
    props.set("x-speed", "2_5").unwrap();
    assert_eq!((props.x_max_bounce_buffer_size, props.speed), (Size(1), LinkSpeed::Gen1));
    assert_eq!(props.value("x-speed"), Some(PropertyValue::Enum("2_5")));
    let error = props.set("x-slow", "on").unwrap_err().to_string();
    assert_eq!(error, "device 'port' has no property 'x-slow' any more: since 2.0; set 'speed' to 2_5");
    let property = PortProps::PROPERTIES.find("bounce").unwrap();
    assert_eq!((property.name, property.aliases), ("x-max-bounce-buffer-size", &["bounce"][..]));
    assert_eq!(PortProps::PROPERTIES.find("x-speed").unwrap().old_names, ["x-speed"]);
}

#[test]
fn an_operator_is_warned_of_what_is_deprecated_and_of_old_names_once_each() {
    let globals = ["port.fast=off", "port.fast=on", "pci-device.x-speed=5", "port.bounce=1", "port.mdts=1"];
    let warnings = settings("virt-1.0", &globals).unwrap().warnings();
    let text: Vec<String> = warnings.iter().map(Warning::to_string).collect();
    assert_eq!(
        text,
        [
            "property 'port.fast' is deprecated: it has no effect since 2.0",
            "property 'pci-device.x-speed' is called 'speed' now; the old name will go",
        ]
    );
    // A machine type's own entries warn nobody: the operator cannot help them.
    let silent = settings("virt-1.0", &[]).unwrap();
    assert_eq!(silent.warnings(), []);
    assert_eq!(silent.warnings_of::<PortProps>(&[("fast", "on"), ("mdts", "1")]).len(), 1);
}

#[test]
fn every_value_says_where_it_comes_from() {
    let settings = settings("virt-1.0", &["port.mdts=1", "pci-device.lanes=9", "port.bounce=8k"]).unwrap();
    let described = DEVICES[0].describe(&settings, &[("mtu", "9000"), ("lanes", "7")]).unwrap();
    let of = |name: &str| {
        let set = described.iter().find(|set| set.property.name == name).unwrap();
        (set.value.to_string(), set.origin.clone())
    };
    let compat = Origin::Compat { machine: "virt-1.0".to_owned() };
    assert_eq!(of("speed"), ("2_5".to_owned(), compat));
    assert_eq!(of("mdts"), ("1".to_owned(), Origin::Global));
    assert_eq!(of("x-max-bounce-buffer-size"), ("8192".to_owned(), Origin::Global));
    assert_eq!(of("mtu"), ("9000".to_owned(), Origin::Device));
    assert_eq!(of("lanes"), ("7".to_owned(), Origin::Device));
    assert_eq!(of("serial"), ("none".to_owned(), Origin::Default));
    let by_operator: Vec<_> =
        described.iter().filter(|set| set.origin.is_operator()).map(|set| set.property.name).collect();
    assert_eq!(by_operator, ["mdts", "mtu", "x-max-bounce-buffer-size", "lanes"]);
}

#[test]
fn what_an_operator_changed_is_what_each_destination_must_be_told() {
    let sticky = |globals: &[&str]| {
        settings("virt-1.0", globals).unwrap().sticky().iter().map(Global::to_string).collect::<Vec<_>>()
    };
    assert_eq!(sticky(&[]), [""; 0]);
    // 2_5 is what the machine type gives; the last of two counts; names are those of the type and the property.
    let globals = ["port.speed=2_5", "port.mdts=1", "port.mdts=2", "pci-device.bounce=8k", "port.tags=a,b"];
    assert_eq!(sticky(&globals), ["port.mdts=2", "port.x-max-bounce-buffer-size=8192", "port.tags=a,b"]);
    // Given again, they make the same machine.
    let given = sticky(&globals);
    let again: Vec<&str> = given.iter().map(String::as_str).collect();
    assert_eq!(sticky(&again), given);
    let one: PortProps = settings("virt-1.0", &globals).unwrap().properties(&[]).unwrap();
    let two: PortProps = settings("virt-1.0", &again).unwrap().properties(&[]).unwrap();
    assert_eq!(one, two);
}

#[test]
fn a_devices_configuration_tells_what_is_not_the_machine_types() {
    let settings = settings("virt-1.0", &["port.mdts=1", "port.mtu=9"]).unwrap();
    // mtu is set back, speed is what the machine type gives.
    let own = [("mtu", "1024"), ("speed", "2_5"), ("rombar", "0")];
    let changed = settings.changed(&DEVICES[0], &own).unwrap();
    let told: Vec<_> =
        changed.iter().map(|set| (set.property.name, set.value.to_string(), set.origin.clone())).collect();
    assert_eq!(told, [("mdts", "1".to_owned(), Origin::Global), ("rombar", "0".to_owned(), Origin::Device)]);
    assert!(settings.changed(&DEVICES[0], &[("mtu", "x")]).is_err());
}

#[derive(Properties, Debug, Clone, PartialEq)]
#[properties(device = "virtio-device", removed("x-old", "since 1.0"))]
struct VirtioProps {
    #[property(default = 128, old_name = "x-queue-size")]
    queue_size: u16,
}

#[derive(Properties, Debug, Clone, PartialEq)]
#[properties(device = "virtio-blk-device", parents = ["virtio-device"])]
struct BlkProps {
    #[property(flatten)]
    virtio: VirtioProps,
    #[property(default = true)]
    discard: bool,
}

#[test]
fn what_a_parent_has_is_flattened_into_each_type_with_its_past() {
    static VIRT: MachineFamily = MachineFamily::new(
        "virt",
        "2.0",
        &[
            MachineVersion { version: "2.0", compat: compat![] },
            MachineVersion { version: "1.0", compat: compat![("virtio-device", "queue-size", "64")] },
        ],
    );
    const BLK: DeviceType = DeviceType::of::<BlkProps>();
    const _: () = VIRT.require(&[BLK]);
    let globals = vec!["virtio-device.x-queue-size=32".parse().unwrap()];
    let plain = Settings::new(VIRT.find("virt-1.0").unwrap(), Vec::new(), &[BLK]).unwrap();
    let set = Settings::new(VIRT.find("virt-1.0").unwrap(), globals, &[BLK]).unwrap();
    assert_eq!(plain.properties::<BlkProps>(&[]).unwrap().virtio.queue_size, 64);
    assert_eq!(set.properties::<BlkProps>(&[]).unwrap().virtio.queue_size, 32);
    let origins = |settings: &Settings| {
        let described = BLK.describe(settings, &[]).unwrap();
        described.into_iter().map(|set| (set.property.name, set.origin)).collect::<Vec<_>>()
    };
    let compat = Origin::Compat { machine: "virt-1.0".to_owned() };
    assert_eq!(origins(&plain), [("discard", Origin::Default), ("queue-size", compat)]);
    assert_eq!(origins(&set), [("discard", Origin::Default), ("queue-size", Origin::Global)]);
    assert_eq!(set.sticky().iter().map(Global::to_string).collect::<Vec<_>>(), ["virtio-blk-device.queue-size=32"]);
    assert_eq!(
        set.warnings().iter().map(Warning::to_string).collect::<Vec<_>>(),
        ["property 'virtio-device.x-queue-size' is called 'queue-size' now; the old name will go"]
    );
    let error = BlkProps::default().set("x-old", "1").unwrap_err().to_string();
    assert_eq!(error, "device 'virtio-blk-device' has no property 'x-old' any more: since 1.0");
}

#[test]
fn kinds_describe_themselves_as_qemu_does() {
    assert_eq!(bool::KIND.description().as_deref(), Some("on/off"));
    assert_eq!(OnOffAuto::KIND.description().as_deref(), Some("on/off/auto"));
    assert_eq!(LinkSpeed::KIND.description().as_deref(), Some("2_5/5/as-fast-as-possible"));
    assert_eq!(u32::KIND.description(), None);
    assert_eq!(Vec::<LinkSpeed>::KIND, PropertyKind::List { element: &LinkSpeed::KIND });
}
