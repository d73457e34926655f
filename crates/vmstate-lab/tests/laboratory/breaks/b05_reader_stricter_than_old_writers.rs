//! Break 5: a reader that relies on what writers do since one release ago.
//!
//! In QEMU up to 8.2, packets that only synchronise multifd channels could carry pages as well; 9.1 stopped to send
//! them so, and 9.2 stopped to look. From 9.1 on all worked, and 8.2 to 9.2 lost pages. The mend of 9.2.1: always look.
//! What *any* release sent that has the machine type has to be read, for as long as the machine type lives.
//!
//! Multifd packets are not modelled here; this is a device with the same two places for the same thing: an octet waits
//! in `data`, or in `sync`, where only writers of 8.2 put it.

use vmstate::{Migrate, Refused, Versions, VmState};
use vmstate_lab::{ChainDifference, Difference, Lab, Machine, OctetDifference, Release, Scenario, registers};

use crate::plain::machine_of;

#[derive(VmState)]
#[vmstate(name = "channel", version = 1)]
struct ChannelImage {
    data: u8,
    sync: u8,
}

struct Channel {
    /// Whether writers put the octet into the synchronising part.
    puts_into_sync: bool,
    /// Whether readers look there.
    looks_into_sync: bool,
    waiting: u8,
}
registers!(Channel { waiting });

impl Migrate for Channel {
    type Image = ChannelImage;
    type Props = ();

    fn props(&self) {}

    fn snapshot(&self) -> Result<ChannelImage, Refused> {
        let Self { puts_into_sync, looks_into_sync: _, waiting } = self;
        let (data, sync) = if *puts_into_sync { (0, *waiting) } else { (*waiting, 0) };
        Ok(ChannelImage { data, sync })
    }

    fn template(&self) -> Result<ChannelImage, Refused> {
        self.snapshot()
    }

    fn restore(&mut self, image: ChannelImage, _: &Versions) -> Result<(), Refused> {
        let ChannelImage { data, sync } = image;
        self.waiting = if self.looks_into_sync { data | sync } else { data };
        Ok(())
    }
}

fn machine(puts_into_sync: bool, looks_into_sync: bool) -> Result<Machine, vmstate_lab::BuildError> {
    machine_of("channel", Channel { puts_into_sync, looks_into_sync, waiting: 0 })
}

mod old {
    use super::*;

    family! { "8.2": "8.2" }
    pub(super) const RELEASE: Release = Release::new("8.2", &FAMILY, &[], |_| machine(true, true));
}

mod new_writer {
    use super::*;

    family! { "9.1": "9.1", "8.2" }
    pub(super) const RELEASE: Release = Release::new("9.1", &FAMILY, &[], |_| machine(false, true));
}

mod broken {
    use super::*;

    family! { "9.2": "9.2", "9.1", "8.2" }
    pub(super) const RELEASE: Release = Release::new("9.2", &FAMILY, &[], |_| machine(false, false));
}

mod fixed {
    use super::*;

    family! { "9.2.1": "9.2", "9.1", "8.2" }
    pub(super) const RELEASE: Release = Release::new("9.2.1", &FAMILY, &[], |_| machine(false, true));
}

const WAITING: &str = "an octet waits";

pub(crate) fn lab() -> Lab {
    let chain = |chain, text, reason| ChainDifference { chain, machine: "board-8.2", scenario: WAITING, text, reason };
    let (mended, lost) =
        ("9.1 and 9.2.1 put it where 9.2 looks", "lost on the way from 8.2 to 9.2, and then everywhere");
    Lab::new(&[old::RELEASE, new_writer::RELEASE, broken::RELEASE, fixed::RELEASE])
        .scenario(Scenario::writes(WAITING, &[("channel.waiting", 0x41)]))
        .differs(&[Difference {
            from: "8.2",
            to: "9.2",
            machine: "board-8.2",
            scenario: WAITING,
            register: "channel.waiting",
            value: "0",
            reason: "9.2 does not look where 8.2 puts it",
        }])
        .octets_differ(&[OctetDifference {
            release: "9.1|9.2|9.2.1",
            machine: "board-8.2",
            scenario: WAITING,
            section: "channel",
            reason: "writers since 9.1 put it elsewhere, where every reader looks",
        }])
        .chains_differ(&[
            chain("8.2 > * > 9.2", "waiting 65, was 0", mended),
            chain("8.2 > * > * > 9.2", "waiting 65, was 0", mended),
            chain("* > 8.2 > 9.2", "waiting 0, was 65", lost),
            chain("* > 8.2 > 9.2 > *", "waiting 0, was 65", lost),
            chain("* > * > 8.2 > 9.2", "waiting 0, was 65", lost),
            chain("8.2 > 9.2 > *", "waiting 0, was 65", lost),
            chain("8.2 > 9.2 > * > *", "waiting 0, was 65", lost),
            chain("8.2 > * > 9.2 > *", "channel.waiting", mended),
        ])
}

#[test]
fn what_old_writers_send_is_read_as_long_as_their_machine_type_lives() {
    lab().run().assert();
}
