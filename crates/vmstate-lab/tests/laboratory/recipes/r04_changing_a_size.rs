//! R4: changing a field's size, or what it means.
//!
//! A counter had 16 bits and gets 32. The old field stays where it is, with the best that it can say; the whole value
//! goes into a subsection, which wins if it is there. It is only there when the old field is not enough, and not for
//! old machine types.
//!
//! | value | machine type | octets |
//! |---|---|---|
//! | 7 | any | `0007` |
//! | 100 000 | `board-1.0` | `ffff` |
//! | 100 000 | `board-1.1` | `ffff` `05 09 "disk/wide" 00000001 000186a0` |

use vmstate_lab::{Difference, Lab, Scenario};

mod v1_0 {
    use vmstate::VmState;
    use vmstate_lab::{Release, registers};

    use crate::plain::{Plain, machine_of};

    #[derive(VmState, Clone, Default)]
    #[vmstate(name = "disk", version = 1)]
    struct Disk {
        errors: u16,
    }

    registers!(Disk { errors });

    family! { "1.0": "1.0" }
    pub(super) const RELEASE: Release =
        Release::new("1.0", &FAMILY, &[], |_| machine_of("disk", Plain::new(Disk::default(), ())));
}

mod v1_1 {
    use vmstate::machine::DeviceType;
    use vmstate::{Migrate, Properties, Refused, Versions, VmState};
    use vmstate_lab::{Release, registers};

    use crate::plain::machine_of;

    #[derive(Properties, Clone)]
    #[properties(device = "disk")]
    struct DiskProps {
        #[property(default = true)]
        migrate_wide_errors: bool,
    }

    #[derive(VmState)]
    #[vmstate(name = "disk", version = 1, props = DiskProps)]
    struct DiskImage {
        /// At most 65535.
        errors: u16,
        #[vmstate(subsection, gate = migrate_wide_errors)]
        wide: Option<WideImage>,
    }

    #[derive(VmState, Default)]
    #[vmstate(name = "disk/wide", version = 1)]
    struct WideImage {
        errors: u32,
    }

    struct Disk {
        props: DiskProps,
        errors: u32,
    }

    registers!(Disk { errors });

    impl Migrate for Disk {
        type Image = DiskImage;
        type Props = DiskProps;

        fn props(&self) -> DiskProps {
            self.props.clone()
        }

        fn snapshot(&self) -> Result<DiskImage, Refused> {
            let Self { props: _, errors } = self;
            let narrow = u16::try_from(*errors);
            let wide = narrow.is_err().then_some(WideImage { errors: *errors });
            Ok(DiskImage { errors: narrow.unwrap_or(u16::MAX), wide })
        }

        fn template(&self) -> Result<DiskImage, Refused> {
            self.snapshot()
        }

        fn restore(&mut self, image: DiskImage, _: &Versions) -> Result<(), Refused> {
            let DiskImage { errors, wide } = image;
            self.errors = wide.map_or(errors.into(), |WideImage { errors }| errors);
            Ok(())
        }
    }

    family! { "1.1": "1.1", "1.0" [("disk", "migrate-wide-errors", "off")] }
    pub(super) const RELEASE: Release = Release::new("1.1", &FAMILY, &[DeviceType::of::<DiskProps>()], |settings| {
        machine_of("disk", Disk { props: settings.properties(&[])?, errors: 0 })
    });
}

const MANY: &str = "more errors than 16 bits hold";

pub(crate) fn lab() -> Lab {
    Lab::new(&[v1_0::RELEASE, v1_1::RELEASE])
        .scenario(Scenario::writes("some errors", &[("disk.errors", 7)]))
        .scenario(Scenario::writes(MANY, &[("disk.errors", 100_000)]))
        .differs(&[Difference {
            from: "1.1",
            to: "*",
            machine: "board-1.0",
            scenario: MANY,
            register: "disk.errors",
            value: "65535",
            reason: "the counter of this machine type has 16 bits on its way, as in 1.0",
        }])
}

#[test]
fn the_old_field_stays_and_the_new_one_wins() {
    lab().run().assert();
}

#[test]
fn the_octets_are_those_of_the_table() {
    let section = |machine: &str, errors| {
        let mut guest = v1_1::RELEASE.start(machine, &[]).unwrap();
        guest.act("disk.errors", errors).unwrap();
        guest.save().unwrap().body("disk", 0).unwrap().to_vec()
    };
    assert_eq!(section("board-1.0", 7), b"\0\x07");
    assert_eq!(section("board-1.1", 7), b"\0\x07");
    assert_eq!(section("board-1.0", 100_000), b"\xff\xff");
    assert_eq!(section("board-1.1", 100_000), b"\xff\xff\x05\x09disk/wide\0\0\0\x01\0\x01\x86\xa0");
}
