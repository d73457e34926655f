//! R3: dropping a field.
//!
//! A network card sent four things in 1.0. Two are not needed any more; they are not equal:
//!
//! | field | 1.0 | 1.1 | 2.0 |
//! |---|---|---|---|
//! | `ring` | u32 | u32 | u32 |
//! | `trace`: nobody ever read it | u16 | two zeros: `unused = 2` | the same |
//! | `next`: 1.0 goes on with it, 1.1 computes it from `ring` | u32 | u32, computed in `snapshot` | not sent from machine type 2.0 on: `gate` |
//! | `mtu` | u16 | u16 | u16 |
//!
//! Octets for ring 8 and MTU 1500:
//!
//! | machine type | octets |
//! |---|---|
//! | `board-1.0`, 1.0 | `00000008` `5a5a` `00000009` `05dc` |
//! | `board-1.0`, 1.1 and 2.0 | `00000008` `0000` `00000009` `05dc` |
//! | `board-2.0` | `00000008` `0000` `05dc` |
//!
//! For filler, give the octets that were *sent*: 1 for a `bool`. To remove octets takes a property, as new ones do
//! (R1), and is rarely worth it.

use vmstate_lab::{Lab, OctetDifference, Scenario};

mod v1_0 {
    use vmstate::{Migrate, Refused, Versions, VmState};
    use vmstate_lab::{Release, registers};

    use crate::plain::machine_of;

    #[derive(VmState)]
    #[vmstate(name = "nic", version = 1)]
    struct NicImage {
        ring: u32,
        trace: u16,
        next: u32,
        mtu: u16,
    }

    #[derive(Default)]
    struct Nic {
        ring: u32,
        mtu: u16,
    }

    registers!(Nic { ring, mtu });

    impl Migrate for Nic {
        type Image = NicImage;
        type Props = ();

        fn props(&self) {}

        fn snapshot(&self) -> Result<NicImage, Refused> {
            let Self { ring, mtu } = self;
            Ok(NicImage { ring: *ring, trace: 0x5a5a, next: ring + 1, mtu: *mtu })
        }

        fn template(&self) -> Result<NicImage, Refused> {
            self.snapshot()
        }

        /// This release believes what comes: whoever sends to it must send something sensible.
        fn restore(&mut self, image: NicImage, _: &Versions) -> Result<(), Refused> {
            let NicImage { ring, trace: _, next, mtu } = image;
            if next != ring + 1 {
                return Err(Refused::new(format!("next is {next}, accepted is {}", ring + 1)));
            }
            *self = Self { ring, mtu };
            Ok(())
        }
    }

    family! { "1.0": "1.0" }
    pub(super) const RELEASE: Release = Release::new("1.0", &FAMILY, &[], |_| machine_of("nic", Nic::default()));
}

mod v1_1 {
    use vmstate::{Migrate, Refused, Versions, VmState};
    use vmstate_lab::{Release, registers};

    use crate::plain::machine_of;

    #[derive(VmState)]
    #[vmstate(name = "nic", version = 1)]
    struct NicImage {
        ring: u32,
        #[vmstate(unused = 2)]
        trace: (),
        /// For 1.0.
        next: u32,
        mtu: u16,
    }

    #[derive(Default)]
    struct Nic {
        ring: u32,
        mtu: u16,
    }

    registers!(Nic { ring, mtu });

    impl Migrate for Nic {
        type Image = NicImage;
        type Props = ();

        fn props(&self) {}

        fn snapshot(&self) -> Result<NicImage, Refused> {
            let Self { ring, mtu } = self;
            Ok(NicImage { ring: *ring, trace: (), next: ring + 1, mtu: *mtu })
        }

        fn template(&self) -> Result<NicImage, Refused> {
            self.snapshot()
        }

        fn restore(&mut self, image: NicImage, _: &Versions) -> Result<(), Refused> {
            let NicImage { ring, trace: (), next: _, mtu } = image;
            *self = Self { ring, mtu };
            Ok(())
        }
    }

    family! { "1.1": "1.1", "1.0" }
    pub(super) const RELEASE: Release = Release::new("1.1", &FAMILY, &[], |_| machine_of("nic", Nic::default()));
}

mod v2_0 {
    use vmstate::machine::DeviceType;
    use vmstate::{Migrate, Properties, Refused, Versions, VmState};
    use vmstate_lab::{Release, registers};

    use crate::plain::machine_of;

    /// Off is the new behaviour, so the entry turns it on.
    #[derive(Properties, Clone)]
    #[properties(device = "nic")]
    struct NicProps {
        #[property(default = false)]
        x_send_next: bool,
    }

    #[derive(VmState)]
    #[vmstate(name = "nic", version = 1, props = NicProps)]
    struct NicImage {
        ring: u32,
        #[vmstate(unused = 2)]
        trace: (),
        #[vmstate(gate = x_send_next)]
        next: u32,
        mtu: u16,
    }

    struct Nic {
        props: NicProps,
        ring: u32,
        mtu: u16,
    }

    registers!(Nic { ring, mtu });

    impl Migrate for Nic {
        type Image = NicImage;
        type Props = NicProps;

        fn props(&self) -> NicProps {
            self.props.clone()
        }

        fn snapshot(&self) -> Result<NicImage, Refused> {
            let Self { props: _, ring, mtu } = self;
            Ok(NicImage { ring: *ring, trace: (), next: ring + 1, mtu: *mtu })
        }

        fn template(&self) -> Result<NicImage, Refused> {
            self.snapshot()
        }

        fn restore(&mut self, image: NicImage, _: &Versions) -> Result<(), Refused> {
            let NicImage { ring, trace: (), next: _, mtu } = image;
            (self.ring, self.mtu) = (ring, mtu);
            Ok(())
        }
    }

    family! { "2.0": "2.0", "1.1" [("nic", "x-send-next", "on")], "1.0" }
    pub(super) const RELEASE: Release = Release::new("2.0", &FAMILY, &[DeviceType::of::<NicProps>()], |settings| {
        machine_of("nic", Nic { props: settings.properties(&[])?, ring: 0, mtu: 0 })
    });
}

pub(crate) fn lab() -> Lab {
    Lab::new(&[v1_0::RELEASE, v1_1::RELEASE, v2_0::RELEASE])
        .scenario(Scenario::writes("ring in use", &[("nic.ring", 8), ("nic.mtu", 1500)]))
        .octets_differ(&[OctetDifference {
            release: "1.1|2.0",
            machine: "board-1.0",
            scenario: "*",
            section: "nic",
            reason: "no release ever looked at `trace`",
        }])
}

#[test]
fn every_pair_works_with_the_octets_kept_and_with_them_gone() {
    lab().run().assert();
}

#[test]
fn the_octets_are_those_of_the_table() {
    let section = |release: vmstate_lab::Release, machine: &str| {
        let mut guest = release.start(machine, &[]).unwrap();
        guest.act("nic.ring", 8).unwrap();
        guest.act("nic.mtu", 1500).unwrap();
        guest.save().unwrap().body_hex("nic", 0).unwrap()
    };
    assert_eq!(section(v1_0::RELEASE, "board-1.0"), "000000085a5a0000000905dc");
    assert_eq!(section(v1_1::RELEASE, "board-1.0"), "0000000800000000000905dc");
    assert_eq!(section(v2_0::RELEASE, "board-1.0"), "0000000800000000000905dc");
    assert_eq!(section(v2_0::RELEASE, "board-2.0"), "00000008000005dc");
}
