//! Break 15: an entry for a base class of which one subclass lacks the property.
//!
//! QEMU 9.1 sends data of emulated SCSI requests that are under way (list 9.0: off). The first entry named the common
//! base class of SCSI disks; `scsi-block` derives from it and has no such property, so that a machine of an older type
//! with one aborted. The mend lists the two classes that have it.
//!
//! Here the table is refused with the first machine of the program, whatever devices it has; as a constant, with
//! `MachineFamily::require`, it does not compile (`tests/ui/b15_entry_of_a_base_class.rs`).

use vmstate::machine::DeviceType;
use vmstate::{Properties, VmState};
use vmstate_lab::{BuildError, Failure, Lab, Machine, Release, Scenario, registers};

use crate::plain::{Plain, machine_of};

#[derive(Properties, Clone)]
#[properties(device = "scsi-hd", parents = ["scsi-disk-base"])]
struct DiskProps {
    #[property(default = true)]
    migrate_emulated_scsi_request: bool,
}

#[derive(Properties, Clone)]
#[properties(device = "scsi-cd", parents = ["scsi-disk-base"])]
struct CdProps {
    #[property(default = true)]
    migrate_emulated_scsi_request: bool,
}

/// A disk of the host, passed through: it emulates nothing.
#[derive(Properties, Clone)]
#[properties(device = "scsi-block", parents = ["scsi-disk-base"])]
struct BlockProps {
    #[property(default = 0)]
    lun: u32,
}

const DEVICES: &[DeviceType] =
    &[DeviceType::of::<DiskProps>(), DeviceType::of::<CdProps>(), DeviceType::of::<BlockProps>()];

#[derive(VmState, Clone, Default)]
#[vmstate(name = "scsi-disk", version = 1, props = DiskProps)]
struct Disk {
    lba: u32,
    #[vmstate(gate = migrate_emulated_scsi_request)]
    request: u32,
}
registers!(Disk { lba, request });

fn disk(settings: &vmstate::Settings) -> Result<Machine, BuildError> {
    machine_of("disk", Plain::new(Disk::default(), settings.properties::<DiskProps>(&[])?))
}

mod old {
    use super::*;

    #[derive(VmState, Clone, Default)]
    #[vmstate(name = "scsi-disk", version = 1)]
    struct OldDisk {
        lba: u32,
    }
    registers!(OldDisk { lba });

    family! { "9.0": "9.0" }
    pub(super) const RELEASE: Release =
        Release::new("9.0", &FAMILY, &[], |_| machine_of("disk", Plain::new(OldDisk::default(), ())));
}

mod broken {
    use super::*;

    family! { "9.1": "9.1", "9.0" [("scsi-disk-base", "migrate-emulated-scsi-request", "off")] }
    pub(super) const RELEASE: Release = Release::new("9.1", &FAMILY, DEVICES, disk);
}

mod fixed {
    use super::*;

    family! { "9.1.1": "9.1", "9.0" [
        ("scsi-hd", "migrate-emulated-scsi-request", "off"),
        ("scsi-cd", "migrate-emulated-scsi-request", "off")
    ] }
    const _: () = FAMILY.require(DEVICES);
    pub(super) const RELEASE: Release = Release::new("9.1.1", &FAMILY, DEVICES, disk);
}

pub(crate) fn lab() -> Lab {
    let fails = |from, to| Failure {
        from,
        to,
        machine: "*",
        scenario: "*",
        text: "scsi-block",
        reason: "no machine of 9.1 starts: its table has an entry that one class does not take",
    };
    Lab::new(&[old::RELEASE, broken::RELEASE, fixed::RELEASE])
        .scenario(Scenario::writes("reading", &[("disk.lba", 2048)]))
        .fails(&[fails("9.1", "*"), fails("9.0|9.1.1", "9.1")])
}

#[test]
fn every_release_starts_every_machine_type_or_says_which_entry_is_wrong() {
    lab().run().assert();
    let refusal = broken::RELEASE.start("board-9.0", &[]).unwrap_err().to_string();
    assert!(refusal.contains("scsi-disk-base") && refusal.contains("migrate-emulated-scsi-request"), "{refusal}");
}
