//! Break 22, which was none: state that is sent where it is neither off nor what everybody assumes.
//!
//! The sizes of the firmware's tables may be no multiple of a page; a destination that assumes they are has other
//! memory. QEMU 5.0 sends them, if the property is on (list 4.2: off) *and* they are not aligned (P2). Most guests of
//! new machine types are without the subsection, so even a release that never heard of it takes them.

use vmstate::machine::DeviceType;
use vmstate::{Migrate, Properties, Refused, Versions, VmState};
use vmstate_lab::{Difference, Failure, Lab, Release, Scenario, registers};

use crate::plain::{Plain, machine_of};

const PAGE: u64 = 0x1000;
const TABLE_AT_RESET: u64 = 2 * PAGE;

#[derive(Properties, Clone)]
#[properties(device = "fw_cfg")]
struct Props {
    #[property(default = true)]
    acpi_mr_restore: bool,
}

#[derive(VmState)]
#[vmstate(name = "fw_cfg", version = 2, props = Props)]
struct FwCfgImage {
    entry: u16,
    #[vmstate(subsection, gate = acpi_mr_restore)]
    table: Option<TableImage>,
}

#[derive(VmState, Default)]
#[vmstate(name = "fw_cfg/acpi_mr", version = 1)]
struct TableImage {
    bytes: u64,
}

struct FwCfg {
    props: Props,
    entry: u16,
    table: u64,
}
registers!(FwCfg { entry, table });

impl Migrate for FwCfg {
    type Image = FwCfgImage;
    type Props = Props;

    fn props(&self) -> Props {
        self.props.clone()
    }

    fn snapshot(&self) -> Result<FwCfgImage, Refused> {
        let Self { props: _, entry, table } = self;
        let differs = table % PAGE != 0;
        Ok(FwCfgImage { entry: *entry, table: differs.then_some(TableImage { bytes: *table }) })
    }

    fn template(&self) -> Result<FwCfgImage, Refused> {
        self.snapshot()
    }

    fn restore(&mut self, image: FwCfgImage, _: &Versions) -> Result<(), Refused> {
        let FwCfgImage { entry, table } = image;
        // What the sender's memory is if it says nothing.
        let assumed = TABLE_AT_RESET;
        (self.entry, self.table) = (entry, table.map_or(assumed, |TableImage { bytes }| bytes));
        Ok(())
    }
}

mod old {
    use super::*;

    #[derive(VmState, Clone)]
    #[vmstate(name = "fw_cfg", version = 2)]
    struct OldFwCfg {
        entry: u16,
    }
    registers!(OldFwCfg { entry });

    family! { "4.2": "4.2" }
    pub(super) const RELEASE: Release =
        Release::new("4.2", &FAMILY, &[], |_| machine_of("fw", Plain::new(OldFwCfg { entry: 0 }, ())));
}

mod new {
    use super::*;

    family! { "5.0": "5.0", "4.2" [("fw_cfg", "acpi-mr-restore", "off")] }
    pub(super) const RELEASE: Release = Release::new("5.0", &FAMILY, &[DeviceType::of::<Props>()], |settings| {
        machine_of("fw", FwCfg { props: settings.properties(&[])?, entry: 0, table: TABLE_AT_RESET })
    });
}

/// What would have come of it without the entry.
mod broken {
    use super::*;

    family! { "5.0": "5.0", "4.2" }
    pub(super) const RELEASE: Release = Release::new("5.0", &FAMILY, &[DeviceType::of::<Props>()], |settings| {
        machine_of("fw", FwCfg { props: settings.properties(&[])?, entry: 0, table: TABLE_AT_RESET })
    });
}

pub(crate) fn lab() -> Lab {
    Lab::new(&[old::RELEASE, new::RELEASE])
        .scenario(Scenario::writes("entry selected", &[("fw.entry", 25)]))
        .scenario(Scenario::writes("odd table", &[("fw.table", 0x2345)]))
        .differs(&[Difference {
            from: "5.0",
            to: "5.0",
            machine: "board-4.2",
            scenario: "odd table",
            register: "fw.table",
            value: "8192",
            reason: "4.2 assumes whole pages, so its machine type always does",
        }])
}

#[test]
fn the_subsection_is_there_only_where_it_says_something() {
    lab().run().assert();
    let octets = |table| {
        let mut guest = new::RELEASE.start("board", &[]).unwrap();
        guest.act("fw.table", table).unwrap();
        guest.save().unwrap().body("fw_cfg", 0).unwrap().to_vec()
    };
    assert_eq!(octets(0x2000), b"\0\0");
    assert_eq!(octets(0x2345), b"\0\0\x05\x0efw_cfg/acpi_mr\0\0\0\x01\0\0\0\0\0\0\x23\x45");
}

#[test]
fn without_the_entry_only_guests_with_odd_tables_cannot_go_back() {
    let report = Lab::new(&[old::RELEASE, broken::RELEASE])
        .scenario(Scenario::writes("entry selected", &[("fw.entry", 25)]))
        .scenario(Scenario::writes("odd table", &[("fw.table", 0x2345)]))
        .fails(&[Failure {
            from: "5.0",
            to: "4.2",
            machine: "board-4.2",
            scenario: "odd table",
            text: "subsection 'fw_cfg/acpi_mr' is not known to this release",
            reason: "5.0 sends it for older machine types too",
        }])
        .run();
    report.assert();
    assert_eq!(report.figures.expected_failures, 1);
}
