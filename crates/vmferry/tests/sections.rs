//! Sections by every name, at their time, and machines that do not move.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod ends;
mod machine;

use std::sync::{Arc, Mutex};

use ends::{End, Shared, end, moved, shared};
use machine::{TestMachine, Walker};
use vmferry::channel::Uri;
use vmferry::control::{Parameters, RunState, Status};
use vmferry::{Incoming, Machine as _, Migration};
use vmstate::{Migrate, Place, Refused, Registry, Unmigratable, Versions, VmState};

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "plugged-memory", version = 1, early)]
struct PluggedMemoryImage {
    bytes: u64,
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "irq", version = 1)]
struct IrqImage {
    level: u32,
}

#[derive(VmState)]
#[vmstate(name = "vfio", unmigratable = "its state cannot be read")]
enum PassedThroughImage {}

fn level(irq: &Shared<IrqImage>) -> u32 {
    irq.lock().unwrap().0.level
}

#[test]
fn an_early_section_is_there_before_the_first_page() {
    let (source, destination) = (end(RunState::Running), end(RunState::InMigrate));
    let memory = [shared(PluggedMemoryImage { bytes: 7 << 20 }), shared(PluggedMemoryImage::default())];
    source.registry.register(Place::default(), Arc::clone(&memory[0])).unwrap();
    destination.registry.register(Place::default(), Arc::clone(&memory[1])).unwrap();
    moved(&source, &destination).unwrap();
    assert_eq!(memory[1].lock().unwrap().0.bytes, 7 << 20);

    let source = end(RunState::Running);
    source.registry.register(Place::default(), shared(PluggedMemoryImage { bytes: 1 })).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state");
    source.migration.migrate(&format!("file:{}", path.display()).parse().unwrap()).unwrap();
    source.migration.wait().unwrap();
    let stream = std::fs::read(path).unwrap();
    let places = |name: &[u8]| -> Vec<usize> {
        stream.windows(name.len()).enumerate().filter(|(_, at)| *at == name).map(|(at, _)| at).collect()
    };
    let early = places(b"\x0eplugged-memory\0\0\0\0\0\0\0\x01");
    let late = places(b"\x06walker\0\0\0\0\0\0\0\x01");
    assert_eq!((early.len(), late.len()), (1, 1), "each once");
    assert!(early[0] < 4096 && late[0] > 4096, "{early:?} before the pages, {late:?} behind");
    let description = String::from_utf8_lossy(&stream[late[0]..]);
    assert!(description.find("plugged-memory") < description.find("\"walker\""), "described in the order of sending");
}

#[test]
fn a_device_is_found_by_its_alias_and_by_its_older_name_but_only_once() {
    let source = end(RunState::Running);
    source.registry.register(Place::default(), shared(IrqImage { level: 1 })).unwrap();
    source.registry.register(Place::default(), shared(IrqImage { level: 2 })).unwrap();
    let destination = end(RunState::InMigrate);
    let irqs = [shared(IrqImage::default()), shared(IrqImage::default())];
    destination.registry.register(Place::default().instance(0x20).alias(0), Arc::clone(&irqs[0])).unwrap();
    destination.registry.register(Place::at("bus@7").older_name("irq", 1), Arc::clone(&irqs[1])).unwrap();
    moved(&source, &destination).unwrap();
    assert_eq!((level(&irqs[0]), level(&irqs[1])), (1, 2));

    let source = end(RunState::Running);
    source.registry.register(Place::default(), shared(IrqImage { level: 1 })).unwrap();
    source.registry.register(Place::default().instance(0x20), shared(IrqImage { level: 2 })).unwrap();
    let destination = end(RunState::InMigrate);
    let irq = shared(IrqImage::default());
    destination.registry.register(Place::default().instance(0x20).alias(0), Arc::clone(&irq)).unwrap();
    let error = moved(&source, &destination).unwrap_err();
    assert!(error.contains("'irq' instance 32 with id 4, where one was loaded before"), "{error}");
    assert_eq!(source.machine.run_state(), RunState::Running);
}

#[test]
fn a_machine_with_a_device_that_cannot_migrate_stays() {
    let source = end(RunState::Running);
    let device = Unmigratable::<PassedThroughImage>::default();
    let entry = source.registry.register(Place::at("0000:00:04.0"), device).unwrap();
    let uri: Uri = "tcp:127.0.0.1:1".parse().unwrap();
    let error = source.migration.migrate(&uri).unwrap_err();
    assert_eq!(
        error.to_string(),
        "source: migration is blocked: device '0000:00:04.0/vfio' cannot migrate: its state cannot be read"
    );
    assert_eq!(source.migration.info().blocked_reasons.len(), 1);
    assert_eq!((source.migration.info().status, source.machine.run_state()), (Status::None, RunState::Running));

    let destination = end(RunState::InMigrate);
    destination.registry.register(Place::default(), Unmigratable::<PassedThroughImage>::default()).unwrap();
    let error = destination.migration.incoming(&"tcp:127.0.0.1:0".parse().unwrap(), Incoming::default()).unwrap_err();
    assert_eq!(error.to_string(), "destination: device 'vfio' cannot migrate: its state cannot be read");

    source.registry.unregister(&entry).unwrap();
    moved(&source, &end(RunState::InMigrate)).unwrap();
}

#[test]
fn a_blocked_machine_moves_once_the_reason_is_gone() {
    let (source, destination) = (end(RunState::Running), end(RunState::InMigrate));
    let blocker = source.registry.block("a share is mounted").unwrap();
    let error = source.migration.migrate(&"exec:cat".parse().unwrap()).unwrap_err();
    assert_eq!(error.to_string(), "source: migration is blocked: a share is mounted");
    drop(blocker);
    assert!(source.migration.info().blocked_reasons.is_empty());
    moved(&source, &destination).unwrap();
}

#[test]
fn devices_stay_while_a_migration_runs_and_may_come_and_go_after_it() {
    let source = end(RunState::Running);
    // Slow enough to be caught running.
    source
        .migration
        .set_parameters(Parameters { max_bandwidth: 1 << 20, downtime_limit_ms: 1, ..Parameters::default() })
        .unwrap();
    source.migration.migrate(&"exec:cat > /dev/null".parse().unwrap()).unwrap();
    let text = source.registry.register(Place::default(), shared(IrqImage::default())).unwrap_err().to_string();
    assert_eq!(text, "device 'irq' cannot be added while a migration runs");
    assert!(source.registry.block("too late").is_err());
    source.migration.cancel();
    source.migration.wait().unwrap_err();
    let entry = source.registry.register(Place::default(), shared(IrqImage::default())).unwrap();
    source.registry.unregister(&entry).unwrap();

    // A connection that fails gives the devices back, too.
    source.migration.migrate(&"unix:/nonexistent/socket".parse().unwrap()).unwrap();
    source.migration.wait().unwrap_err();
    source.registry.register(Place::default(), shared(IrqImage::default())).unwrap();
}

#[test]
fn a_device_that_was_plugged_in_at_both_ends_moves_with_its_number() {
    let (source, destination) = (end(RunState::Running), end(RunState::InMigrate));
    let plug = |end: &End, number, level| {
        let irq = shared(IrqImage { level });
        (end.registry.register(Place::default().instance(number), Arc::clone(&irq)).unwrap(), irq)
    };
    let (first, _) = plug(&source, 0, 10);
    plug(&source, 1, 11);
    source.registry.unregister(&first).unwrap();
    plug(&source, 2, 12);
    // In another order, and while the destination already listens.
    let dir = tempfile::tempdir().unwrap();
    let uri: Uri = format!("unix:{}/socket", dir.path().display()).parse().unwrap();
    destination.migration.incoming(&uri, Incoming::default()).unwrap();
    let (_, two) = plug(&destination, 2, 0);
    let (_, one) = plug(&destination, 1, 0);
    source.migration.migrate(&uri).unwrap();
    source.migration.wait().unwrap();
    destination.migration.wait().unwrap();
    assert_eq!((level(&one), level(&two)), (11, 12));
}

/// A device whose author made a mistake.
struct Panicking {
    in_snapshot: bool,
}

impl Migrate for Panicking {
    type Image = IrqImage;
    type Props = ();

    fn props(&self) {}

    fn snapshot(&self) -> Result<IrqImage, Refused> {
        assert!(!self.in_snapshot, "no\u{1b}[31m lines");
        Ok(IrqImage::default())
    }

    fn template(&self) -> Result<IrqImage, Refused> {
        Ok(IrqImage::default())
    }

    fn restore(&mut self, _: IrqImage, _: &Versions) -> Result<(), Refused> {
        panic!("{} lines", 0)
    }
}

#[test]
fn a_device_that_panics_fails_the_migration_and_no_more() {
    let source = end(RunState::Running);
    let broken = source.registry.register(Place::default(), Panicking { in_snapshot: true }).unwrap();
    let destination = end(RunState::InMigrate);
    destination.registry.register(Place::default(), shared(IrqImage::default())).unwrap();
    moved(&source, &destination).unwrap_err();
    let info = source.migration.info();
    assert_eq!(info.status, Status::Failed);
    let text = "source: section 'irq' instance 0: the device or the machine panicked: no\\u{1b}[31m lines";
    assert_eq!(info.error.as_deref(), Some(text));
    assert_eq!(source.machine.run_state(), RunState::Running, "the guest is resumed");

    // The devices may come and go again, and another attempt may be made.
    source.registry.unregister(&broken).unwrap();
    source.registry.register(Place::default(), shared(IrqImage { level: 1 })).unwrap();
    let destination = end(RunState::InMigrate);
    destination.registry.register(Place::default(), Panicking { in_snapshot: false }).unwrap();
    moved(&source, &destination).unwrap_err();
    let text = "destination: section 'irq' instance 0: the device or the machine panicked: 0 lines";
    assert_eq!(destination.migration.info().error.as_deref(), Some(text));
    assert!(source.migration.info().error.is_some_and(|error| error.contains(text)), "the source is told");
    assert_eq!(source.machine.run_state(), RunState::Running);
    destination.registry.register(Place::at("late"), shared(IrqImage::default())).unwrap();
}

#[test]
fn a_migration_that_cannot_begin_ends() {
    let registry = Registry::new(vmferry::FIRST_DEVICE_SECTION_ID);
    let walker = Arc::new(Mutex::new(Walker::default()));
    let name = "n".repeat(256);
    let blocks = [(name.as_str(), 1 << 20)];
    let machine = TestMachine::with_registry("test-1.0", &blocks, RunState::Running, walker, registry.clone());
    let migration = Migration::new(machine);
    for _ in 0..2 {
        migration.migrate(&"exec:cat > /dev/null".parse().unwrap()).unwrap();
        migration.wait().unwrap_err();
        assert_eq!(migration.info().status, Status::Failed);
        assert!(migration.info().error.is_some());
    }
    registry.register(Place::default(), shared(IrqImage::default())).unwrap();
}

#[test]
fn names_of_a_peer_reach_no_terminal_as_they_are() {
    let source = end(RunState::Running);
    source.registry.register(Place::at("\u{1b}[2J\r\n"), shared(IrqImage::default())).unwrap();
    let destination = end(RunState::InMigrate);
    for number in 0..100 {
        let place = Place::at(format!("0000:00:{number:02x}.0"));
        destination.registry.register(place, shared(IrqImage::default())).unwrap();
    }
    moved(&source, &destination).unwrap_err();
    let there = destination.migration.info().error.unwrap();
    assert!(there.contains("'\\u{1b}[2J\\r\\n/irq' instance 0"), "{there}");
    assert!(!there.contains(char::is_control), "{there}");
    let here = source.migration.info().error.unwrap();
    assert!(here.contains("give it the place that it has at the source"), "the next step is not cut off: {here}");
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "ram", version = 4)]
struct FrameBufferImage {
    pixels: u32,
}

#[test]
fn a_device_is_not_taken_for_a_section_of_the_engine() {
    for place in [Place::default(), Place::at("0000:00:02.0").older_name("globalstate", 0)] {
        let (source, destination) = (end(RunState::Running), end(RunState::InMigrate));
        for end in [&source, &destination] {
            end.registry.register(place.clone(), shared(FrameBufferImage { pixels: 1 })).unwrap();
        }
        let uri: Uri = "tcp:127.0.0.1:0".parse().unwrap();
        let refused = [
            source.migration.migrate(&uri).unwrap_err(),
            destination.migration.incoming(&uri, Incoming::default()).unwrap_err(),
        ];
        for error in refused {
            assert!(error.to_string().contains("is called like a section that every stream has"), "{error}");
        }
    }
    // Elsewhere on the buses it is nothing special.
    let (source, destination) = (end(RunState::Running), end(RunState::InMigrate));
    for end in [&source, &destination] {
        end.registry.register(Place::at("0000:00:02.0"), shared(FrameBufferImage { pixels: 1 })).unwrap();
    }
    moved(&source, &destination).unwrap();
}
