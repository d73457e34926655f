//! R6: failing explicitly.
//!
//! What an old destination cannot hold is not sent to it silently cut down: the source sends a subsection that it does
//! not know, and it stops with the device's name; the source goes on. A subsection without fields will do.
//!
//! The other way round, a destination that cannot take a value says so: `equal` for configuration, `check` or `restore`
//! for the rest.
//!
//! | device | state | answer of 1.0 |
//! |---|---|---|
//! | encrypted disk (new in 1.1) | key loaded | `subsection 'disk/encrypted' is not known to this release` |
//! | any | fewer heads than the source | `value 0x4 does not equal 0x2 here (start it with the source's number of heads)` |
//! | any | sector beyond the disk | `sector 4000 is beyond the disk, which has 1000` |

use vmstate_lab::{Failure, Lab, Scenario};

mod v1_0 {
    use vmstate::machine::DeviceType;
    use vmstate::{Migrate, Properties, Refused, Versions, VmState};
    use vmstate_lab::{Release, registers};

    use crate::plain::machine_of;

    #[derive(Properties, Clone)]
    #[properties(device = "disk")]
    pub(super) struct DiskProps {
        #[property(default = 4)]
        pub(super) heads: u32,
        #[property(default = 1000)]
        pub(super) sectors: u32,
    }

    #[derive(VmState)]
    #[vmstate(name = "disk", version = 1)]
    struct DiskImage {
        #[vmstate(equal, hint = "start it with the source's number of heads")]
        heads: u32,
        sector: u32,
    }

    struct Disk {
        props: DiskProps,
        sector: u32,
    }

    registers!(Disk { sector });

    impl Migrate for Disk {
        type Image = DiskImage;
        type Props = ();

        fn props(&self) {}

        fn snapshot(&self) -> Result<DiskImage, Refused> {
            let Self { props: DiskProps { heads, sectors: _ }, sector } = self;
            Ok(DiskImage { heads: *heads, sector: *sector })
        }

        fn template(&self) -> Result<DiskImage, Refused> {
            self.snapshot()
        }

        fn restore(&mut self, image: DiskImage, _: &Versions) -> Result<(), Refused> {
            let DiskImage { heads: _, sector } = image;
            let sectors = self.props.sectors;
            if sector >= sectors {
                return Err(Refused::new(format!("sector {sector} is beyond the disk, which has {sectors}")));
            }
            self.sector = sector;
            Ok(())
        }
    }

    family! { "1.0": "1.0" }
    pub(super) const RELEASE: Release = Release::new("1.0", &FAMILY, &[DeviceType::of::<DiskProps>()], |settings| {
        machine_of("disk", Disk { props: settings.properties(&[])?, sector: 0 })
    });
}

mod v1_1 {
    use vmstate::machine::DeviceType;
    use vmstate::{Migrate, Refused, Versions, VmState};
    use vmstate_lab::{Release, registers};

    use super::v1_0::DiskProps;
    use crate::plain::machine_of;

    #[derive(VmState)]
    #[vmstate(name = "disk", version = 1)]
    struct DiskImage {
        #[vmstate(equal, hint = "start it with the source's number of heads")]
        heads: u32,
        sector: u32,
        #[vmstate(subsection)]
        encrypted: Option<EncryptedImage>,
    }

    /// Says that there is what 1.0 does not have.
    #[derive(VmState, Default)]
    #[vmstate(name = "disk/encrypted", version = 1)]
    struct EncryptedImage {}

    struct Disk {
        props: DiskProps,
        sector: u32,
        encrypted: bool,
    }

    registers!(Disk { sector, encrypted });

    impl Migrate for Disk {
        type Image = DiskImage;
        type Props = ();

        fn props(&self) {}

        fn snapshot(&self) -> Result<DiskImage, Refused> {
            let Self { props: DiskProps { heads, sectors: _ }, sector, encrypted } = self;
            Ok(DiskImage { heads: *heads, sector: *sector, encrypted: encrypted.then_some(EncryptedImage {}) })
        }

        fn template(&self) -> Result<DiskImage, Refused> {
            self.snapshot()
        }

        fn restore(&mut self, image: DiskImage, _: &Versions) -> Result<(), Refused> {
            let DiskImage { heads: _, sector, encrypted } = image;
            let sectors = self.props.sectors;
            if sector >= sectors {
                return Err(Refused::new(format!("sector {sector} is beyond the disk, which has {sectors}")));
            }
            (self.sector, self.encrypted) = (sector, encrypted.is_some());
            Ok(())
        }
    }

    family! { "1.1": "1.1", "1.0" }
    pub(super) const RELEASE: Release = Release::new("1.1", &FAMILY, &[DeviceType::of::<DiskProps>()], |settings| {
        machine_of("disk", Disk { props: settings.properties(&[])?, sector: 0, encrypted: false })
    });
}

const ENCRYPTED: &str = "key loaded";

pub(crate) fn lab() -> Lab {
    Lab::new(&[v1_0::RELEASE, v1_1::RELEASE])
        .scenario(Scenario::writes("reading", &[("disk.sector", 63)]))
        .scenario(Scenario::writes(ENCRYPTED, &[("disk.encrypted", 1)]))
        .fails(&[Failure {
            from: "1.1",
            to: "1.0",
            machine: "board-1.0",
            scenario: ENCRYPTED,
            text: "subsection 'disk/encrypted' is not known to this release",
            reason: "1.0 would read the disk without its key",
        }])
}

#[test]
fn what_cannot_be_held_is_refused_and_the_source_goes_on() {
    lab().run().assert();
}

#[test]
fn a_destination_says_what_it_found_and_what_it_would_have_taken() {
    let mut source = v1_1::RELEASE.start("board-1.0", &["disk.sectors=5000".parse().unwrap()]).unwrap();
    source.act("disk.sector", 4000).unwrap();
    let stream = source.save().unwrap();
    let refused = |globals: &[&str]| {
        let globals: Vec<_> = globals.iter().map(|text| text.parse().unwrap()).collect();
        let mut destination = v1_0::RELEASE.start("board-1.0", &globals).unwrap();
        let before = destination.observe();
        let refusal = destination.load(&stream).unwrap_err().to_string();
        assert_eq!(destination.observe(), before);
        refusal
    };
    let heads = refused(&["disk.heads=2", "disk.sectors=5000"]);
    assert!(
        heads.ends_with("value 0x4 does not equal 0x2 here (start it with the source's number of heads)"),
        "{heads}"
    );
    let sectors = "destination: section 'disk' instance 0: sector 4000 is beyond the disk, which has 1000";
    assert_eq!(refused(&[]), sectors);
}
