//! Break 19: the same for memory that the operator made.
//!
//! Since QEMU 4.0 the RAM block of a file or memfd backend is called by the backend's plain id, before by its path
//! among the objects; a property keeps the path (list 3.1). The machine's own memory was always called by the plain
//! name. `broken` keeps the path for one of the two kinds of backend only.

use vmstate::Properties;
use vmstate::machine::DeviceType;
use vmstate_lab::{BuildError, Failure, Lab, Machine, OctetDifference, Release};

macro_rules! backend {
    ($props:ident $device:literal) => {
        #[derive(Properties, Clone)]
        #[properties(device = $device)]
        struct $props {
            #[property(default = false)]
            x_use_canonical_path_for_ramblock_id: bool,
        }
    };
}
backend! { FileProps "memory-backend-file" }
backend! { MemfdProps "memory-backend-memfd" }

const BACKENDS: &[DeviceType] = &[DeviceType::of::<FileProps>(), DeviceType::of::<MemfdProps>()];

/// A machine with memory of its own and a backend of each kind, called by their paths or not.
fn machine(file_by_path: bool, memfd_by_path: bool) -> Result<Machine, BuildError> {
    let name = |id, by_path| if by_path { format!("/objects/{id}") } else { str::to_owned(id) };
    let mut machine = Machine::new();
    machine.add_ram("pc.ram", 64 << 20);
    machine.add_ram(name("dimm0", file_by_path), 64 << 20);
    machine.add_ram(name("dimm1", memfd_by_path), 64 << 20);
    Ok(machine)
}

fn by_properties(settings: &vmstate::Settings) -> Result<Machine, BuildError> {
    let FileProps { x_use_canonical_path_for_ramblock_id: file } = settings.properties(&[])?;
    let MemfdProps { x_use_canonical_path_for_ramblock_id: memfd } = settings.properties(&[])?;
    machine(file, memfd)
}

mod old {
    use super::*;

    family! { "3.1": "3.1" }
    pub(super) const RELEASE: Release = Release::new("3.1", &FAMILY, &[], |_| machine(true, true));
}

mod broken {
    use super::*;

    family! { "4.0": "4.0", "3.1" [("memory-backend-file", "x-use-canonical-path-for-ramblock-id", "on")] }
    pub(super) const RELEASE: Release = Release::new("4.0", &FAMILY, BACKENDS, by_properties);
}

mod fixed {
    use super::*;

    family! { "4.0.1": "4.0", "3.1" [
        ("memory-backend-file", "x-use-canonical-path-for-ramblock-id", "on"),
        ("memory-backend-memfd", "x-use-canonical-path-for-ramblock-id", "on")
    ] }
    pub(super) const RELEASE: Release = Release::new("4.0.1", &FAMILY, BACKENDS, by_properties);
}

pub(crate) fn lab() -> Lab {
    let fails = |from, to, text| Failure {
        from,
        to,
        machine: "board-3.1",
        scenario: "*",
        text,
        reason: "4.0 calls memfd backends by their plain id",
    };
    Lab::new(&[old::RELEASE, broken::RELEASE, fixed::RELEASE])
        .fails(&[
            fails("3.1|4.0.1", "4.0", "RAM block '/objects/dimm1' is not one of this machine, which has pc.ram"),
            fails("4.0", "3.1|4.0.1", "RAM block 'dimm1' is not one of this machine, which has pc.ram"),
        ])
        .octets_differ(&[OctetDifference {
            release: "4.0",
            machine: "board-3.1",
            scenario: "*",
            section: "stream",
            reason: "the name",
        }])
}

#[test]
fn names_of_an_operators_memory_are_kept_for_each_kind_of_backend() {
    lab().run().assert();
}
