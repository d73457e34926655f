//! Names, comings and goings of devices, and what keeps a machine from moving.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use vmstate::{Input, Migrate, Place, Refused, Registry, Unmigratable, Versions, VmState};

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "bus", version = 1)]
struct BusImage {
    number: u32,
}

#[derive(Default)]
struct Bus(u32);

impl Migrate for Bus {
    type Image = BusImage;
    type Props = ();

    fn props(&self) {}

    fn snapshot(&self) -> Result<BusImage, Refused> {
        Ok(BusImage { number: self.0 })
    }

    fn template(&self) -> Result<BusImage, Refused> {
        self.snapshot()
    }

    fn restore(&mut self, image: BusImage, _: &Versions) -> Result<(), Refused> {
        self.0 = image.number;
        Ok(())
    }
}

#[derive(VmState)]
#[vmstate(name = "vfio", unmigratable = "its state cannot be read")]
enum PassedThroughImage {}

fn passed_through() -> Unmigratable<PassedThroughImage> {
    Unmigratable::default()
}

fn refused<T: std::fmt::Debug>(result: Result<T, Refused>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn equal_places_are_numbered_and_taken_ones_refused() {
    let registry = Registry::new(7);
    registry.register(Place::default(), Bus(0)).unwrap();
    registry.register(Place::default().instance(5), Bus(0)).unwrap();
    registry.register(Place::default(), Bus(0)).unwrap();
    registry.register(Place::at("0000:00:01.0"), Bus(0)).unwrap();
    let entries = registry.entries();
    let names: Vec<_> = entries.iter().map(|e| (e.idstr(), e.instance(), e.section_id())).collect();
    assert_eq!(names, [("bus", 0, 7), ("bus", 5, 8), ("bus", 6, 9), ("0000:00:01.0/bus", 0, 10)]);
    assert!(registry.register(Place::default().instance(5), Bus(0)).is_err(), "taken");
    assert!(registry.register(Place::default().instance(u32::MAX), Bus(0)).is_err(), "reserved");
    assert!(registry.register(Place::at("0000:00:01.0"), Bus(0)).is_err(), "a path belongs to one device");
    assert!(registry.register(Place::at("x".repeat(252)), Bus(0)).is_err(), "too long");
    let cut = refused(registry.register(Place::at("a\0b"), Bus(0)));
    assert_eq!(cut, "id string 'a\\0b/bus' has a NUL, where a reader's string ends");
    assert!(registry.register(Place::default().older_name("a\0b", 0), Bus(0)).is_err(), "as an older name, too");
    registry.register(Place::default().instance(u32::MAX - 1), Bus(0)).unwrap();
    assert!(registry.register(Place::default(), Bus(0)).is_err(), "no number is left");
}

#[test]
fn old_streams_find_a_device_by_its_alias_id_and_by_its_older_names() {
    let registry = Registry::new(0);
    registry.register(Place::default().instance(0x20).alias(0).alias(7), Bus(1)).unwrap();
    registry.register(Place::at("0000:00:01.1").older_name("ide", 0), Bus(2)).unwrap();
    let found = |idstr, instance| {
        let entry = registry.find(idstr, instance)?;
        Some((entry.idstr().to_owned(), entry.instance()))
    };
    let present = Some(("bus".to_owned(), 0x20));
    assert_eq!(found("bus", 0x20), present);
    assert_eq!(found("bus", 0), present);
    assert_eq!(found("bus", 7), present);
    assert_eq!(found("bus", 1), None);
    assert_eq!(found("bus", u32::MAX), None, "no wildcard");
    assert_eq!(found("ide", 0), Some(("0000:00:01.1/bus".to_owned(), 0)));
    assert_eq!(found("ide", 1), None);

    let taken = refused(registry.register(Place::default().instance(7), Bus(0)));
    assert_eq!(taken, "'bus' instance 7 is registered already");
    assert!(registry.register(Place::default().instance(9).alias(0x20), Bus(0)).is_err(), "an alias that is a name");
    assert!(registry.register(Place::default().instance(9).alias(9), Bus(0)).is_err(), "an alias of itself");
    assert!(registry.register(Place::at("y").older_name("ide", 0), Bus(0)).is_err(), "an older name that is taken");
    assert!(registry.register(Place::at("y").older_name("", 0), Bus(0)).is_err(), "an older name that is none");
    assert_eq!(registry.entries().len(), 2, "what was refused is not in it");
}

#[test]
fn devices_come_and_go_and_the_others_keep_their_numbers() {
    let registry = Registry::new(0);
    let first = registry.register(Place::default(), Bus(0)).unwrap();
    let second = registry.register(Place::default(), Bus(1)).unwrap();
    registry.unregister(&first).unwrap();
    assert!(registry.find("bus", 0).is_none());
    assert_eq!(registry.find("bus", 1).unwrap().section_id(), second.section_id());
    assert_eq!(refused(registry.unregister(&first)), "'bus' instance 0 is not registered");
    // As in QEMU: one above the largest, so that a fresh machine with as many devices may number them otherwise.
    assert_eq!(registry.register(Place::default(), Bus(2)).unwrap().instance(), 2);
    let other = Registry::new(0);
    let foreign = other.register(Place::default().instance(1), Bus(0)).unwrap();
    assert!(registry.unregister(&foreign).is_err(), "of another registry, though called the same");
}

#[test]
fn devices_stay_while_a_migration_runs() {
    let registry = Registry::new(0);
    let entry = registry.register(Place::default(), Bus(0)).unwrap();
    let saving = registry.freeze_for_save().unwrap();
    let loading = registry.clone().freeze_for_load().unwrap();
    for guard in [saving, loading] {
        let text = refused(registry.register(Place::default(), Bus(1)));
        assert_eq!(text, "device 'bus' cannot be added while a migration runs");
        assert!(registry.unregister(&entry).is_err());
        assert_eq!(refused(registry.block("a share")), "migration cannot be blocked (a share) while a migration runs");
        drop(guard);
    }
    registry.unregister(&entry).unwrap();
}

#[test]
fn a_blocker_blocks_while_it_lives() {
    let registry = Registry::new(0);
    let share = registry.block("a share is mounted").unwrap();
    let disk = registry.block("a disk is copied").unwrap();
    assert_eq!(registry.blocked_reasons(), ["a share is mounted", "a disk is copied"]);
    assert_eq!(refused(registry.freeze_for_save()), "a share is mounted; a disk is copied");
    drop(registry.freeze_for_load().unwrap());
    drop(share);
    assert_eq!(refused(registry.freeze_for_save()), "a disk is copied");
    drop(disk);
    // What blocks is there before the migration, or not at all.
    let saving = registry.freeze_for_save().unwrap();
    assert!(registry.block("too late").is_err());
    drop(saving);
    assert!(registry.blocked_reasons().is_empty());
}

#[test]
fn a_device_that_cannot_migrate_blocks_both_directions_until_it_goes() {
    let registry = Registry::new(0);
    let entry = registry.register(Place::at("0000:00:04.0"), passed_through()).unwrap();
    let reason = "device '0000:00:04.0/vfio' cannot migrate: its state cannot be read";
    assert_eq!(registry.blocked_reasons(), [reason]);
    assert_eq!(refused(registry.freeze_for_save()), reason);
    assert_eq!(refused(registry.freeze_for_load()), reason);
    // Nothing makes octets of it.
    assert_eq!(entry.section().save().err().unwrap().to_string(), "its state cannot be read");
    let error = entry.section().load(0, &mut Input::from_slice(b"", 0)).err().unwrap();
    assert_eq!(error.to_string(), "at byte 0x0: its state cannot be read");
    registry.unregister(&entry).unwrap();
    drop(registry.freeze_for_save().unwrap());
}

#[test]
fn only_migratable_refuses_what_could_not_migrate() {
    let registry = Registry::new(0);
    registry.set_only_migratable().unwrap();
    assert_eq!(
        refused(registry.register(Place::default(), passed_through())),
        "device 'vfio' cannot migrate (its state cannot be read), and only what can was asked for"
    );
    assert_eq!(
        refused(registry.block("a share is mounted")),
        "a share is mounted: this would block migration, and only what can migrate was asked for"
    );
    registry.register(Place::default(), Bus(0)).unwrap();

    let late = Registry::new(0);
    let blocker = late.block("a share is mounted").unwrap();
    assert!(late.set_only_migratable().is_err(), "something blocks already");
    drop(blocker);
    late.set_only_migratable().unwrap();
}

#[test]
fn a_migration_and_a_blocker_never_meet() {
    // Whoever comes first wins; the other is refused, at any interleaving of the two.
    let registry = Registry::new(0);
    let both = Mutex::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..2000 {
                    if let Ok(blocker) = registry.block("busy") {
                        let saving = registry.freeze_for_save();
                        *both.lock().unwrap() += u32::from(saving.is_ok());
                        drop(blocker);
                    }
                }
            });
            scope.spawn(|| {
                for _ in 0..2000 {
                    if let Ok(saving) = registry.freeze_for_save() {
                        *both.lock().unwrap() += u32::try_from(registry.blocked_reasons().len()).unwrap();
                        drop(saving);
                    }
                }
            });
        }
    });
    assert_eq!(*both.lock().unwrap(), 0);
}

#[test]
fn devices_behind_locks_are_devices() {
    let registry = Registry::new(0);
    let bus = Arc::new(Mutex::new(Bus(3)));
    let entry = registry.register(Place::default(), Arc::clone(&bus)).unwrap();
    entry.section().load(1, &mut Input::from_slice(&[0, 0, 0, 9], 0)).unwrap().commit().unwrap();
    assert_eq!(bus.lock().unwrap().0, 9);
}

/// A device that may change whenever its lock is free: it tells how often it was asked for how much.
#[derive(Default)]
struct Changing {
    parts: AtomicU32,
    wholes: AtomicU32,
}

impl Migrate for Changing {
    type Image = BusImage;
    type Props = ();

    fn props(&self) {
        self.parts.fetch_add(1, Ordering::Relaxed);
    }

    fn snapshot(&self) -> Result<BusImage, Refused> {
        self.parts.fetch_add(1, Ordering::Relaxed);
        Ok(BusImage::default())
    }

    fn capture(&self) -> Result<Option<((), BusImage)>, Refused> {
        self.wholes.fetch_add(1, Ordering::Relaxed);
        Ok(Some(((), BusImage { number: 7 })))
    }

    fn template(&self) -> Result<BusImage, Refused> {
        Ok(BusImage::default())
    }

    fn restore(&mut self, _: BusImage, _: &Versions) -> Result<(), Refused> {
        Ok(())
    }
}

#[test]
fn what_is_saved_of_a_device_behind_a_lock_is_of_one_moment() {
    fn check(device: impl Migrate) {
        let registry = Registry::new(0);
        let entry = registry.register(Place::default(), device).unwrap();
        let mut octets = Vec::new();
        entry.section().save().unwrap().unwrap().encode(&mut octets).unwrap();
        assert_eq!(octets, [0, 0, 0, 7]);
    }
    let asked = |device: &Changing| (device.parts.load(Ordering::Relaxed), device.wholes.load(Ordering::Relaxed));
    check(Changing::default());
    let device = Arc::new(Mutex::new(Changing::default()));
    check(Arc::clone(&device));
    assert_eq!(asked(&device.lock().unwrap()), (0, 1));
    let device = Arc::new(RwLock::new(Changing::default()));
    check(Arc::clone(&device));
    assert_eq!(asked(&device.read().unwrap()), (0, 1));
}
