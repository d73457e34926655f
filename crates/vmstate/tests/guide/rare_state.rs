//! New state that is rarely in use: a subsection that is sent while it is.

use super::{load, save};
use vmstate::{Migrate, Refused, Versions, VmState};

mod before {
    use vmstate::VmState;

    #[derive(VmState, Default)]
    #[vmstate(name = "uart", version = 1)]
    pub(super) struct UartImage {
        pub(super) control: u8,
    }
}

#[derive(VmState, Default)]
#[vmstate(name = "uart", version = 1)]
struct UartImage {
    control: u8,
    #[vmstate(subsection)]
    pending: Option<PendingImage>,
}

#[derive(VmState, Default)]
#[vmstate(name = "uart/pending", version = 1)]
struct PendingImage {
    octet: u8,
}

#[derive(Default, Debug, PartialEq)]
struct Uart {
    control: u8,
    pending: Option<u8>,
}

impl Migrate for Uart {
    type Image = UartImage;
    type Props = ();

    fn props(&self) {}

    fn snapshot(&self) -> Result<UartImage, Refused> {
        let Self { control, pending } = self;
        Ok(UartImage { control: *control, pending: pending.map(|octet| PendingImage { octet }) })
    }

    fn template(&self) -> Result<UartImage, Refused> {
        Ok(UartImage::default())
    }

    fn restore(&mut self, image: UartImage, _: &Versions) -> Result<(), Refused> {
        let UartImage { control, pending } = image;
        *self = Self { control, pending: pending.map(|image| image.octet) };
        Ok(())
    }
}

struct OldUart(u8);

impl Migrate for OldUart {
    type Image = before::UartImage;
    type Props = ();

    fn props(&self) {}

    fn snapshot(&self) -> Result<before::UartImage, Refused> {
        Ok(before::UartImage { control: self.0 })
    }

    fn template(&self) -> Result<before::UartImage, Refused> {
        self.snapshot()
    }

    fn restore(&mut self, image: before::UartImage, _: &Versions) -> Result<(), Refused> {
        self.0 = image.control;
        Ok(())
    }
}

#[test]
fn only_state_that_is_in_use_cannot_go_back() {
    let (idle, busy) = (Uart { control: 3, pending: None }, Uart { control: 3, pending: Some(0x41) });
    assert_eq!(save(&OldUart(3)), [3]); // before
    assert_eq!(save(&idle), [3]); // after: the same
    assert_eq!(save(&busy), b"\x03\x05\x0cuart/pending\0\0\0\x01A"); // after, in use

    let mut new = Uart { control: 0, pending: Some(1) };
    load(&mut new, 1, &save(&OldUart(3))).unwrap(); // forward: nothing is pending
    assert_eq!(new, idle);
    load(&mut OldUart(0), 1, &save(&idle)).unwrap(); // back: as long as nothing is pending
    let refused = load(&mut OldUart(0), 1, &save(&busy)).unwrap_err(); // else refused by name; the guest runs on
    assert_eq!(refused, "at byte 0x1: subsection 'uart/pending' is not known to this release");
}
