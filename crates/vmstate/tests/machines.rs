//! Properties and machine types (`docs/spec/compat.md` sections 2 and 3).

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail by panicking")]

use vmstate::machine::{DeviceType, Global};
use vmstate::props::PropertyValue;
use vmstate::{MachineFamily, MachineVersion, Properties, Settings, compat};

#[derive(Properties, Debug, Clone, PartialEq)]
#[properties(device = "pl011")]
struct Pl011Props {
    #[property(name = "migrate-clk", default = true)]
    migrate_clk: bool,
    #[property(default = 16)]
    fifo_depth: u16,
    #[property(flatten)]
    clock: ClockProps,
}

#[derive(Properties, Debug, Clone, PartialEq)]
#[properties(device = "clock")]
struct ClockProps {
    #[property(default = 24_000_000)]
    frequency: u64,
}

static FAMILY: MachineFamily = MachineFamily::new(
    "virt",
    "2.0",
    &[
        MachineVersion { version: "2.0", compat: &[] },
        MachineVersion {
            version: "1.1",
            compat: compat![("pl011", "migrate-clk", "off"), ("pl011", "fifo-depth", "8")],
        },
        MachineVersion { version: "1.0", compat: compat![("pl011", "fifo-depth", "1")] },
    ],
);
const _: () = FAMILY.require(DEVICES);
const DEVICES: &[DeviceType] = &[DeviceType::of::<Pl011Props>()];

fn properties(machine: &str, globals: &[&str], own: &[(&str, &str)]) -> Result<Pl011Props, String> {
    let globals =
        globals.iter().map(|text| text.parse::<Global>()).collect::<Result<_, _>>().map_err(|e| e.to_string())?;
    let settings = Settings::new(FAMILY.find(machine).unwrap(), globals, DEVICES).map_err(|e| e.to_string())?;
    settings.properties(own).map_err(|error| error.to_string())
}

#[test]
fn the_newest_machine_has_the_defaults_and_the_name_of_the_family() {
    assert_eq!(properties("virt-2.0", &[], &[]).unwrap(), Pl011Props::default());
    assert_eq!(FAMILY.find("virt").unwrap().name(), "virt-2.0");
    assert!(FAMILY.find("virt-3.0").is_none());
}

#[test]
fn an_older_machine_inherits_from_the_newer_ones_and_wins() {
    let eleven = properties("virt-1.1", &[], &[]).unwrap();
    assert_eq!((eleven.migrate_clk, eleven.fifo_depth), (false, 8));
    let ten = properties("virt-1.0", &[], &[]).unwrap();
    assert_eq!((ten.migrate_clk, ten.fifo_depth), (false, 1));
    let names: Vec<_> = FAMILY.find("virt-1.0").unwrap().compat().map(|setting| setting.value).collect();
    assert_eq!(names, ["off", "8", "1"]);
}

#[test]
fn default_is_below_compat_below_global_below_device() {
    let depth = |globals: &[&str], own: &[(&str, &str)]| properties("virt-1.0", globals, own).unwrap().fifo_depth;
    assert_eq!(depth(&["pl011.fifo-depth=2", "pl011.fifo-depth=3"], &[]), 3);
    assert_eq!(depth(&["pl011.fifo-depth=2"], &[("fifo-depth", "0x10")]), 16);
}

#[test]
fn what_nothing_takes_is_refused_with_what_would_be_taken() {
    let refused = |globals: &[&str]| properties("virt-2.0", globals, &[]).unwrap_err();
    assert_eq!(
        refused(&["pl011.migrate-clock=off"]),
        "global setting: device 'pl011' has no property 'migrate-clock'; it has migrate-clk, fifo-depth, frequency"
    );
    assert_eq!(
        refused(&["pl011.migrate-clk=maybe"]),
        "global setting: property 'pl011.migrate-clk' does not accept 'maybe'; it accepts on (yes, true, y) and off (no, false, n)"
    );
    assert_eq!(
        refused(&["pl011.fifo-depth=65536"]),
        "global setting: property 'pl011.fifo-depth' does not accept '65536'; it accepts numbers from 0 to 65535"
    );
    assert_eq!(
        refused(&["pl012.x=1"]),
        "global setting: there is no device type 'pl012' with properties; there are pl011"
    );
    assert_eq!(refused(&["pl011=1"]), "global setting: 'pl011=1' is not of the form TYPE.PROPERTY=VALUE");
    for text in ["+1", "0x", "0x+1", "", " 1", "-1", "1k", "010"] {
        assert!(refused(&[&format!("pl011.fifo-depth={text}")]).contains("does not accept"), "{text}");
    }
    let own = properties("virt-2.0", &[], &[("fifo-depth", "x")]).unwrap_err();
    assert!(own.starts_with("device configuration: property 'pl011.fifo-depth' does not accept 'x'"), "{own}");
}

#[test]
fn properties_are_read_back_as_text() {
    let mut props = Pl011Props::default();
    props.set("frequency", "1000").unwrap();
    assert_eq!(props.clock.frequency, 1000);
    let values =
        Pl011Props::PROPERTIES.all().into_iter().map(|p| format!("{}={}", p.name, props.value(p.name).unwrap()));
    assert_eq!(values.collect::<Vec<_>>(), ["migrate-clk=on", "fifo-depth=16", "frequency=1000"]);
    assert_eq!(props.value("nothing"), None);
    assert_eq!(Pl011Props::PROPERTIES.own[1].default, PropertyValue::Uint { value: 16, bits: 16 });
}

#[test]
fn effective_settings_name_each_property_once_with_its_last_value() {
    let effective = |name: &str| {
        let settings = FAMILY.find(name).unwrap().effective_compat();
        settings.iter().map(|setting| (setting.property, setting.value)).collect::<Vec<_>>()
    };
    assert_eq!(effective("virt-2.0"), []);
    assert_eq!(effective("virt-1.1"), [("migrate-clk", "off"), ("fifo-depth", "8")]);
    assert_eq!(effective("virt-1.0"), [("migrate-clk", "off"), ("fifo-depth", "1")]);
}

#[test]
fn a_device_type_tells_the_values_of_all_its_properties() {
    let settings = Settings::new(FAMILY.find("virt-1.1").unwrap(), Vec::new(), DEVICES).unwrap();
    let values = DEVICES[0].values(&settings).unwrap();
    assert_eq!(
        values,
        [
            ("migrate-clk", PropertyValue::Bool(false)),
            ("fifo-depth", PropertyValue::of_u16(8)),
            ("frequency", PropertyValue::of_u64(24_000_000))
        ]
    );
}
