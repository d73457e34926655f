//! R7: a section for a device that had none, or could not migrate.
//!
//! | device | 1.0 | 1.1, machine type 1.1 | 1.1, machine type 1.0 |
//! |---|---|---|---|
//! | panel: its state was forgotten | no section | section `panel` | no section: `gate` on the image |
//! | sound: its state could not be read | cannot migrate | section `sound` | cannot migrate, as ever: `Unmigratable` |
//!
//! A section that a destination does not know is refused. So the section is for new machine types only; for old ones,
//! what blocked migration goes on to block it, or a guest would move to where its state has no place.

use vmstate_lab::{Difference, Failure, Lab, Scenario};

mod v1_0 {
    use vmstate::{Place, Unmigratable, VmState};
    use vmstate_lab::{Machine, Release, registers};

    #[derive(Default)]
    struct Panel {
        digit: u8,
    }

    registers!(Panel { digit });

    #[derive(VmState)]
    #[vmstate(name = "sound", unmigratable = "its buffer is in the host's sound card")]
    pub(super) enum UnreadableSound {}

    family! { "1.0": "1.0" }
    pub(super) const RELEASE: Release = Release::new("1.0", &FAMILY, &[], |_| {
        let mut machine = Machine::new();
        machine.show("panel", Panel::default());
        Ok(machine)
    });

    /// The same release, and the operator asked for sound.
    pub(super) const WITH_SOUND: Release = Release::new("1.0", &FAMILY, &[], |_| {
        let machine = Machine::new();
        machine.registry().register(Place::default(), Unmigratable::<UnreadableSound>::default())?;
        Ok(machine)
    });
}

mod v1_1 {
    use vmstate::machine::DeviceType;
    use vmstate::{Place, Properties, Unmigratable, VmState};
    use vmstate_lab::{Machine, Release, registers};

    use super::v1_0::UnreadableSound;
    use crate::plain::{Plain, machine_of};

    #[derive(Properties, Clone)]
    #[properties(device = "panel")]
    struct PanelProps {
        #[property(default = true)]
        x_migrate: bool,
    }

    #[derive(VmState, Clone, Default)]
    #[vmstate(name = "panel", version = 1, props = PanelProps, gate = x_migrate)]
    struct Panel {
        digit: u8,
    }

    registers!(Panel { digit });

    #[derive(Properties, Clone)]
    #[properties(device = "sound")]
    struct SoundProps {
        #[property(default = true)]
        x_migrate: bool,
    }

    #[derive(VmState, Clone, Default)]
    #[vmstate(name = "sound", version = 1)]
    struct Sound {
        volume: u8,
    }

    registers!(Sound { volume });

    const DEVICES: &[DeviceType] = &[DeviceType::of::<PanelProps>(), DeviceType::of::<SoundProps>()];
    family! { "1.1": "1.1", "1.0" [("panel", "x-migrate", "off"), ("sound", "x-migrate", "off")] }

    pub(super) const RELEASE: Release = Release::new("1.1", &FAMILY, DEVICES, |settings| {
        machine_of("panel", Plain::new(Panel::default(), settings.properties(&[])?))
    });

    pub(super) const WITH_SOUND: Release = Release::new("1.1", &FAMILY, DEVICES, |settings| {
        let SoundProps { x_migrate } = settings.properties(&[])?;
        if x_migrate {
            return machine_of("sound", Plain::new(Sound::default(), ()));
        }
        let machine = Machine::new();
        machine.registry().register(Place::default(), Unmigratable::<UnreadableSound>::default())?;
        Ok(machine)
    });
}

pub(crate) fn lab() -> Lab {
    Lab::new(&[v1_0::RELEASE, v1_1::RELEASE]).scenario(Scenario::writes("digit shown", &[("panel.digit", 7)])).differs(
        &[Difference {
            from: "*",
            to: "*",
            machine: "board-1.0",
            scenario: "digit shown",
            register: "panel.digit",
            value: "0",
            reason: "1.0 does not send it, so its machine type never does",
        }],
    )
}

pub(crate) fn lab_with_sound() -> Lab {
    Lab::new(&[v1_0::WITH_SOUND, v1_1::WITH_SOUND])
        .scenario(Scenario::writes("playing", &[("sound.volume", 11)]))
        .fails(&[Failure {
            from: "*",
            to: "*",
            machine: "board-1.0",
            scenario: "*",
            text: "source: device 'sound' cannot migrate: its buffer is in the host's sound card",
            reason: "1.0 has no place for it, so its machine type keeps what blocked",
        }])
}

#[test]
fn a_forgotten_state_gets_a_section_for_new_machine_types() {
    lab().run().assert();
    let sections = |machine: &str| v1_1::RELEASE.start(machine, &[]).unwrap().save().unwrap().section_list();
    assert_eq!(sections("board-1.1"), ["panel 0 version 1"]);
    assert!(sections("board-1.0").is_empty());
}

#[test]
fn what_could_not_migrate_does_for_new_machine_types_and_blocks_for_old_ones() {
    let report = lab_with_sound().run();
    report.assert();
    assert!(report.figures.expected_failures > 0);
}
