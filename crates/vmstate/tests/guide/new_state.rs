//! The seed recipe: new state that a guest always has, tied to a machine version.

use super::{load, save};
use vmstate::machine::{DeviceType, MachineFamily, MachineVersion, Settings};
use vmstate::{Compat, Migrate, Properties, Refused, Versions, VmState, compat};

#[derive(Properties, Clone, Debug)]
#[properties(device = "uart")]
struct UartProps {
    #[property(default = true)] // 1. a property, on by default
    migrate_clock: bool,
}

const COMPAT_1_0: Compat = compat![("uart", "migrate-clock", "off")]; // 2. off for what was released

static BOARD: MachineFamily = MachineFamily::new(
    "board",
    "1.1",
    &[MachineVersion { version: "1.1", compat: compat![] }, MachineVersion { version: "1.0", compat: COMPAT_1_0 }],
);
const _: () = BOARD.require(DEVICES); // a wrong entry does not compile
const DEVICES: &[DeviceType] = &[DeviceType::of::<UartProps>()];

#[derive(VmState, Default)]
#[vmstate(name = "uart", version = 1, props = UartProps)]
struct UartImage {
    control: u8,
    #[vmstate(subsection, gate = migrate_clock)] // 3. a subsection behind the property
    clock: Option<ClockImage>,
}

#[derive(VmState, Default)]
#[vmstate(name = "uart/clock", version = 1)]
struct ClockImage {
    hz: u32,
}

struct Uart {
    props: UartProps,
    control: u8,
    hz: u32,
}

/// What the device had before its clock could be set.
const RESET_HZ: u32 = 24_000_000;

impl Migrate for Uart {
    type Image = UartImage;
    type Props = UartProps;

    fn props(&self) -> UartProps {
        self.props.clone()
    }

    fn snapshot(&self) -> Result<UartImage, Refused> {
        let Self { props: _, control, hz } = self;
        Ok(UartImage { control: *control, clock: Some(ClockImage { hz: *hz }) })
    }

    fn template(&self) -> Result<UartImage, Refused> {
        Ok(UartImage::default())
    }

    fn restore(&mut self, image: UartImage, _: &Versions) -> Result<(), Refused> {
        let UartImage { control, clock } = image;
        let hz = clock.map_or(RESET_HZ, |clock| clock.hz); // 4. what a sender without it had
        if hz == 0 {
            return Err(Refused::new("clock of 0 Hz"));
        }
        *self = Self { props: self.props.clone(), control, hz };
        Ok(())
    }
}

fn uart(machine: &str, hz: u32) -> Uart {
    let settings = Settings::new(BOARD.find(machine).unwrap(), Vec::new(), DEVICES).unwrap();
    Uart { props: settings.properties(&[]).unwrap(), control: 3, hz }
}

#[test]
fn a_machine_type_keeps_what_it_sends() {
    let old_machine = save(&uart("board-1.0", 48_000_000));
    let new_machine = save(&uart("board-1.1", 48_000_000));
    assert_eq!(old_machine, [3]); // what release 1.0 sent and loads
    assert_eq!(new_machine, b"\x03\x05\x0auart/clock\0\0\0\x01\x02\xdc\x6c\0");

    let mut receiver = uart("board-1.1", 1);
    load(&mut receiver, 1, &new_machine).unwrap();
    assert_eq!(receiver.hz, 48_000_000);
    let mut receiver = uart("board-1.0", 1);
    load(&mut receiver, 1, &old_machine).unwrap();
    assert_eq!(receiver.hz, RESET_HZ);
}
