//! Break 2: a default that follows the host.
//!
//! virtio-blk had one queue; since QEMU 5.2 it has one for each CPU. The number of queues is not on the wire: each side
//! counts its own. QEMU did it right, with an entry in list 5.1; `broken` is what would have been released without. Old
//! machine types keep the old number also where both ends are new, or a chain could not end where it began.

use vmstate::machine::{DeviceType, Island};
use vmstate::{Properties, VmState};
use vmstate_lab::{Failure, Lab, OctetDifference, Release, Scenario, registers};

use crate::plain::{Plain, machine_of};

const CPUS: u32 = 4;
const QUEUES_MAX: usize = 1024;

#[derive(Properties, Clone)]
#[properties(device = "virtio-blk")]
struct Props {
    /// 0 is one for each CPU.
    #[property(default = 0)]
    num_queues: u32,
}

#[derive(VmState, Clone, Default)]
#[vmstate(name = "virtio-blk", version = 1)]
struct VirtioBlk {
    /// How many there are is configuration.
    #[vmstate(local)]
    num_queues: u32,
    #[vmstate(len = num_queues, max = QUEUES_MAX)]
    last_avail: Vec<u16>,
    features: u32,
}
registers!(VirtioBlk { features });

fn block(num_queues: u32) -> Plain<VirtioBlk> {
    Plain::new(VirtioBlk { num_queues, last_avail: vec![0; num_queues as usize], features: 0 }, ())
}

mod old {
    use super::*;

    family! { "5.1": "5.1" }
    pub(super) const RELEASE: Release = Release::new("5.1", &FAMILY, &[], |_| machine_of("blk", block(1)));
}

mod broken {
    use super::*;

    family! { "5.2": "5.2", "5.1" }
    pub(super) const RELEASE: Release = Release::new("5.2", &FAMILY, &[], |_| machine_of("blk", block(CPUS)));
}

mod fixed {
    use super::*;

    family! { "5.2.1": "5.2", "5.1" [("virtio-blk", "num-queues", "1")];
        Island {
            release: "5.2",
            machine: "5.1",
            device: "virtio-blk",
            property: "num-queues",
            value: "0",
            reason: "5.2 gave older machine types a queue for each CPU",
        },
    }
    pub(super) const RELEASE: Release = Release::new("5.2.1", &FAMILY, &[DeviceType::of::<Props>()], |settings| {
        let Props { num_queues } = settings.properties(&[])?;
        machine_of("blk", block(if num_queues == 0 { CPUS } else { num_queues }))
    });
}

pub(crate) fn lab() -> Lab {
    let fails = |from, to| Failure {
        from,
        to,
        machine: "board-5.1",
        scenario: "*",
        text: "section 'virtio-blk' instance 0: ",
        reason: "5.2 has four queues where 5.1 has one, and no number says so",
    };
    Lab::new(&[old::RELEASE, broken::RELEASE, fixed::RELEASE])
        .scenario(Scenario::writes("driver ready", &[("blk.features", 0x3000_0000)]))
        .fails(&[fails("5.1|5.2.1", "5.2"), fails("5.2", "5.1|5.2.1")])
        .octets_differ(&[OctetDifference {
            release: "5.2",
            machine: "board-5.1",
            scenario: "*",
            section: "virtio-blk",
            reason: "an island",
        }])
}

#[test]
fn old_machine_types_keep_the_old_number_even_between_new_releases() {
    lab().run().assert();
}
