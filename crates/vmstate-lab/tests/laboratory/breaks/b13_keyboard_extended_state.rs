//! Break 13, which was none: new state that the old state implies, if it did not come.
//!
//! The i8042 sends its queue's source and pending flags since QEMU 6.1, in a subsection (list 6.0: off). Without it
//! they are reconstructed from the status register, as older releases did. QEMU needs a flag "it was loaded", cleared
//! before a load and set by the subsection; here that flag is the `Option`.

use vmstate::machine::DeviceType;
use vmstate::{Migrate, Properties, Refused, Versions, VmState};
use vmstate_lab::{BuildError, Difference, Failure, Lab, Machine, OctetDifference, Release, Scenario, registers};

use crate::plain::machine_of;

/// Status: output buffer full; what is in it came from the mouse.
const FULL: u8 = 0x01;
const FROM_MOUSE: u8 = 0x20;

/// Who waits, as far as the status register tells.
fn reconstructed(status: u8) -> u8 {
    if status & FULL == 0 { 0 } else { 1 + u8::from(status & FROM_MOUSE != 0) }
}

#[derive(Properties, Clone)]
#[properties(device = "i8042")]
struct Props {
    #[property(default = true)]
    extended_state: bool,
}

#[derive(VmState, Clone)]
#[vmstate(name = "pckbd", version = 3, props = Props)]
struct KeyboardImage {
    status: u8,
    #[vmstate(subsection, gate = extended_state)]
    extended: Option<ExtendedImage>,
}

#[derive(VmState, Clone, Default)]
#[vmstate(name = "pckbd/extended_state", version = 1)]
struct ExtendedImage {
    pending: u8,
}

struct Keyboard {
    props: Props,
    status: u8,
    /// 1: keyboard, 2: mouse, 3: both wait.
    pending: u8,
}
registers!(Keyboard { status, pending });

impl Migrate for Keyboard {
    type Image = KeyboardImage;
    type Props = Props;

    fn props(&self) -> Props {
        self.props.clone()
    }

    fn snapshot(&self) -> Result<KeyboardImage, Refused> {
        let Self { props: _, status, pending } = self;
        Ok(KeyboardImage { status: *status, extended: Some(ExtendedImage { pending: *pending }) })
    }

    fn template(&self) -> Result<KeyboardImage, Refused> {
        self.snapshot()
    }

    fn restore(&mut self, image: KeyboardImage, _: &Versions) -> Result<(), Refused> {
        let KeyboardImage { status, extended } = image;
        let pending = extended.map_or_else(|| reconstructed(status), |ExtendedImage { pending }| pending);
        (self.status, self.pending) = (status, pending);
        Ok(())
    }
}

fn keyboard(props: Props) -> Result<Machine, BuildError> {
    machine_of("kbd", Keyboard { props, status: 0, pending: 0 })
}

mod old {
    use super::*;

    #[derive(VmState)]
    #[vmstate(name = "pckbd", version = 3)]
    struct OldKeyboardImage {
        status: u8,
    }

    #[derive(Default)]
    struct OldKeyboard {
        status: u8,
        pending: u8,
    }
    registers!(OldKeyboard { status, pending });

    impl Migrate for OldKeyboard {
        type Image = OldKeyboardImage;
        type Props = ();

        fn props(&self) {}

        fn snapshot(&self) -> Result<OldKeyboardImage, Refused> {
            let Self { status, pending: _ } = self;
            Ok(OldKeyboardImage { status: *status })
        }

        fn template(&self) -> Result<OldKeyboardImage, Refused> {
            self.snapshot()
        }

        fn restore(&mut self, image: OldKeyboardImage, _: &Versions) -> Result<(), Refused> {
            let OldKeyboardImage { status } = image;
            *self = Self { status, pending: reconstructed(status) };
            Ok(())
        }
    }

    family! { "6.0": "6.0" }
    pub(super) const RELEASE: Release =
        Release::new("6.0", &FAMILY, &[], |_| machine_of("kbd", OldKeyboard::default()));
}

mod broken {
    use super::*;

    family! { "6.1": "6.1", "6.0" }
    pub(super) const RELEASE: Release =
        Release::new("6.1", &FAMILY, &[DeviceType::of::<Props>()], |settings| keyboard(settings.properties(&[])?));
}

mod fixed {
    use super::*;

    family! { "6.1.1": "6.1", "6.0" [("i8042", "extended-state", "off")] }
    pub(super) const RELEASE: Release =
        Release::new("6.1.1", &FAMILY, &[DeviceType::of::<Props>()], |settings| keyboard(settings.properties(&[])?));
}

const BOTH_WAIT: &[(&str, u64)] = &[("kbd.status", 0x21), ("kbd.pending", 3)];
const REASON: &str = "what the status register does not tell is lost for this machine type, as in 6.0";

const fn lost(from: &'static str, to: &'static str) -> Difference {
    let (machine, scenario, register, value) = ("board-6.0", "both wait", "kbd.pending", "2");
    Difference { from, to, machine, scenario, register, value, reason: REASON }
}

pub(crate) fn lab() -> Lab {
    Lab::new(&[old::RELEASE, fixed::RELEASE])
        .scenario(Scenario::writes("mouse waits", &[("kbd.status", 0x21), ("kbd.pending", 2)]))
        .scenario(Scenario::writes("both wait", BOTH_WAIT))
        .differs(&[lost("*", "*")])
}

#[test]
fn what_did_not_come_is_reconstructed() {
    lab().run().assert();
}

/// In the reference (`docs/spec/compat.md` section 7): fails one way only, and names the device.
#[test]
fn without_the_entry_one_direction_fails_and_the_other_works() {
    Lab::new(&[old::RELEASE, broken::RELEASE])
        .scenario(Scenario::writes("mouse waits", &[("kbd.status", 0x21), ("kbd.pending", 2)]))
        .scenario(Scenario::writes("both wait", BOTH_WAIT))
        .differs(&[lost("6.0", "*")])
        .fails(&[Failure {
            from: "6.1",
            to: "6.0",
            machine: "board-6.0",
            scenario: "*",
            text: "subsection 'pckbd/extended_state' is not known to this release",
            reason: "6.1 sends it for older machine types too",
        }])
        .octets_differ(&[OctetDifference {
            release: "6.1",
            machine: "board-6.0",
            scenario: "*",
            section: "pckbd",
            reason: "the same",
        }])
        .run()
        .assert();
}
