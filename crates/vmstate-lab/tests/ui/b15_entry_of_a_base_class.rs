//! Break 15: an entry for a base class of which one subclass lacks the property.

use vmstate::machine::DeviceType;
use vmstate::{MachineFamily, MachineVersion, Properties, compat};

#[derive(Properties)]
#[properties(device = "scsi-hd", parents = ["scsi-disk-base"])]
struct DiskProps {
    #[property(default = true)]
    migrate_emulated_scsi_request: bool,
}

#[derive(Properties)]
#[properties(device = "scsi-block", parents = ["scsi-disk-base"])]
struct BlockProps {
    #[property(default = 0)]
    lun: u32,
}

static FAMILY: MachineFamily = MachineFamily::new(
    "board",
    "9.1",
    &[
        MachineVersion { version: "9.1", compat: compat![] },
        MachineVersion {
            version: "9.0",
            compat: compat![("scsi-disk-base", "migrate-emulated-scsi-request", "off")],
        },
    ],
);
const _: () = FAMILY.require(&[DeviceType::of::<DiskProps>(), DeviceType::of::<BlockProps>()]);

fn main() {}
