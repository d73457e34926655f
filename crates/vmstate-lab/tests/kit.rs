//! The kit finds what it is for: each rule with a pair of releases that breaks it.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::sync::Mutex;

use vmstate::{MachineFamily, MachineVersion, Migrate, Place, Refused, Versions, VmState, compat};
use vmstate_lab::{
    ChainDifference, Difference, Failure, Lab, Machine, Observation, OctetDifference, Recording, Refusal, Release,
    Scenario, Side, Unsupported, registers,
};

#[derive(VmState, Clone, Default)]
#[vmstate(name = "timer", version = 1)]
struct Timer {
    count: u16,
    limit: u16,
}

registers!(Timer { count, limit });

/// What a device does wrong.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    None,
    /// It loses what it loads.
    Loses,
    /// It loses what it loads for the second time.
    LosesLater,
    /// It refuses a count of 9 after it took the limit over.
    RefusesTooLate,
    /// Saving changes it.
    Counts,
}

struct Device {
    timer: Mutex<Timer>,
    fault: Fault,
}

impl Device {
    fn new(fault: Fault) -> Self {
        Self { timer: Mutex::default(), fault }
    }
}

impl vmstate_lab::Guest for Device {
    fn act(&mut self, register: &str, value: u64) -> Result<(), Unsupported> {
        self.timer.get_mut().unwrap().act(register, value)
    }

    fn observe(&self) -> Observation {
        self.timer.lock().unwrap().observe()
    }
}

impl Migrate for Device {
    type Image = Timer;
    type Props = ();

    fn props(&self) {}

    fn snapshot(&self) -> Result<Timer, Refused> {
        if self.fault == Fault::Counts {
            self.timer.lock().unwrap().count += 1;
        }
        Ok(self.timer.lock().unwrap().clone())
    }

    fn template(&self) -> Result<Timer, Refused> {
        Ok(self.timer.lock().unwrap().clone())
    }

    fn restore(&mut self, image: Timer, _: &Versions) -> Result<(), Refused> {
        let Timer { count, limit } = image;
        let timer = self.timer.get_mut().unwrap();
        if self.fault == Fault::RefusesTooLate {
            timer.limit = limit;
            if count == 9 {
                return Err(Refused::new("the count is 9"));
            }
        }
        *timer = match self.fault {
            Fault::Loses => Timer::default(),
            Fault::LosesLater if limit == 1 => Timer { count, limit: 0 },
            Fault::LosesLater => Timer { count, limit: limit.saturating_sub(1) },
            _ => Timer { count, limit },
        };
        Ok(())
    }
}

fn machine_with(fault: Fault) -> Result<Machine, vmstate_lab::BuildError> {
    let mut machine = Machine::new();
    machine.add("timer", Place::default(), Device::new(fault))?;
    Ok(machine)
}

static FAMILY_1: MachineFamily =
    MachineFamily::new("board", "1.0", &[MachineVersion { version: "1.0", compat: compat![] }]);
static FAMILY_2: MachineFamily =
    MachineFamily::new("board", "2.0", &[MachineVersion { version: "1.0", compat: compat![] }]);

const OLD: Release = Release::new("1.0", &FAMILY_1, &[], |_| machine_with(Fault::None));
const GOOD: Release = Release::new("2.0", &FAMILY_2, &[], |_| machine_with(Fault::None));
const LOSING: Release = Release::new("2.0", &FAMILY_2, &[], |_| machine_with(Fault::Loses));
const LOSING_LATER: Release = Release::new("2.0", &FAMILY_2, &[], |_| machine_with(Fault::LosesLater));
const REFUSING: Release = Release::new("2.0", &FAMILY_2, &[], |_| machine_with(Fault::RefusesTooLate));
const COUNTING: Release = Release::new("2.0", &FAMILY_2, &[], |_| machine_with(Fault::Counts));
const NOT_STARTING: Release = Release::new("2.0", &FAMILY_2, &[], |_| Err("no such chip".into()));

fn lab(new: Release) -> Lab {
    Lab::new(&[OLD, new]).scenario(Scenario::writes("ticks", &[("timer.count", 9), ("timer.limit", 2)]))
}

#[track_caller]
fn finds(lab: Lab, problem: &str) {
    let report = lab.run();
    assert!(report.problems.iter().any(|found| found.contains(problem)), "{problem} is not in {report}");
}

#[test]
fn equal_releases_have_no_problem_and_everything_is_counted() {
    let report = lab(GOOD).run();
    report.assert();
    // 2 releases, 1 machine type, 2 scenarios; chains of 2 and 3 hops.
    assert_eq!((report.figures.pairs, report.figures.chains), (2 * 2 * 2, 2 * (8 + 16)));
    assert_eq!((report.figures.octet_comparisons, report.figures.expected_failures), (2, 0));
    let text = report.to_string();
    assert!(text.contains("board-1.0\n  from \\ to  1.0                2.0"), "{text}");
}

#[test]
fn what_a_guest_does_not_find_again_is_named_with_both_values() {
    finds(lab(LOSING), "1.0 > 2.0 board-1.0, 'ticks': the guest finds timer.count 0, which was 9 at the source");
    let reason = "it loses everything";
    let line = |register, value| Difference {
        from: "*",
        to: "2.0",
        machine: "board-*",
        scenario: "ticks",
        register,
        value,
        reason,
    };
    finds(lab(LOSING).differs(&[line("timer.count", "0"), line("timer.limit", "1")]), "and not as listed either");
}

#[test]
fn a_chain_that_ends_otherwise_than_the_direct_migration_is_named() {
    let once = Difference {
        from: "*",
        to: "2.0",
        machine: "*",
        scenario: "ticks",
        register: "timer.limit",
        value: "1",
        reason: "each load there takes one away",
    };
    finds(
        lab(LOSING_LATER).differs(&[once]),
        "1.0 > 2.0 > 2.0 board-1.0, 'ticks': differs from the direct migration: timer.limit 0, was 1",
    );
    let chain = |chain| ChainDifference { chain, machine: "*", scenario: "*", text: "timer.limit", reason: "the same" };
    let lines = [chain("* > 2.0 > *"), chain("* > * > 2.0 > *"), chain("* > 2.0 > * > *")];
    lab(LOSING_LATER).differs(&[once]).chains_differ(&lines).run().assert();
}

#[test]
fn a_device_that_refuses_too_late_is_named() {
    finds(
        lab(REFUSING),
        "1.0 > 2.0 board-1.0, 'ticks': the load was refused (destination: section 'timer' instance 0: the count is 9) and changed timer/0",
    );
}

#[test]
fn saving_that_changes_the_machine_is_named() {
    finds(lab(COUNTING), "2.0 board-1.0, 'ticks': saving changed what the guest sees: timer.count 11, was 9");
    finds(lab(COUNTING), "2.0 board-1.0, 'ticks': saved again, the machine gives other octets");
    finds(lab(COUNTING), "2.0 sends of board-1.0, 'ticks', what 1.0 did not: section 'timer' differs from octet 1 on");
}

#[test]
fn a_machine_that_does_not_start_fails_all_its_pairs() {
    finds(lab(NOT_STARTING), "1.0 > 2.0 board-1.0, 'ticks': start: no such chip");
    finds(lab(NOT_STARTING), "2.0 > 1.0 board-1.0, 'at reset': start: no such chip");
}

#[test]
fn lines_that_never_come_true_are_named() {
    let failure = Failure { from: "1.0", to: "2.0", machine: "*", scenario: "*", text: "none", reason: "none" };
    finds(lab(GOOD).fails(&[failure]), "works, but is listed as a failure");
    finds(lab(GOOD).fails(&[Failure { machine: "other", ..failure }]), "expected, and never happened: Failure");
    finds(lab(REFUSING).fails(&[Failure { text: "footer", ..failure }]), "is not the failure that is listed");
    let octets = OctetDifference { release: "2.0", machine: "*", scenario: "*", section: "timer", reason: "none" };
    finds(lab(GOOD).octets_differ(&[octets]), "expected, and never happened: OctetDifference");
    let chain = ChainDifference { chain: "* > * > *", machine: "*", scenario: "*", text: "none", reason: "none" };
    finds(lab(GOOD).chains_differ(&[chain]), "expected, and never happened: ChainDifference");
}

#[test]
fn a_scenario_that_no_release_can_do_is_named() {
    let nothing = Scenario::writes("winding up", &[("timer.spring", 1)]);
    finds(lab(GOOD).scenario(nothing), "scenario 'winding up': no release can do what it does");
    finds(Lab::new(&[OLD, OLD]), "two releases are called 1.0");
    const MISNAMED: Release = Release::new("3.0", &FAMILY_2, &[], |_| machine_with(Fault::None));
    finds(Lab::new(&[MISNAMED]), "release 3.0 has the machine types of release 2.0");
    finds(Lab::new(&[]), "no release has a machine type");
}

#[test]
fn a_register_that_no_scenario_sets_is_named() {
    let lab = |idle| {
        let limit = Scenario::writes("limit only", &[("timer.limit", 2)]);
        Lab::new(&[OLD, GOOD]).scenario(limit).sets_all_registers_but(idle)
    };
    finds(lab(&[]), "timer.count has its reset value in every scenario");
    lab(&[("timer.count", "counts down only while the guest runs")]).run().assert();
    finds(lab(&[("timer.limit", "set")]), "timer.limit is listed as never set (set), and is not");
    finds(lab(&[("timer.count", "")]), "or has no reason");
    finds(lab(&[("timer.hours", "nowhere")]), "timer.hours is listed as never set (nowhere), and is not");
}

#[test]
fn chains_beyond_the_limit_are_counted_as_left_out() {
    let report = lab(GOOD).chains_up_to(5).run();
    assert_eq!(report.figures.chains, 5);
    assert!(report.figures.chains_left_out > 0);
}

#[test]
fn streams_that_do_not_fit_are_refused_with_the_place() {
    fn refused(result: Result<(), Refusal>) -> Refusal {
        result.unwrap_err()
    }
    let source = OLD.start("board", &[]).unwrap();
    assert_eq!(source.machine_type(), "board-1.0");
    let stream = source.save().unwrap();
    assert_eq!(stream.section_list(), ["timer 0 version 1"]);
    assert_eq!(stream.body_hex("timer", 0).unwrap(), "00000000");
    assert_eq!(stream.body("timer", 1), None);
    for cut in 0..stream.needed {
        let mut short = stream.clone();
        short.octets.truncate(cut);
        let refusal = refused(OLD.start("board", &[]).unwrap().load(&short));
        assert_eq!(refusal.side, Side::Destination, "{cut}");
    }
    let mut without_description = stream.clone();
    without_description.octets.truncate(stream.needed);
    OLD.start("board", &[]).unwrap().load(&without_description).unwrap();
    let no_such = OLD.start("board-9.0", &[]).unwrap_err();
    assert_eq!(no_such.to_string(), "start: release 1.0 has no machine type 'board-9.0'; it has board-1.0");
}

#[test]
fn lines_without_a_text_or_a_reason_are_named() {
    let failure = Failure { from: "*", to: "2.0", machine: "*", scenario: "ticks", text: "", reason: "none" };
    finds(lab(REFUSING).fails(&[failure]), "expected without saying what or why: Failure");
    finds(
        lab(REFUSING).fails(&[Failure { text: "count", reason: "", ..failure }]),
        "expected without saying what or why",
    );
}

#[test]
fn another_machine_type_is_refused_by_name() {
    static FAMILY: MachineFamily = MachineFamily::new(
        "board",
        "2.0",
        &[MachineVersion { version: "2.0", compat: compat![] }, MachineVersion { version: "1.0", compat: compat![] }],
    );
    const BOTH: Release = Release::new("2.0", &FAMILY, &[], |_| machine_with(Fault::None));
    let stream = BOTH.start("board-2.0", &[]).unwrap().save().unwrap();
    let refused = |release: Release| release.start("board-1.0", &[]).unwrap().load(&stream).unwrap_err().to_string();
    let text = "destination: machine type is 'board-2.0' in the stream and 'board-1.0' here";
    assert_eq!((refused(BOTH).as_str(), refused(OLD).as_str()), (text, text));
    // Nor does the older release start it.
    assert_eq!(OLD.start("board-2.0", &[]).unwrap_err().side, Side::Start);
    let report = Lab::new(&[OLD, BOTH]).run();
    report.assert();
    assert_eq!(report.figures.pairs, 4 + 1);
}

/// A stream of a release 0.9, of which nothing else is left: with machine type `board-1.0`, a count of 9, a limit of 2.
const RECORDED: Recording = Recording {
    release: "0.9",
    machine: "board-1.0",
    scenario: "ticks",
    octets: include_bytes!("data/timer-0.9.bin"),
    seen: &[("timer.count", "9"), ("timer.limit", "2")],
};

#[test]
fn a_recording_is_loaded_by_every_release_that_has_its_machine_type() {
    let report = lab(GOOD).recordings(&[RECORDED]).run();
    report.assert();
    assert_eq!((report.figures.recordings, report.figures.octet_comparisons), (2, 2 + 2));
}

#[test]
fn a_recording_that_does_not_load_or_loses_something_is_named() {
    finds(
        lab(LOSING).recordings(&[RECORDED]),
        "recording of 0.9 > 2.0 board-1.0, 'ticks': the guest finds timer.count 0, which was 9 at the source",
    );
    finds(
        lab(REFUSING).recordings(&[RECORDED]),
        "recording of 0.9 > 2.0 board-1.0, 'ticks': destination: section 'timer' instance 0: the count is 9",
    );
    let other = Recording { scenario: Scenario::AT_RESET, ..RECORDED };
    finds(lab(GOOD).recordings(&[other]), "'at reset', what 0.9 did not: the recording differs from octet 0x2a on");
    finds(lab(GOOD).recordings(&[Recording { machine: "board-0.1", ..RECORDED }]), "no release has the machine type");
    let listed = |from| Failure {
        from,
        to: "2.0",
        machine: "*",
        scenario: "ticks",
        text: "the count is 9",
        reason: "as in the recording",
    };
    let report = lab(REFUSING).recordings(&[RECORDED]).fails(&[listed("*")]).run();
    // It refuses, and too late.
    assert!(report.problems.iter().all(|problem| problem.contains("the load was refused")), "{report}");
    assert_eq!(report.figures.expected_failures, 3);
}

#[test]
fn an_image_is_seen_field_by_field() {
    #[derive(VmState, Clone, Default)]
    #[vmstate(name = "pair", version = 1)]
    struct Pair {
        low: u8,
        high: u8,
    }
    #[derive(VmState, Clone, Default)]
    #[vmstate(name = "dev/late", version = 1)]
    struct Late {
        word: u32,
    }
    #[derive(VmState, Clone, Default)]
    #[vmstate(name = "dev", version = 1)]
    struct Dev {
        control: u16,
        #[vmstate(unused = 3)]
        gap: (),
        pair: Pair,
        ring: [u8; 3],
        count: u8,
        #[vmstate(len = count, max = 2)]
        pairs: Vec<Pair>,
        #[vmstate(subsection)]
        late: Option<Late>,
    }
    let pair = Pair { low: 1, high: 2 };
    let dev =
        Dev { control: 0x1234, gap: (), ring: [7, 8, 9], count: 1, pairs: vec![pair.clone()], pair, ..Dev::default() };
    let seen = |dev: &Dev| {
        let Dev { gap: (), .. } = dev;
        let seen = Observation::of_image(dev, &()).unwrap();
        seen.iter().map(|(register, value)| format!("{register}={value}")).collect::<Vec<_>>().join(" ")
    };
    let fields = "control=1234 count=01 pair.high=02 pair.low=01 pairs.high=02 pairs.low=01 ring=070809";
    assert_eq!(seen(&dev), fields);
    let late = Dev { late: Some(Late { word: 5 }), ..dev };
    assert_eq!(seen(&late), fields.replace(" pair.high", " dev/late.word=00000005 pair.high"));
}
