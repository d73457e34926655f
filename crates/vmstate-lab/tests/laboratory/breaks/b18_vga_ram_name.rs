//! Break 18: the name of a RAM block.
//!
//! QEMU 3.0 called a display's video memory after its device, not by one global name. Names of RAM blocks are on the
//! wire, and a page for a block of another name has no place. QEMU did it right, with a property that keeps the global
//! name (list 2.12); `broken` is what would have been released without.

use vmstate::Properties;
use vmstate::machine::DeviceType;
use vmstate_lab::{BuildError, Failure, Lab, Machine, OctetDifference, Release};

#[derive(Properties, Clone)]
#[properties(device = "VGA")]
struct Props {
    #[property(default = false)]
    global_vmstate: bool,
}

fn machine(video_memory: &str) -> Result<Machine, BuildError> {
    let mut machine = Machine::new();
    machine.add_ram("pc.ram", 128 << 20);
    machine.add_ram(video_memory, 16 << 20);
    Ok(machine)
}

const GLOBAL: &str = "vga.vram";
const BY_DEVICE: &str = "0000:00:02.0/vga.vram";

mod old {
    use super::*;

    family! { "2.12": "2.12" }
    pub(super) const RELEASE: Release = Release::new("2.12", &FAMILY, &[], |_| machine(GLOBAL));
}

mod broken {
    use super::*;

    family! { "3.0": "3.0", "2.12" }
    pub(super) const RELEASE: Release = Release::new("3.0", &FAMILY, &[], |_| machine(BY_DEVICE));
}

mod fixed {
    use super::*;

    family! { "3.0.1": "3.0", "2.12" [("VGA", "global-vmstate", "on")] }
    pub(super) const RELEASE: Release = Release::new("3.0.1", &FAMILY, &[DeviceType::of::<Props>()], |settings| {
        let Props { global_vmstate } = settings.properties(&[])?;
        machine(if global_vmstate { GLOBAL } else { BY_DEVICE })
    });
}

pub(crate) fn lab() -> Lab {
    let fails = |from, to, text| Failure {
        from,
        to,
        machine: "board-2.12",
        scenario: "*",
        text,
        reason: "3.0 has another name for the same memory",
    };
    Lab::new(&[old::RELEASE, broken::RELEASE, fixed::RELEASE])
        .fails(&[
            fails("2.12|3.0.1", "3.0", "RAM block 'vga.vram' is not one of this machine"),
            fails("3.0", "2.12|3.0.1", "RAM block '0000:00:02.0/vga.vram' is not one of this machine"),
        ])
        .octets_differ(&[OctetDifference {
            release: "3.0",
            machine: "board-2.12",
            scenario: "*",
            section: "stream",
            reason: "the name",
        }])
}

#[test]
fn names_of_ram_blocks_are_kept() {
    lab().run().assert();
}
