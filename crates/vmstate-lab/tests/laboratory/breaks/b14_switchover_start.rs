//! Break 14, which was none: a new command of the stream itself.
//!
//! QEMU 10.0 announces the stop phase with a command; older readers take an unknown command for a damaged stream. A
//! property of the migration object decides whether it is sent (list 9.2: off). Readers take it wherever they know it,
//! so only one direction can break. The engine asks the machine: `vmferry::Machine::sends_switchover_start`.

use vmferry_wire::command::Command;
use vmstate::machine::DeviceType;
use vmstate::{Properties, VmState};
use vmstate_lab::{
    BuildError, ChainDifference, Failure, Lab, Machine, OctetDifference, Reader, Release, Scenario, registers,
};

use crate::plain::{Plain, machine_of};

const COMMANDS_OF_9_2: Reader = Reader { newest_command: 10, ..Reader::NEWEST };

#[derive(Properties, Clone)]
#[properties(device = "migration")]
struct Props {
    #[property(default = true)]
    send_switchover_start: bool,
}

#[derive(VmState, Clone, Default)]
#[vmstate(name = "timer", version = 2)]
struct Timer {
    ticks: u64,
}
registers!(Timer { ticks });

fn machine(sends_switchover_start: bool) -> Result<Machine, BuildError> {
    let mut machine = machine_of("timer", Plain::new(Timer::default(), ()))?;
    if sends_switchover_start {
        machine.send_command(Command::SwitchoverStart);
    }
    Ok(machine)
}

mod old {
    use super::*;

    family! { "9.2": "9.2" }
    pub(super) const RELEASE: Release =
        Release::new("9.2", &FAMILY, &[], |_| machine(false)).with_reader(COMMANDS_OF_9_2);
}

mod broken {
    use super::*;

    family! { "10.0": "10.0", "9.2" }
    pub(super) const RELEASE: Release = Release::new("10.0", &FAMILY, &[], |_| machine(true));
}

mod fixed {
    use super::*;

    family! { "10.0.1": "10.0", "9.2" [("migration", "send-switchover-start", "off")] }
    pub(super) const RELEASE: Release = Release::new("10.0.1", &FAMILY, &[DeviceType::of::<Props>()], |settings| {
        let Props { send_switchover_start } = settings.properties(&[])?;
        machine(send_switchover_start)
    });
}

pub(crate) fn lab() -> Lab {
    Lab::new(&[old::RELEASE, broken::RELEASE, fixed::RELEASE])
        .scenario(Scenario::writes("ticking", &[("timer.ticks", 7)]))
        .fails(&[Failure {
            from: "10.0",
            to: "9.2",
            machine: "board-9.2",
            scenario: "*",
            text: "unknown command 11",
            reason: "10.0 sends it for older machine types too; what 9.2 sends, 10.0 loads",
        }])
        .octets_differ(&[OctetDifference {
            release: "10.0",
            machine: "board-9.2",
            scenario: "*",
            section: "stream",
            reason: "the command",
        }])
        .chains_differ(&[
            mended("10.0 > 10.0.1 > 9.2"),
            mended("10.0 > * > 10.0.1 > 9.2"),
            mended("10.0 > 10.0.1 > * > 9.2"),
        ])
}

/// What is wrong with the stream is not in the guest: it moves on from the mended release.
const fn mended(chain: &'static str) -> ChainDifference {
    let (text, reason) = ("arrives, where the direct migration fails", "10.0.1 does not send it for this machine type");
    ChainDifference { chain, machine: "board-9.2", scenario: "*", text, reason }
}

#[test]
fn a_command_is_sent_only_for_machine_types_that_know_it() {
    lab().run().assert();
}
