//! R5: raising the version, and what that costs.
//!
//! One line, and it looks like what versions are for. But a writer always writes its newest version, whatever the
//! machine type: from now on *nothing* that this release sends can be loaded by any older one, in any state, with any
//! machine type. Chains that once pass it do not come back either. The lab counts what fails; compare R1, which costs
//! nothing of this.
//!
//! | machine type | sent by 1.0 | sent by 2.0 |
//! |---|---|---|
//! | `board-1.0` | version 1: `0005` | version 2: `0005` `004d` |
//! | `board-2.0` | | version 2: `0005` `004d` |
//!
//! Forward, old streams load: `min` stays at 1, and the new field keeps what `template` has.

use vmstate_lab::{Failure, Lab, OctetDifference, Scenario};

mod v1_0 {
    use vmstate::VmState;
    use vmstate_lab::{Release, registers};

    use crate::plain::{Plain, machine_of};

    #[derive(VmState, Clone, Default)]
    #[vmstate(name = "timer", version = 1)]
    struct Timer {
        count: u16,
    }

    registers!(Timer { count });

    family! { "1.0": "1.0" }
    pub(super) const RELEASE: Release =
        Release::new("1.0", &FAMILY, &[], |_| machine_of("timer", Plain::new(Timer::default(), ())));
}

mod v2_0 {
    use vmstate::VmState;
    use vmstate_lab::{Release, registers};

    use crate::plain::{Plain, machine_of};

    #[derive(VmState, Clone)]
    #[vmstate(name = "timer", version = 2, min = 1)]
    struct Timer {
        count: u16,
        #[vmstate(since = 2)]
        limit: u16,
    }

    registers!(Timer { count, limit });

    family! { "2.0": "2.0", "1.0" }
    pub(super) const RELEASE: Release =
        Release::new("2.0", &FAMILY, &[], |_| machine_of("timer", Plain::new(Timer { count: 0, limit: 0xffff }, ())));
}

const REASON: &str = "2.0 raised the version of the section";

pub(crate) fn lab() -> Lab {
    Lab::new(&[v1_0::RELEASE, v2_0::RELEASE])
        .scenario(Scenario::writes("counting", &[("timer.count", 5)]))
        .scenario(Scenario::writes("limited", &[("timer.count", 5), ("timer.limit", 77)]))
        .fails(&[Failure {
            from: "2.0",
            to: "1.0",
            machine: "*",
            scenario: "*",
            text: "version 2 is too new: this release loads up to version 1",
            reason: REASON,
        }])
        .octets_differ(&[OctetDifference {
            release: "2.0",
            machine: "*",
            scenario: "*",
            section: "timer",
            reason: REASON,
        }])
}

#[test]
fn no_guest_goes_back_whatever_its_machine_type_and_state() {
    let report = lab().run();
    report.assert();
    // Every pair 2.0 > 1.0: one machine type, three scenarios.
    assert_eq!(report.figures.expected_failures, 3);
}

#[test]
fn an_old_stream_leaves_the_new_field_as_it_is() {
    let mut old = v1_0::RELEASE.start("board-1.0", &[]).unwrap();
    old.act("timer.count", 5).unwrap();
    let stream = old.save().unwrap();
    assert_eq!((stream.sections[0].version, stream.body_hex("timer", 0).unwrap().as_str()), (1, "0005"));
    let mut new = v2_0::RELEASE.start("board-1.0", &[]).unwrap();
    new.load(&stream).unwrap();
    assert_eq!(new.observe().value("timer.limit"), Some("65535"));
    new.act("timer.limit", 77).unwrap();
    let stream = new.save().unwrap();
    assert_eq!((stream.sections[0].version, stream.body_hex("timer", 0).unwrap().as_str()), (2, "0005004d"));
}
