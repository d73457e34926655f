//! Families of machine types: order, bug-fix machine types, life cycle, islands, and what is wrong with a table
//! (`docs/spec/compat.md` sections 2, 3 and 5.1).

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail by panicking")]

use vmstate::machine::{DeviceType, Global, Island, LifeCycle, MachineError, Rule, Status, Version};
use vmstate::{Compat, MachineFamily, MachineVersion, Properties, Settings, compat};

#[derive(Properties, Debug, Clone)]
#[properties(device = "virtio-rng-pci", parents = ["virtio-pci", "pci-device"])]
struct RngProps {
    #[property(default = 2)]
    vectors: u32,
}

#[derive(Properties, Debug, Clone)]
#[properties(device = "virtio-net-pci", parents = ["virtio-pci", "pci-device"], removed("x-mq", "since 9.0; set 'queues'"))]
struct NetProps {
    #[property(default = 4)]
    vectors: u32,
    #[property(default = 1, old_name = "x-queues")]
    queues: u16,
}

#[derive(Properties, Debug, Clone)]
#[properties(device = "e1000", parents = ["pci-device"])]
struct E1000Props {
    #[property(default = true)]
    mitigation: bool,
}

const DEVICES: &[DeviceType] =
    &[DeviceType::of::<RngProps>(), DeviceType::of::<NetProps>(), DeviceType::of::<E1000Props>()];

const fn version(version: &'static str, compat: Compat) -> MachineVersion {
    MachineVersion { version, compat }
}

fn global(text: &str) -> Global {
    text.parse().unwrap()
}

fn vectors(family: &'static MachineFamily, machine: &str, globals: &[&str], own: &[(&str, &str)]) -> u32 {
    let globals = globals.iter().map(|text| global(text)).collect();
    let settings = Settings::new(family.find(machine).unwrap(), globals, DEVICES).unwrap();
    settings.properties::<RngProps>(own).unwrap().vectors
}

/// What was seen with real QEMUs: 2, 0, 5, 7, 9 and 6.
#[test]
fn order_decides_and_not_how_close_the_named_type_is() {
    static VIRT: MachineFamily = MachineFamily::new(
        "virt",
        "10.0",
        &[version("10.0", compat![]), version("7.1", compat![("virtio-rng-pci", "vectors", "0")])],
    );
    const _: () = VIRT.require(DEVICES);
    let of = |machine: &str, globals: &[&str]| vectors(&VIRT, machine, globals, &[]);
    assert_eq!(of("virt-10.0", &[]), 2);
    assert_eq!(of("virt-7.1", &[]), 0);
    assert_eq!(of("virt-7.1", &["virtio-rng-pci.vectors=5"]), 5);
    assert_eq!(of("virt-7.1", &["virtio-rng-pci.vectors=5", "virtio-pci.vectors=7"]), 7, "the parent came later");
    assert_eq!(of("virt-7.1", &["virtio-pci.vectors=7", "virtio-rng-pci.vectors=5"]), 5);
    assert_eq!(of("virt-7.1", &["virtio-rng-pci.vectors=5", "virtio-rng-pci.vectors=6"]), 6);
    for globals in [&[][..], &["virtio-rng-pci.vectors=5"], &["virtio-pci.vectors=7"]] {
        assert_eq!(vectors(&VIRT, "virt-7.1", globals, &[("vectors", "9")]), 9);
    }
}

#[test]
fn order_decides_within_and_across_lists() {
    static VIRT: MachineFamily = MachineFamily::new(
        "virt",
        "3.0",
        &[
            version("3.0", compat![]),
            // Within a list: all of virtio has 0, but the RNG keeps what it had.
            version("2.0", compat![("virtio-pci", "vectors", "0"), ("virtio-rng-pci", "vectors", "2")]),
            // Across lists: a parent in the older list beats the type itself in the newer one.
            version("1.0", compat![("virtio-pci", "vectors", "1")]),
        ],
    );
    const _: () = VIRT.require(DEVICES);
    let of = |machine: &str| {
        let settings = Settings::new(VIRT.find(machine).unwrap(), Vec::new(), DEVICES).unwrap();
        let (rng, net): (RngProps, NetProps) = (settings.properties(&[]).unwrap(), settings.properties(&[]).unwrap());
        (rng.vectors, net.vectors)
    };
    assert_eq!([of("virt-3.0"), of("virt-2.0"), of("virt-1.0")], [(2, 4), (2, 0), (1, 1)]);
}

/// `pc-q35-4.0.1`: the default of 4.0 turned out harmful, 4.0 keeps it.
#[test]
fn a_bug_fix_machine_type_branches_off_its_base_and_nobody_inherits_from_it() {
    static Q35: MachineFamily = MachineFamily::new(
        "pc-q35",
        "4.1",
        &[
            version("4.1", compat![]),
            version("4.0.1", compat![("virtio-rng-pci", "vectors", "2")]),
            version("4.0", compat![("virtio-rng-pci", "vectors", "8"), ("e1000", "mitigation", "off")]),
            version("3.1", compat![("virtio-net-pci", "vectors", "3")]),
        ],
    );
    const _: () = Q35.require(DEVICES);
    let compat = |machine: &str| {
        Q35.find(machine).unwrap().compat().map(|entry| format!("{}={}", entry.device, entry.value)).collect::<Vec<_>>()
    };
    let base = ["virtio-rng-pci=8", "e1000=off"].map(str::to_owned);
    assert_eq!(compat("pc-q35-4.0"), base, "the base is left alone");
    assert_eq!(compat("pc-q35-4.0.1"), [&base[..], &["virtio-rng-pci=2".to_owned()]].concat());
    assert_eq!(compat("pc-q35-3.1"), [&base[..], &["virtio-net-pci=3".to_owned()]].concat(), "it has what 4.0 has");
    assert_eq!(compat("pc-q35-4.1"), [""; 0]);
    let of = |machine| vectors(&Q35, machine, &[], &[]);
    assert_eq!([of("pc-q35-4.1"), of("pc-q35-4.0.1"), of("pc-q35-4.0"), of("pc-q35-3.1")], [2, 2, 8, 8]);
    assert_eq!(Q35.find("pc-q35-4.0.1").unwrap().base(), Q35.find("pc-q35-4.0"));
    assert_eq!(Q35.find("pc-q35-4.0").unwrap().base(), None);
    let names: Vec<String> = Q35.machine_types().map(|machine| machine.name()).collect();
    assert_eq!(names, ["pc-q35-4.1", "pc-q35-4.0.1", "pc-q35-4.0", "pc-q35-3.1"]);
    assert_eq!(Q35.find("pc-q35").unwrap().alias(), Some("pc-q35"));
    assert_eq!(Q35.find("pc-q35-4.0").unwrap().alias(), None);
}

#[test]
fn a_bug_fix_machine_type_can_be_the_newest_and_have_the_alias() {
    static Q35: MachineFamily = MachineFamily::new(
        "pc-q35",
        "4.0.1",
        &[version("4.0.1", compat![("virtio-rng-pci", "vectors", "4")]), version("4.0", compat![])],
    );
    assert_eq!(Q35.find("pc-q35").unwrap().name(), "pc-q35-4.0.1");
    assert_eq!(vectors(&Q35, "pc-q35", &[], &[]), 4);
    assert_eq!(vectors(&Q35, "pc-q35-4.0", &[], &[]), 2);
}

#[test]
fn the_life_of_a_machine_type_is_a_rule() {
    static VIRT: MachineFamily = MachineFamily::new(
        "virt",
        "11.1",
        &[
            version("11.1", compat![]),
            version("8.2", compat![]),
            version("8.1.1", compat![("e1000", "mitigation", "off")]),
            version("8.1", compat![]),
            version("5.2", compat![]),
            // Kept for its name; what its list says interests nobody.
            version("5.1", compat![("gone", "nothing", "at all")]),
        ],
    );
    const _: () = VIRT.require(DEVICES);
    let names: Vec<_> = VIRT.machine_types().map(|machine| (machine.name(), machine.is_deprecated())).collect();
    let expected = [("11.1", false), ("8.2", false), ("8.1.1", true), ("8.1", true), ("5.2", true)];
    assert_eq!(names, expected.map(|(version, deprecated)| (format!("virt-{version}"), deprecated)));
    assert_eq!(VIRT.removed().map(|machine| machine.name()).collect::<Vec<_>>(), ["virt-5.1"]);
    assert_eq!(VIRT.find("virt-5.1"), None);
    let error = VIRT.select("virt-5.1").unwrap_err();
    assert!(matches!(error, MachineError::Removed { since, .. } if since.to_string() == "11.1"), "{error:?}");
    assert_eq!(
        error.to_string(),
        "machine type 'virt-5.1' was removed in release 11.1: a guest that runs on it stays with releases before that until it \
         is powered off; then start it with a newer machine type, at best 'virt-11.1'"
    );
    let unknown = VIRT.select("virt-8.0").unwrap_err().to_string();
    assert!(unknown.starts_with("there is no machine type 'virt-8.0'; there are virt-11.1, virt-8.2"), "{unknown}");
    assert!(!unknown.contains("virt-5.1,"), "{unknown}");
    let settings = Settings::new(VIRT.find("virt-5.2").unwrap(), Vec::new(), DEVICES).unwrap();
    assert_eq!(
        settings.warnings()[0].to_string(),
        "machine type 'virt-5.2' is deprecated since release 8.2 and will be removed in 11.2: start guests anew with a newer \
         one before that"
    );
}

#[test]
fn a_family_may_have_another_rule() {
    static VIRT: MachineFamily = MachineFamily::new(
        "virt",
        "3.0",
        &[version("3.0", compat![]), version("2.0", compat![]), version("1.0", compat![])],
    )
    .with_life_cycle(LifeCycle { deprecated_after: 1, removed_after: 2 });
    let status: Vec<Status> = VIRT
        .versions
        .iter()
        .map(|listed| VIRT.life_cycle.status(Version::parse(listed.version).unwrap(), VIRT.release))
        .collect();
    assert!(matches!(status[..], [Status::Current, Status::Deprecated { .. }, Status::Removed { .. }]), "{status:?}");
}

fn findings(family: &'static MachineFamily) -> Vec<(&'static str, &'static str, Rule)> {
    family.check(DEVICES).into_iter().map(|finding| (finding.version, finding.entry.value, finding.rule)).collect()
}

#[test]
fn every_rule_of_a_table_is_checked() {
    static VIRT: MachineFamily = MachineFamily::new(
        "virt",
        "3.0",
        &[
            version("3.0", compat![]),
            version(
                "2.0",
                compat![
                    ("virtio-rgn-pci", "vectors", "1"),
                    ("virtio-rng-pci", "vector", "2"),
                    ("virtio-net-pci", "x-mq", "3"),
                    ("virtio-net-pci", "x-queues", "4"),
                    ("virtio-net-pci", "queues", "65536"),
                    ("e1000", "mitigation", "yes"),
                    ("e1000", "mitigation", "off"),
                    ("pci-device", "vectors", "8"),
                    ("pci-device", "vektors", "9", optional),
                    ("virtio-pci", "vectors", "10"),
                    ("virtio-rng-pci", "vectors", "11"),
                    ("virtio-pci", "vectors", "12"),
                ],
            ),
            // The value that 2.0 has, not the default.
            version("1.0", compat![("virtio-rng-pci", "vectors", "12"), ("virtio-net-pci", "vectors", "0x4")]),
        ],
    );
    assert_eq!(
        findings(&VIRT),
        [
            ("2.0", "1", Rule::UnknownDevice),
            ("2.0", "2", Rule::UnknownProperty { device: "virtio-rng-pci" }),
            ("2.0", "3", Rule::RemovedProperty { reason: "since 9.0; set 'queues'" }),
            ("2.0", "4", Rule::OtherName { name: "queues" }),
            ("2.0", "65536", Rule::Value),
            ("2.0", "yes", Rule::Overridden),
            ("2.0", "off", Rule::Duplicate),
            ("2.0", "8", Rule::UnknownProperty { device: "e1000" }),
            ("2.0", "9", Rule::UnknownProperty { device: "pci-device" }),
            ("2.0", "10", Rule::Overridden),
            ("2.0", "11", Rule::Overridden),
            ("2.0", "12", Rule::Duplicate),
            ("1.0", "12", Rule::NoEffect),
        ]
    );
    // A machine with such a table does not start, whichever of its types is asked for.
    let error = Settings::new(VIRT.find("virt-3.0").unwrap(), Vec::new(), DEVICES).unwrap_err().to_string();
    assert_eq!(error, "machine type virt-2.0: virtio-rgn-pci.vectors=1: there is no such type of device");
    let all: Vec<String> = VIRT.check(DEVICES).iter().map(ToString::to_string).collect();
    assert_eq!(all[2], "virtio-net-pci.x-mq=3: the property was removed: since 9.0; set 'queues'");
}

#[test]
fn an_entry_without_effect_is_found_by_what_is_inherited() {
    static VIRT: MachineFamily = MachineFamily::new(
        "virt",
        "4.1",
        &[
            version("4.1", compat![]),
            version("4.0.1", compat![("e1000", "mitigation", "off")]),
            version("4.0", compat![("e1000", "mitigation", "off"), ("virtio-rng-pci", "vectors", "0x2")]),
            // Back to the default: that has an effect. A parent's entry has one if it has for one of the types.
            version("3.1", compat![("e1000", "mitigation", "on"), ("virtio-pci", "vectors", "2")]),
        ],
    );
    assert_eq!(findings(&VIRT), [("4.0.1", "off", Rule::NoEffect), ("4.0", "0x2", Rule::NoEffect)]);
}

#[test]
fn an_optional_entry_passes_over_the_types_that_lack_the_property() {
    static VIRT: MachineFamily = MachineFamily::new(
        "virt",
        "2.0",
        &[version("2.0", compat![]), version("1.0", compat![("pci-device", "vectors", "0", optional)])],
    );
    const _: () = VIRT.require(DEVICES);
    let settings = Settings::new(VIRT.find("virt-1.0").unwrap(), Vec::new(), DEVICES).unwrap();
    assert_eq!(settings.properties::<RngProps>(&[]).unwrap().vectors, 0);
    assert!(settings.properties::<E1000Props>(&[]).unwrap().mitigation);
    // A global is not optional.
    let refused = Settings::new(VIRT.find("virt").unwrap(), vec![global("pci-device.vectors=1")], DEVICES).unwrap_err();
    assert_eq!(refused.to_string(), "global setting: device 'e1000' has no property 'vectors'; it has mitigation");
}

/// Release 8.0 sent what 7.2 machines did not have; 8.0.1 mended it with a property.
static ISLANDS: MachineFamily = MachineFamily::new(
    "virt",
    "8.1",
    &[
        version("8.1", compat![]),
        version("8.0", compat![]),
        version("7.2", compat![("virtio-net-pci", "vectors", "3")]),
        version("7.1", compat![]),
    ],
)
.with_islands(&[Island {
    release: "8.0",
    machine: "7.2",
    device: "virtio-net-pci",
    property: "vectors",
    value: "4",
    reason: "8.0 gave 7.2 and older machine types the new number of vectors",
}]);
const _: () = ISLANDS.require(DEVICES);

#[test]
fn a_guest_of_an_island_release_needs_its_setting_at_every_destination() {
    let sticky = |machine: &str, release: &str| {
        let sticky = ISLANDS.find(machine).unwrap().sticky(Version::parse(release).unwrap());
        sticky.iter().map(|setting| format!("--global {setting}")).collect::<Vec<_>>()
    };
    assert_eq!(sticky("virt-7.2", "8.0"), ["--global virtio-net-pci.vectors=4"]);
    assert_eq!(sticky("virt-7.1", "8.0.0"), ["--global virtio-net-pci.vectors=4"]);
    for (machine, release) in [("virt-7.2", "8.0.1"), ("virt-7.2", "7.2"), ("virt-8.0", "8.0"), ("virt-8.1", "8.1")] {
        assert_eq!(sticky(machine, release), [""; 0], "{machine} {release}");
    }
    // The destination that got it has what the island had, and says that it needs the setting again.
    let machine = ISLANDS.find("virt-7.2").unwrap();
    let first = Settings::new(machine, machine.sticky(Version::parse("8.0").unwrap()), DEVICES).unwrap();
    assert_eq!(first.properties::<NetProps>(&[]).unwrap().vectors, 4);
    let second = Settings::new(machine, first.sticky(), DEVICES).unwrap();
    assert_eq!(second.properties::<NetProps>(&[]).unwrap().vectors, 4);
    assert_eq!(second.sticky(), first.sticky());
}

#[test]
fn what_broke_a_bug_fix_machine_type_broke_it_alone() {
    static VIRT: MachineFamily = MachineFamily::new(
        "virt",
        "4.2",
        &[
            version("4.1", compat![]),
            version("4.0.1", compat![("virtio-net-pci", "vectors", "3")]),
            version("4.0", compat![]),
            version("3.1", compat![]),
        ],
    )
    .with_islands(&[
        Island { machine: "4.0.1", value: "5", ..BROKEN },
        Island { machine: "4.0", value: "6", ..BROKEN },
    ]);
    const BROKEN: Island = Island {
        release: "4.2",
        machine: "",
        device: "virtio-net-pci",
        property: "vectors",
        value: "",
        reason: "test",
    };
    const _: () = VIRT.require(DEVICES);
    let values =
        |machine: &str| -> Vec<_> { VIRT.find(machine).unwrap().islands().map(|island| island.value).collect() };
    assert_eq!((values("virt-4.1"), values("virt-4.0.1")), (vec![], vec!["5", "6"]));
    assert_eq!((values("virt-4.0"), values("virt-3.1")), (vec!["6"], vec!["6"]));
}

#[test]
fn islands_are_checked_like_lists() {
    const fn island(
        release: &'static str,
        machine: &'static str,
        property: &'static str,
        value: &'static str,
    ) -> Island {
        Island { release, machine, device: "virtio-rng-pci", property, value, reason: "test" }
    }
    static VIRT: MachineFamily = MachineFamily::new(
        "virt",
        "8.1",
        &[version("8.1", compat![]), version("8.0", compat![("virtio-rng-pci", "vectors", "0")])],
    )
    .with_islands(&[
        island("8.0.1", "8.0", "vectors", "2"),
        island("8.2", "8.0", "vectors", "3"),
        island("8", "8.0", "vectors", "4"),
        island("8.0", "7.2", "vectors", "5"),
        island("8.0", "8.0", "vectors", "0"),
        island("8.0", "8.0", "vektors", "6"),
        island("8.0", "8.0", "vectors", "seven"),
    ]);
    assert_eq!(
        findings(&VIRT),
        [
            ("8.0", "3", Rule::IslandRelease),
            ("8.0", "4", Rule::IslandRelease),
            ("7.2", "5", Rule::IslandMachine),
            ("8.0", "0", Rule::NoEffect),
            ("8.0", "6", Rule::UnknownProperty { device: "virtio-rng-pci" }),
            ("8.0", "seven", Rule::Value),
        ]
    );
}
