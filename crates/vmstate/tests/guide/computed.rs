//! What can be computed is not sent.

use super::{load, save};
use vmstate::{Migrate, Refused, Versions, VmState};

#[derive(VmState, Default, Debug, PartialEq)]
#[vmstate(name = "irq", version = 1)]
struct IrqImage {
    pending: u8,
    enabled: u8,
}

/// `line` is new: the level of the output, kept so that it need not be computed at each read.
#[derive(Default, Debug, PartialEq)]
struct Irq {
    pending: u8,
    enabled: u8,
    line: bool,
}

impl Migrate for Irq {
    type Image = IrqImage;
    type Props = ();

    fn props(&self) {}

    fn snapshot(&self) -> Result<IrqImage, Refused> {
        let Self { pending, enabled, line: _ } = self; // follows from the other two
        Ok(IrqImage { pending: *pending, enabled: *enabled })
    }

    fn template(&self) -> Result<IrqImage, Refused> {
        self.snapshot()
    }

    fn restore(&mut self, image: IrqImage, _: &Versions) -> Result<(), Refused> {
        let IrqImage { pending, enabled } = image;
        *self = Self { pending, enabled, line: pending & enabled != 0 };
        Ok(())
    }
}

#[test]
fn the_line_follows_from_the_registers() {
    let sender = Irq { pending: 2, enabled: 3, line: true };
    assert_eq!(save(&sender), [2, 3]); // before and after
    let mut receiver = Irq::default();
    load(&mut receiver, 1, &[2, 3]).unwrap();
    assert_eq!(receiver, sender);
}
