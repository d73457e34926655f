//! A compatibility list that breaks a rule does not compile.

use vmstate::machine::{DeviceType, Island};
use vmstate::{MachineFamily, MachineVersion, Properties, compat};

#[derive(Properties)]
#[properties(device = "pl011", parents = ["serial-device"])]
struct Pl011Props {
    #[property(default = true)]
    migrate_clk: bool,
}

#[derive(Properties)]
#[properties(device = "imx-serial", parents = ["serial-device"])]
struct ImxProps {
    #[property(default = 32)]
    fifo: u8,
}

const DEVICES: &[DeviceType] = &[DeviceType::of::<Pl011Props>(), DeviceType::of::<ImxProps>()];

macro_rules! tables {
    ($($name:ident $list:expr;)*) => {$(
        const $name: () = {
            static FAMILY: MachineFamily = MachineFamily::new("virt", "5.2", &[
                MachineVersion { version: "5.2", compat: compat![] },
                MachineVersion { version: "5.1", compat: $list },
            ]);
            FAMILY.require(DEVICES);
        };
    )*};
}

tables! {
    UNKNOWN_TYPE compat![("pl012", "migrate-clk", "off")];
    UNKNOWN_PROPERTY compat![("pl011", "migrate-clock", "off")];
    NOT_ALL_SUBTYPES compat![("serial-device", "migrate-clk", "off")];
    NO_VALUE compat![("pl011", "migrate-clk", "0")];
    NO_EFFECT compat![("pl011", "migrate-clk", "yes")];
    DUPLICATE compat![("imx-serial", "fifo", "16"), ("pl011", "migrate-clk", "off"), ("imx-serial", "fifo", "8")];
}

const ISLAND: () = {
    static FAMILY: MachineFamily =
        MachineFamily::new("virt", "5.2", &[MachineVersion { version: "5.2", compat: compat![] }]).with_islands(&[Island {
            release: "5.3",
            machine: "5.2",
            device: "pl011",
            property: "migrate-clk",
            value: "off",
            reason: "test",
        }]);
    FAMILY.require(DEVICES);
};

fn main() {}
