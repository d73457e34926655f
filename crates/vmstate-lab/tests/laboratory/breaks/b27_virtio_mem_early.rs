//! Break 27, which was none: state that moves from one section to another.
//!
//! Which memory of a virtio-mem device is plugged in has to be known before the first page arrives: since QEMU 8.0 it
//! is sent in a section before RAM. The same state was at the end of the device's own section before. One property
//! turns one on and the other off (list 7.2), so that it is sent once, and never twice or not at all. `broken` has two
//! switches that were not turned together.
//!
//! | machine type | early section | device's section |
//! |---|---|---|
//! | 7.2 | not sent | control, plugged |
//! | 8.0 | plugged | control |

use std::sync::{Arc, Mutex, PoisonError};

use vmstate::machine::DeviceType;
use vmstate::{Migrate, Place, Properties, Refused, Versions, VmState};
use vmstate_lab::{BuildError, Difference, Guest, Lab, Machine, Observation, OctetDifference, Release, Scenario};
use vmstate_lab::{Unsupported, registers};

#[derive(Properties, Clone, Copy)]
#[properties(device = "virtio-mem")]
struct Props {
    #[property(name = "x-early-migration", default = true)]
    early: bool,
    /// The other of the two switches of `broken`; elsewhere always what `early` is not.
    #[property(name = "x-late-migration", default = false)]
    late: bool,
}

#[derive(VmState, Clone, Default)]
#[vmstate(name = "virtio-mem-device-early", version = 1, early, props = Props, gate = early)]
struct EarlyImage {
    plugged: u64,
}

#[derive(VmState, Clone, Default)]
#[vmstate(name = "virtio-mem-device", version = 1, props = Props)]
struct LateImage {
    control: u32,
    #[vmstate(gate = late)]
    plugged: u64,
}

#[derive(Default)]
struct Memory {
    control: u32,
    plugged: u64,
}
registers!(Memory { control, plugged });

/// One device, in two sections.
struct Early(Arc<Mutex<Memory>>, Props);
struct Late(Arc<Mutex<Memory>>, Props);

impl Migrate for Early {
    type Image = EarlyImage;
    type Props = Props;

    fn props(&self) -> Props {
        self.1
    }

    fn snapshot(&self) -> Result<EarlyImage, Refused> {
        Ok(EarlyImage { plugged: self.0.lock().unwrap_or_else(PoisonError::into_inner).plugged })
    }

    fn template(&self) -> Result<EarlyImage, Refused> {
        self.snapshot()
    }

    fn restore(&mut self, image: EarlyImage, _: &Versions) -> Result<(), Refused> {
        let EarlyImage { plugged } = image;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).plugged = plugged;
        Ok(())
    }
}

impl Migrate for Late {
    type Image = LateImage;
    type Props = Props;

    fn props(&self) -> Props {
        self.1
    }

    fn snapshot(&self) -> Result<LateImage, Refused> {
        let Memory { control, plugged } = &*self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(LateImage { control: *control, plugged: *plugged })
    }

    /// A field that does not come stays what the early section made it.
    fn template(&self) -> Result<LateImage, Refused> {
        self.snapshot()
    }

    fn restore(&mut self, image: LateImage, _: &Versions) -> Result<(), Refused> {
        let LateImage { control, plugged } = image;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Memory { control, plugged };
        Ok(())
    }
}

struct Shown(Arc<Mutex<Memory>>);

impl Guest for Shown {
    fn act(&mut self, register: &str, value: u64) -> Result<(), Unsupported> {
        self.0.act(register, value)
    }

    fn observe(&self) -> Observation {
        self.0.observe()
    }
}

fn machine(props: Props) -> Result<Machine, BuildError> {
    let memory = Arc::new(Mutex::new(Memory::default()));
    let mut machine = Machine::new();
    machine.registry().register(Place::default(), Early(Arc::clone(&memory), props))?;
    machine.registry().register(Place::default(), Late(Arc::clone(&memory), props))?;
    machine.show("mem", Shown(memory));
    Ok(machine)
}

const DEVICES: &[DeviceType] = &[DeviceType::of::<Props>()];

mod old {
    use super::*;

    family! { "7.2": "7.2" }
    pub(super) const RELEASE: Release =
        Release::new("7.2", &FAMILY, &[], |_| machine(Props { early: false, late: true }));
}

mod broken {
    use super::*;

    family! { "8.0": "8.0", "7.2" [("virtio-mem", "x-early-migration", "off")] }
    pub(super) const RELEASE: Release =
        Release::new("8.0", &FAMILY, DEVICES, |settings| machine(settings.properties(&[])?));
}

mod fixed {
    use super::*;

    family! { "8.0": "8.0", "7.2" [("virtio-mem", "x-early-migration", "off")] }
    pub(super) const RELEASE: Release = Release::new("8.0", &FAMILY, DEVICES, |settings| {
        let Props { early, late: _ } = settings.properties(&[])?;
        machine(Props { early, late: !early })
    });
}

const PLUGGED: &[(&str, u64)] = &[("mem.control", 1), ("mem.plugged", 0x20_0000)];

pub(crate) fn lab() -> Lab {
    Lab::new(&[old::RELEASE, fixed::RELEASE]).scenario(Scenario::writes("memory plugged in", PLUGGED))
}

#[test]
fn one_switch_moves_the_state_and_it_is_sent_once() {
    lab().run().assert();
    let sent = |machine: &str| {
        let mut guest = fixed::RELEASE.start(machine, &[]).unwrap();
        PLUGGED.iter().for_each(|(register, value)| guest.act(register, *value).unwrap());
        let stream = guest.save().unwrap();
        let hex = |section: &vmstate_lab::SectionOctets| stream.body_hex(&section.idstr, 0).unwrap();
        stream.sections.iter().map(|section| (section.idstr.clone(), hex(section))).collect::<Vec<_>>()
    };
    let late = "virtio-mem-device".to_owned();
    assert_eq!(sent("board-7.2"), [(late.clone(), "000000010000000000200000".to_owned())]);
    let early = ("virtio-mem-device-early".to_owned(), "0000000000200000".to_owned());
    assert_eq!(sent("board-8.0"), [early, (late, "00000001".to_owned())]);
}

#[test]
fn two_switches_lose_the_state_of_a_machine_type() {
    let reason = "8.0 sends it nowhere for machine type 7.2";
    let fails = |from, to, text| vmstate_lab::Failure { from, to, machine: "board-7.2", scenario: "*", text, reason };
    Lab::new(&[old::RELEASE, broken::RELEASE])
        .scenario(Scenario::writes("memory plugged in", PLUGGED))
        .fails(&[
            fails("7.2", "8.0", "section 'virtio-mem-device' instance 0: "),
            fails("8.0", "7.2", "section 'virtio-mem-device' instance 0: "),
        ])
        .differs(&[Difference {
            from: "8.0",
            to: "8.0",
            machine: "board-7.2",
            scenario: "memory plugged in",
            register: "mem.plugged",
            value: "0",
            reason,
        }])
        .octets_differ(&[OctetDifference {
            release: "8.0",
            machine: "board-7.2",
            scenario: "*",
            section: "virtio-mem-device",
            reason,
        }])
        .run()
        .assert();
}
