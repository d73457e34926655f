//! Break 9: a computed number that sizes state.
//!
//! virtio-net had 3 MSI-X vectors; since QEMU 6.0 it has two for each pair of queues and two more. The table of vectors
//! is sent, without its length. QEMU did it right (list 5.2: 3); `broken` is what would have been released without.

use vmstate::machine::{DeviceType, Island};
use vmstate::{Properties, VmState};
use vmstate_lab::{Failure, Lab, OctetDifference, Release, Scenario, registers};

use crate::plain::{Plain, machine_of};

const QUEUE_PAIRS: u32 = 1;
const VECTORS_MAX: usize = 2048;

#[derive(Properties, Clone)]
#[properties(device = "virtio-net-pci")]
struct Props {
    /// 0 is computed from the queues.
    #[property(default = 0)]
    vectors: u32,
}

#[derive(VmState, Clone, Default)]
#[vmstate(name = "msix", version = 1)]
struct Msix {
    #[vmstate(local)]
    vectors: u32,
    #[vmstate(len = vectors, max = VECTORS_MAX)]
    table: Vec<u32>,
    pending: u8,
}
registers!(Msix { pending });

fn net(vectors: u32) -> Plain<Msix> {
    let vectors = if vectors == 0 { 2 * QUEUE_PAIRS + 2 } else { vectors };
    Plain::new(Msix { vectors, table: vec![0xfee0_0000; vectors as usize], pending: 0 }, ())
}

mod old {
    use super::*;

    family! { "5.2": "5.2" }
    pub(super) const RELEASE: Release = Release::new("5.2", &FAMILY, &[], |_| machine_of("net", net(3)));
}

mod broken {
    use super::*;

    family! { "6.0": "6.0", "5.2" }
    pub(super) const RELEASE: Release = Release::new("6.0", &FAMILY, &[], |_| machine_of("net", net(0)));
}

mod fixed {
    use super::*;

    family! { "6.0.1": "6.0", "5.2" [("virtio-net-pci", "vectors", "3")];
        Island {
            release: "6.0",
            machine: "5.2",
            device: "virtio-net-pci",
            property: "vectors",
            value: "0",
            reason: "6.0 computes the number for older machine types too",
        },
    }
    pub(super) const RELEASE: Release = Release::new("6.0.1", &FAMILY, &[DeviceType::of::<Props>()], |settings| {
        let Props { vectors } = settings.properties(&[])?;
        machine_of("net", net(vectors))
    });
}

pub(crate) fn lab() -> Lab {
    let fails = |from, to| Failure {
        from,
        to,
        machine: "board-5.2",
        scenario: "*",
        text: "missing section footer",
        reason: "6.0 has one vector more than 5.2",
    };
    Lab::new(&[old::RELEASE, broken::RELEASE, fixed::RELEASE])
        .scenario(Scenario::writes("interrupt pending", &[("net.pending", 1)]))
        .fails(&[fails("5.2|6.0.1", "6.0"), fails("6.0", "5.2|6.0.1")])
        .octets_differ(&[OctetDifference {
            release: "6.0",
            machine: "board-5.2",
            scenario: "*",
            section: "msix",
            reason: "an island",
        }])
}

#[test]
fn a_number_that_sizes_state_is_fixed_for_old_machine_types() {
    lab().run().assert();
}
