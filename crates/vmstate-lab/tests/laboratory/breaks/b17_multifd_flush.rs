//! Break 17: a new RAM record.
//!
//! With multifd, QEMU 8.1 says by a record of its own where a reader waits for all channels; before, it did at each
//! section's end. Machine types up to 8.0 keep the old place (list 8.0). A reader that does not know the record cannot
//! skip it; nor could QEMU's analysis script, for a while. Here the record alone is modelled, in a stream without
//! pages; the channels come with multifd. That our own analysis reads it is tested in `vmferry-wire` and
//! `vmferry-inspect`.

use vmstate::Properties;
use vmstate::machine::DeviceType;
use vmstate_lab::{BuildError, ChainDifference, Failure, Lab, Machine, OctetDifference, Reader, Release};

const RECORDS_OF_8_0: Reader = Reader { knows_multifd_flush: false, ..Reader::NEWEST };

#[derive(Properties, Clone)]
#[properties(device = "migration")]
struct Props {
    #[property(default = false)]
    multifd_flush_after_each_section: bool,
}

fn machine(flush_after_each_section: bool) -> Result<Machine, BuildError> {
    let mut machine = Machine::new();
    machine.add_ram("ram0", 16 << 20);
    if !flush_after_each_section {
        machine.send_multifd_flush();
    }
    Ok(machine)
}

mod old {
    use super::*;

    family! { "8.0": "8.0" }
    pub(super) const RELEASE: Release =
        Release::new("8.0", &FAMILY, &[], |_| machine(true)).with_reader(RECORDS_OF_8_0);
}

mod broken {
    use super::*;

    family! { "8.1": "8.1", "8.0" }
    pub(super) const RELEASE: Release = Release::new("8.1", &FAMILY, &[], |_| machine(false));
}

mod fixed {
    use super::*;

    family! { "8.1.1": "8.1", "8.0" [("migration", "multifd-flush-after-each-section", "on")] }
    pub(super) const RELEASE: Release = Release::new("8.1.1", &FAMILY, &[DeviceType::of::<Props>()], |settings| {
        let Props { multifd_flush_after_each_section } = settings.properties(&[])?;
        machine(multifd_flush_after_each_section)
    });
}

pub(crate) fn lab() -> Lab {
    Lab::new(&[old::RELEASE, broken::RELEASE, fixed::RELEASE])
        .fails(&[Failure {
            from: "8.1",
            to: "8.0",
            machine: "board-8.0",
            scenario: "*",
            text: "unknown RAM record MultifdFlush",
            reason: "8.1 sends it for older machine types too",
        }])
        .octets_differ(&[OctetDifference {
            release: "8.1",
            machine: "board-8.0",
            scenario: "*",
            section: "stream",
            reason: "the record",
        }])
        .chains_differ(&[mended("8.1 > 8.1.1 > 8.0"), mended("8.1 > * > 8.1.1 > 8.0"), mended("8.1 > 8.1.1 > * > 8.0")])
}

const fn mended(chain: &'static str) -> ChainDifference {
    let (text, reason) = ("arrives, where the direct migration fails", "8.1.1 does not send it for this machine type");
    ChainDifference { chain, machine: "board-8.0", scenario: "*", text, reason }
}

#[test]
fn a_ram_record_is_sent_only_for_machine_types_that_know_it() {
    lab().run().assert();
}
