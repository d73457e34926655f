//! R12: one state becomes two of the same kind. This is break 11 of the survey as well (e1000's offload properties,
//! QEMU 2.12, list 2.11: off).
//!
//! 1.0 keeps one set of properties for every packet; 1.1 keeps one for packets with segmentation and one for others.
//! The main structure carries one set, a subsection the other. Where the subsection is off, the one that was used last
//! goes, as in 1.0; where it did not come, both become what came.
//!
//! | sets (plain, segmented), last used | machine type | octets |
//! |---|---|---|
//! | 1, 2, segmented | `board-1.0` | `0002` |
//! | 1, 2, segmented | `board-1.1` | `0001` `05 0d "nic/segmented" 00000001 0002 01` |

use vmstate_lab::{Difference, Lab, Scenario};

mod v1_0 {
    use vmstate::VmState;
    use vmstate_lab::{Release, registers};

    use crate::plain::{Plain, machine_of};

    #[derive(VmState, Clone, Default)]
    #[vmstate(name = "nic", version = 1)]
    struct Nic {
        offload: u16,
    }

    registers!(Nic { "used" => offload });

    family! { "1.0": "1.0" }
    pub(super) const RELEASE: Release =
        Release::new("1.0", &FAMILY, &[], |_| machine_of("nic", Plain::new(Nic::default(), ())));
}

mod v1_1 {
    use vmstate::machine::DeviceType;
    use vmstate::{Migrate, Properties, Refused, Versions, VmState};
    use vmstate_lab::{Guest, Observation, Register as _, Release, Unsupported};

    use crate::plain::machine_of;

    #[derive(Properties, Clone)]
    #[properties(device = "nic")]
    struct NicProps {
        #[property(default = true)]
        migrate_segmented: bool,
    }

    #[derive(VmState)]
    #[vmstate(name = "nic", version = 1, props = NicProps)]
    struct NicImage {
        offload: u16,
        #[vmstate(subsection, gate = migrate_segmented)]
        segmented: Option<SegmentedImage>,
    }

    #[derive(VmState, Default)]
    #[vmstate(name = "nic/segmented", version = 1)]
    struct SegmentedImage {
        offload: u16,
        used_last: bool,
    }

    struct Nic {
        props: NicProps,
        plain: u16,
        segmented: u16,
        segmented_used_last: bool,
        /// A mistake: the same set goes whether or not the other goes with it.
        always_sends_plain: bool,
    }

    impl Nic {
        fn new(props: NicProps) -> Self {
            Self { props, plain: 0, segmented: 0, segmented_used_last: false, always_sends_plain: false }
        }
    }

    /// `used` is the set that was used last; to write it is to use a set of that kind.
    impl Guest for Nic {
        fn act(&mut self, register: &str, value: u64) -> Result<(), Unsupported> {
            let offload = u16::of(value).ok_or_else(|| Unsupported::value(register, value))?;
            match register {
                "plain" => (self.plain, self.segmented_used_last) = (offload, false),
                "segmented" => (self.segmented, self.segmented_used_last) = (offload, true),
                "used" => (self.plain, self.segmented) = (offload, offload),
                _ => return Err(Unsupported::register(register)),
            }
            Ok(())
        }

        fn observe(&self) -> Observation {
            let Self { props: _, plain, segmented, segmented_used_last, always_sends_plain: _ } = self;
            let used = if *segmented_used_last { segmented } else { plain };
            Observation::new().with("plain", plain).with("segmented", segmented).with("used", used)
        }
    }

    impl Migrate for Nic {
        type Image = NicImage;
        type Props = NicProps;

        fn props(&self) -> NicProps {
            self.props.clone()
        }

        fn snapshot(&self) -> Result<NicImage, Refused> {
            let Self { props, plain, segmented, segmented_used_last, always_sends_plain } = self;
            // Alone, it has to be the one that the guest used last.
            let is_alone = !props.migrate_segmented && !always_sends_plain;
            let offload = if is_alone && *segmented_used_last { segmented } else { plain };
            let segmented = SegmentedImage { offload: *segmented, used_last: *segmented_used_last };
            Ok(NicImage { offload: *offload, segmented: Some(segmented) })
        }

        fn template(&self) -> Result<NicImage, Refused> {
            self.snapshot()
        }

        fn restore(&mut self, image: NicImage, _: &Versions) -> Result<(), Refused> {
            let NicImage { offload, segmented } = image;
            let alone = SegmentedImage { offload, used_last: false };
            let SegmentedImage { offload: segmented, used_last } = segmented.unwrap_or(alone);
            (self.plain, self.segmented, self.segmented_used_last) = (offload, segmented, used_last);
            Ok(())
        }
    }

    family! { "1.1": "1.1", "1.0" [("nic", "migrate-segmented", "off")] }
    pub(super) const RELEASE: Release = Release::new("1.1", &FAMILY, &[DeviceType::of::<NicProps>()], |settings| {
        machine_of("nic", Nic::new(settings.properties(&[])?))
    });

    /// One set is left out, whichever was used last.
    pub(super) const NAIVE: Release = Release::new("1.1", &FAMILY, &[DeviceType::of::<NicProps>()], |settings| {
        machine_of("nic", Nic { always_sends_plain: true, ..Nic::new(settings.properties(&[])?) })
    });
}

const DIFFERENT: &str = "two sets, segmented used last";

pub(crate) fn lab() -> Lab {
    with(v1_1::RELEASE).differs(&[becomes("1.1", DIFFERENT, "nic.plain", "2")])
}

const fn becomes(
    from: &'static str,
    scenario: &'static str,
    register: &'static str,
    value: &'static str,
) -> Difference {
    let reason = "one set moves with this machine type, the one used last, and becomes both";
    Difference { from, to: "1.1", machine: "board-1.0", scenario, register, value, reason }
}

fn with(new: vmstate_lab::Release) -> Lab {
    Lab::new(&[v1_0::RELEASE, new])
        .scenario(Scenario::writes("one set", &[("nic.used", 5)]))
        .scenario(Scenario::writes(DIFFERENT, &[("nic.plain", 1), ("nic.segmented", 2)]))
        .differs(&[becomes("1.0", "one set", "nic.plain", "5"), becomes("1.0", "one set", "nic.segmented", "5")])
}

/// In chains as well: old, new, old again keeps the set that was used last.
#[test]
fn the_set_that_was_used_last_survives_every_way() {
    lab().run().assert();
}

#[test]
fn the_wrong_set_is_lost_where_one_is_left_out_whichever_was_used() {
    let lost = |to, register| Difference {
        from: "1.1",
        to,
        machine: "board-1.0",
        scenario: DIFFERENT,
        register,
        value: "1",
        reason: "the set that was used last did not go",
    };
    with(v1_1::NAIVE).differs(&[lost("*", "nic.used"), lost("1.1", "nic.segmented")]).run().assert();
}

#[test]
fn the_octets_are_those_of_the_table() {
    let section = |machine: &str| {
        let mut guest = v1_1::RELEASE.start(machine, &[]).unwrap();
        guest.act("nic.plain", 1).unwrap();
        guest.act("nic.segmented", 2).unwrap();
        guest.save().unwrap().body("nic", 0).unwrap().to_vec()
    };
    assert_eq!(section("board-1.0"), b"\0\x02");
    assert_eq!(section("board-1.1"), b"\0\x01\x05\x0dnic/segmented\0\0\0\x01\0\x02\x01");
}
