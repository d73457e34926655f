//! Break 4: the version of a nested structure.
//!
//! QEMU 9.0 raised the version of virtio-gpu's scanout to 2 and gave it fields from version 2 on. A nested structure
//! has no version on the wire: the new fields were sent always, and read always, for every machine type. The mend of
//! 9.0.x: back to version 1, and a property with a value for machine types up to 8.2.
//!
//! A lint finds it before (`nested-version`).

use vmstate::machine::{DeviceType, Island};
use vmstate::testkit::findings_are_known;
use vmstate::{Properties, VmState};
use vmstate_lab::{Failure, Lab, OctetDifference, Release, Scenario, registers};

use crate::plain::{Plain, machine_of};

mod old {
    use super::*;

    #[derive(VmState, Clone, Default)]
    #[vmstate(name = "virtio-gpu-one-scanout", version = 1)]
    struct Scanout {
        width: u32,
    }

    #[derive(VmState, Clone, Default)]
    #[vmstate(name = "virtio-gpu-scanouts", version = 1)]
    struct Gpu {
        enabled: u32,
        scanout: Scanout,
    }
    registers!(Gpu { "enabled" => enabled, "width" => scanout.width });

    family! { "8.2": "8.2" }
    pub(super) const RELEASE: Release =
        Release::new("8.2", &FAMILY, &[], |_| machine_of("gpu", Plain::new(Gpu::default(), ())));
}

mod broken {
    use super::*;

    #[derive(VmState, Clone, Default)]
    #[vmstate(name = "virtio-gpu-one-scanout", version = 2, min = 1)]
    struct Scanout {
        width: u32,
        #[vmstate(since = 2)]
        offset: u32,
    }

    #[derive(VmState, Clone, Default)]
    #[vmstate(name = "virtio-gpu-scanouts", version = 1)]
    pub(super) struct Gpu {
        enabled: u32,
        scanout: Scanout,
    }
    registers!(Gpu { "enabled" => enabled, "width" => scanout.width, "offset" => scanout.offset });

    family! { "9.0": "9.0", "8.2" }
    pub(super) const RELEASE: Release =
        Release::new("9.0", &FAMILY, &[], |_| machine_of("gpu", Plain::new(Gpu::default(), ())));
}

mod fixed {
    use super::*;

    #[derive(Properties, Clone)]
    #[properties(device = "scanout")]
    struct ScanoutProps {
        #[property(name = "x-scanout-offset", default = true)]
        offset: bool,
    }

    #[derive(Properties, Clone)]
    #[properties(device = "virtio-gpu-device")]
    pub(super) struct Props {
        #[property(flatten)]
        scanout: ScanoutProps,
    }

    #[derive(VmState, Clone, Default)]
    #[vmstate(name = "virtio-gpu-one-scanout", version = 1, props = ScanoutProps)]
    struct Scanout {
        width: u32,
        #[vmstate(gate = offset)]
        offset: u32,
    }

    #[derive(VmState, Clone, Default)]
    #[vmstate(name = "virtio-gpu-scanouts", version = 1, props = Props)]
    pub(super) struct Gpu {
        enabled: u32,
        #[vmstate(props = scanout)]
        scanout: Scanout,
    }
    registers!(Gpu { "enabled" => enabled, "width" => scanout.width, "offset" => scanout.offset });

    family! { "9.0.1": "9.0", "8.2" [("virtio-gpu-device", "x-scanout-offset", "off")];
        Island {
            release: "9.0",
            machine: "8.2",
            device: "virtio-gpu-device",
            property: "x-scanout-offset",
            value: "on",
            reason: "9.0 has the fields for older machine types too",
        },
    }
    pub(super) const RELEASE: Release = Release::new("9.0.1", &FAMILY, &[DeviceType::of::<Props>()], |settings| {
        machine_of("gpu", Plain::new(Gpu::default(), settings.properties(&[])?))
    });
}

pub(crate) fn lab() -> Lab {
    let fails = |from, to| Failure {
        from,
        to,
        machine: "board-8.2",
        scenario: "*",
        text: "missing section footer",
        reason: "9.0 has the new fields for every machine type: an island",
    };
    Lab::new(&[old::RELEASE, broken::RELEASE, fixed::RELEASE])
        .scenario(Scenario::writes("screen on", &[("gpu.enabled", 1), ("gpu.width", 1024)]))
        .fails(&[fails("8.2|9.0.1", "9.0"), fails("9.0", "8.2|9.0.1")])
        .octets_differ(&[OctetDifference {
            release: "9.0",
            machine: "board-8.2",
            scenario: "*",
            section: "virtio-gpu-scanouts",
            reason: "an island",
        }])
}

#[test]
fn a_nested_version_breaks_both_ways() {
    lab().run().assert();
}

#[test]
fn the_lint_finds_the_nested_version_and_nothing_in_the_mended_image() {
    let reason = "the break that this file is about";
    findings_are_known(broken::Gpu::SCHEMA, &[("nested-version at virtio-gpu-scanouts.scanout", reason)]);
    findings_are_known(fixed::Gpu::SCHEMA, &[]);
}
