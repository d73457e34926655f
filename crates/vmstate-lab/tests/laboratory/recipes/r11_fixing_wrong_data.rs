//! R11: mending data that old releases sent wrong. This is break 16 of the survey as well.
//!
//! 1.0 has the guest's interrupt bits shifted by one place on the wire, both ways, so that it understands itself. 1.1
//! sends them right, and must know which of the two it got. It always sends an empty subsection that says "right";
//! without it, it repairs. Having repaired, it says "right" itself: a guest that moves on must not be repaired twice.
//! For machine types of 1.0 it sends what 1.0 sends, wrong and unmarked.
//!
//! | bits | machine type | octets |
//! |---|---|---|
//! | 1 | `board-1.0` | `0002` |
//! | 1 | `board-1.1` | `0001` `05 09 "gic/right" 00000001` |
//!
//! `v1_1_late` is as in the survey: there the fault was one of some hosts only, old releases sent right data as well
//! and know nothing of a mark. So the mark is for all machine types that 1.1 starts, and older releases refuse it.

use vmstate_lab::{ChainDifference, Failure, Lab, OctetDifference, Scenario};

mod v1_0 {
    use vmstate::{Migrate, Refused, Versions, VmState};
    use vmstate_lab::{Release, registers};

    use crate::plain::machine_of;

    #[derive(VmState)]
    #[vmstate(name = "gic", version = 1)]
    struct GicImage {
        /// Shifted by one place.
        pending: u16,
    }

    #[derive(Default)]
    struct Gic {
        pending: u16,
    }

    registers!(Gic { pending });

    impl Migrate for Gic {
        type Image = GicImage;
        type Props = ();

        fn props(&self) {}

        fn snapshot(&self) -> Result<GicImage, Refused> {
            let Self { pending } = self;
            Ok(GicImage { pending: pending.rotate_left(1) })
        }

        fn template(&self) -> Result<GicImage, Refused> {
            self.snapshot()
        }

        fn restore(&mut self, image: GicImage, _: &Versions) -> Result<(), Refused> {
            let GicImage { pending } = image;
            *self = Self { pending: pending.rotate_right(1) };
            Ok(())
        }
    }

    family! { "1.0": "1.0" }
    pub(super) const RELEASE: Release = Release::new("1.0", &FAMILY, &[], |_| machine_of("gic", Gic::default()));
}

mod v1_1 {
    use vmstate::machine::DeviceType;
    use vmstate::{Migrate, Properties, Refused, Versions, VmState};
    use vmstate_lab::{Release, registers};

    use crate::plain::machine_of;

    #[derive(Properties, Clone)]
    #[properties(device = "gic")]
    struct GicProps {
        #[property(default = true)]
        x_right_bits: bool,
    }

    #[derive(VmState)]
    #[vmstate(name = "gic", version = 1, props = GicProps)]
    struct GicImage {
        pending: u16,
        #[vmstate(subsection, gate = x_right_bits)]
        right: Option<RightImage>,
    }

    #[derive(VmState, Default)]
    #[vmstate(name = "gic/right", version = 1)]
    struct RightImage {}

    struct Gic {
        props: GicProps,
        pending: u16,
        /// A mistake: the mark says how the bits came, not how they go.
        forgets: bool,
        came_right: bool,
    }

    registers!(Gic { pending });

    impl Gic {
        fn new(props: GicProps) -> Self {
            Self { props, pending: 0, forgets: false, came_right: true }
        }
    }

    impl Migrate for Gic {
        type Image = GicImage;
        type Props = GicProps;

        fn props(&self) -> GicProps {
            self.props.clone()
        }

        fn snapshot(&self) -> Result<GicImage, Refused> {
            let Self { props, pending, forgets, came_right } = self;
            // The device's own bits are right, wherever they came from: so is the mark.
            let pending = if props.x_right_bits { *pending } else { pending.rotate_left(1) };
            let is_right = !forgets || *came_right;
            Ok(GicImage { pending, right: is_right.then_some(RightImage {}) })
        }

        fn template(&self) -> Result<GicImage, Refused> {
            self.snapshot()
        }

        fn restore(&mut self, image: GicImage, _: &Versions) -> Result<(), Refused> {
            let GicImage { pending, right } = image;
            self.came_right = right.is_some();
            self.pending = if self.came_right { pending } else { pending.rotate_right(1) };
            Ok(())
        }
    }

    const DEVICES: &[DeviceType] = &[DeviceType::of::<GicProps>()];
    family! { "1.1": "1.1", "1.0" [("gic", "x-right-bits", "off")] }
    pub(super) const RELEASE: Release =
        Release::new("1.1", &FAMILY, DEVICES, |settings| machine_of("gic", Gic::new(settings.properties(&[])?)));

    /// As in the survey: no property.
    pub(super) mod late {
        use super::{DEVICES, Gic};
        use crate::plain::machine_of;
        use vmstate_lab::Release;

        family! { "1.1": "1.1", "1.0" }
        pub(in super::super) const RELEASE: Release =
            Release::new("1.1", &FAMILY, DEVICES, |settings| machine_of("gic", Gic::new(settings.properties(&[])?)));

        /// The mark is not set after the repair.
        pub(in super::super) const FORGETFUL: Release = Release::new("1.1", &FAMILY, DEVICES, |settings| {
            machine_of("gic", Gic { forgets: true, ..Gic::new(settings.properties(&[])?) })
        });
    }
}

fn with(new: vmstate_lab::Release) -> Lab {
    Lab::new(&[v1_0::RELEASE, new]).scenario(Scenario::writes("interrupt pending", &[("gic.pending", 1)]))
}

pub(crate) fn lab() -> Lab {
    with(v1_1::RELEASE)
}

/// Chains are in it: 1.0 > 1.1 > 1.1 is the second hop.
pub(crate) fn lab_without_a_property() -> Lab {
    marked_for_all(v1_1::late::RELEASE)
}

fn marked_for_all(new: vmstate_lab::Release) -> Lab {
    with(new)
        .fails(&[Failure {
            from: "1.1",
            to: "1.0",
            machine: "board-1.0",
            scenario: "*",
            text: "subsection 'gic/right' is not known to this release",
            reason: "the mark is for all machine types: the way back is closed",
        }])
        .octets_differ(&[OctetDifference {
            release: "1.1",
            machine: "board-1.0",
            scenario: "*",
            section: "gic",
            reason: "the same",
        }])
}

#[test]
fn wrong_data_is_repaired_once_and_never_again() {
    lab().run().assert();
    let report = lab_without_a_property().run();
    report.assert();
    assert!(report.figures.chains > 0);
}

/// What came unmarked goes on unmarked, though it was repaired: the next destination repairs it once more, and where it
/// goes to 1.0, that takes right bits for shifted ones.
#[test]
fn a_mark_that_is_not_set_after_the_repair_spoils_the_second_hop() {
    let chain = |chain, text| ChainDifference {
        chain,
        machine: "board-1.0",
        scenario: "interrupt pending",
        text,
        reason: "the mark is missing on the second hop",
    };
    marked_for_all(v1_1::late::FORGETFUL)
        .chains_differ(&[
            chain("1.0 > 1.1 > *", "gic.pending 32768, was 1"),
            chain("1.0 > * > 1.1 > *", "gic.pending 32768, was 1"),
            chain("1.0 > 1.1 > * > *", "gic.pending 32768, was 1"),
            chain("1.0 > 1.1 > * > *", "gic.pending 16384, was 1"),
        ])
        .run()
        .assert();
}

#[test]
fn the_octets_are_those_of_the_table() {
    let section = |machine: &str| {
        let mut guest = v1_1::RELEASE.start(machine, &[]).unwrap();
        guest.act("gic.pending", 1).unwrap();
        guest.save().unwrap().body("gic", 0).unwrap().to_vec()
    };
    assert_eq!(section("board-1.0"), b"\0\x02");
    assert_eq!(section("board-1.1"), b"\0\x01\x05\x09gic/right\0\0\0\x01");
}
