//! Break 20: instance ids that depend on the order of creation.
//!
//! Local APICs were numbered as they were registered. With CPUs that are plugged in while the machine runs, the order
//! at the destination is another one, and state went to the wrong CPU: no error, and a guest that finds other values.
//! Since QEMU 2.7 the number is the CPU's (list 2.6 keeps the old way for old machine types).
//!
//! The operator plugs CPU 2 in before CPU 1 at the source; at the destination he starts with all, in order.

use vmstate::lint::section_findings;
use vmstate::machine::DeviceType;
use vmstate::{Place, Properties, Registry, VmState};
use vmstate_lab::{
    BuildError, Difference, Guest, Lab, Machine, Observation, OctetDifference, Release, Scenario, Unsupported,
    registers,
};

use std::sync::{Arc, Mutex};

use crate::plain::Plain;

#[derive(Properties, Clone)]
#[properties(device = "apic-common")]
struct Props {
    #[property(default = false)]
    legacy_instance_id: bool,
}

#[derive(VmState, Clone, Default)]
#[vmstate(name = "apic", version = 3)]
struct Apic {
    tpr: u8,
}
registers!(Apic { tpr });

/// The CPUs that are there, and where new ones are plugged in: `plug` with a number; `tpr1` is that of CPU 1.
struct Cpus {
    registry: Registry,
    by_order: bool,
    apics: Vec<(u32, Arc<Mutex<Plain<Apic>>>)>,
}

impl Cpus {
    fn plug(&mut self, cpu: u32) -> Result<(), vmstate::Refused> {
        let apic = Arc::new(Mutex::new(Plain::new(Apic::default(), ())));
        let place = if self.by_order { Place::default() } else { Place::default().instance(cpu) };
        self.registry.register(place, Arc::clone(&apic))?;
        self.apics.push((cpu, apic));
        Ok(())
    }
}

impl Guest for Cpus {
    fn act(&mut self, register: &str, value: u64) -> Result<(), Unsupported> {
        let unsupported = || Unsupported::value(register, value);
        match register.strip_prefix("tpr") {
            Some(cpu) => {
                let cpu: u32 = cpu.parse().map_err(|_| unsupported())?;
                let apic = self.apics.iter_mut().find(|(number, _)| *number == cpu);
                apic.ok_or_else(unsupported)?.1.act("tpr", value)
            }
            None => self.plug(u32::try_from(value).map_err(|_| unsupported())?).map_err(|_| unsupported()),
        }
    }

    fn observe(&self) -> Observation {
        let tpr = |apic: &Arc<Mutex<Plain<Apic>>>| apic.observe().value("tpr").unwrap().to_owned();
        let seen = Observation::new();
        self.apics.iter().fold(seen, |seen, (cpu, apic)| seen.with(format!("tpr{cpu}"), tpr(apic)))
    }
}

/// A machine with CPU 0.
fn machine(by_order: bool) -> Result<Machine, BuildError> {
    let mut machine = Machine::new();
    let mut cpus = Cpus { registry: machine.registry().clone(), by_order, apics: Vec::new() };
    cpus.plug(0)?;
    machine.show("cpus", cpus);
    Ok(machine)
}

mod old {
    use super::*;

    family! { "2.6": "2.6" }
    pub(super) const RELEASE: Release = Release::new("2.6", &FAMILY, &[], |_| machine(true));
}

mod fixed {
    use super::*;

    family! { "2.7": "2.7", "2.6" [("apic-common", "legacy-instance-id", "on")] }
    pub(super) const RELEASE: Release = Release::new("2.7", &FAMILY, &[DeviceType::of::<Props>()], |settings| {
        let Props { legacy_instance_id } = settings.properties(&[])?;
        machine(legacy_instance_id)
    });
}

/// What would have come of the new numbers without the entry.
mod broken {
    use super::*;

    family! { "2.7": "2.7", "2.6" }
    pub(super) const RELEASE: Release = Release::new("2.7", &FAMILY, &[], |_| machine(false));
}

const PLUGGED: &str = "plugged 2 before 1";

fn plugged(order: [u64; 2]) -> impl Fn(&mut Machine) -> Result<(), Unsupported> {
    move |machine| order.iter().try_for_each(|cpu| machine.act("cpus.plug", *cpu))
}

fn scenario() -> Scenario {
    let at_source = |machine: &mut Machine| {
        plugged([2, 1])(machine)?;
        [("cpus.tpr0", 10), ("cpus.tpr1", 11), ("cpus.tpr2", 12)]
            .iter()
            .try_for_each(|(register, value)| machine.act(register, *value))
    };
    Scenario::new(PLUGGED, at_source).arranged(plugged([1, 2]))
}

const fn swapped(from: &'static str, to: &'static str, register: &'static str, value: &'static str) -> Difference {
    let reason = "numbers follow the order of plugging for this machine type: the state of CPU 1 and 2 is swapped";
    Difference { from, to, machine: "board-2.6", scenario: PLUGGED, register, value, reason }
}

pub(crate) fn lab() -> Lab {
    Lab::new(&[old::RELEASE, fixed::RELEASE])
        .scenario(scenario())
        .differs(&[swapped("*", "*", "cpus.tpr1", "12"), swapped("*", "*", "cpus.tpr2", "11")])
}

#[test]
fn new_machine_types_keep_each_cpus_state_whatever_the_order() {
    lab().run().assert();
}

#[test]
fn new_numbers_for_an_old_machine_type_swap_what_was_right() {
    Lab::new(&[old::RELEASE, broken::RELEASE])
        .scenario(scenario())
        .differs(&[swapped("2.6", "*", "cpus.tpr1", "12"), swapped("2.6", "*", "cpus.tpr2", "11")])
        .octets_differ(&[OctetDifference {
            release: "2.7",
            machine: "board-2.6",
            scenario: PLUGGED,
            section: "apic",
            reason: "other numbers",
        }])
        .run()
        .assert();
}

#[test]
fn the_lint_names_devices_that_only_their_order_tells_apart() {
    let sections = [("apic", Apic::SCHEMA), ("apic", Apic::SCHEMA)];
    let labels: Vec<String> = section_findings(sections).iter().map(vmstate::lint::Finding::label).collect();
    assert_eq!(labels, ["numbered-instances at apic"]);
}
