//! Snapshots of guests on KVM: the image of one that writes at full speed goes on by itself and finds nothing bad, and
//! so does the guest; one that is restored by mapping its file runs, and moves on. Skipped with a line where there is
//! no KVM, or no userfaultfd.

#![cfg(target_arch = "x86_64")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, unreachable_pub, missing_docs, reason = "tests")]

mod x86_host;

use vmferry::channel::Uri;
use vmferry::control::{Capabilities, Owner, Parameters, RestoreMode, RunState};
use vmferry::{Incoming, Machine as _};
use vmferry_vmm::guest::GuestParameters;
use x86_host::{Host, Setup};

#[test]
fn the_image_of_a_guest_at_full_speed_goes_on_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let setup = Setup { memory: 32 << 20, ..Setup::default() };
    for setup in [Setup { vcpus: 2, ..setup.clone() }, Setup { vcpus: 2, ring: Some(4096), ..setup }] {
        let parameters = GuestParameters { dirty_rate_bytes_per_s: None, ..GuestParameters::default() };
        let Some(host) = Host::boot(&setup, &parameters) else { return };
        let snapshot = Capabilities { background_snapshot: true, ..Capabilities::default() };
        if let Err(error) = host.migration.set_capabilities(snapshot) {
            println!("skipped: {error}");
            return;
        }
        // The first image is of a guest that has not touched all of its memory.
        for round in 0..4 {
            let file = Uri::File { path: dir.path().join(format!("{:?}-{round}", setup.ring)), offset: 0 };
            host.migration.migrate(&file).unwrap();
            host.migration.wait().unwrap();
            let info = host.migration.info();
            println!("{setup:?}: stood still for {:?} ms: {:?}", info.downtime_ms, info.downtime_phases);
            assert_eq!((host.machine.run_state(), info.owner), (RunState::Running, Owner::Source));
            host.walks(2);
            let copy = Host::empty(&setup).unwrap();
            copy.migration.incoming(&file, Incoming::default()).unwrap();
            copy.migration.wait().unwrap();
            copy.walks(3);
        }
    }
}

#[test]
fn a_guest_runs_from_a_file_and_moves_on() {
    let dir = tempfile::tempdir().unwrap();
    let setup = Setup { vcpus: 2, memory: 16 << 20, ..Setup::default() };
    let parameters = GuestParameters { dirty_rate_bytes_per_s: Some(300_000_000), ..GuestParameters::default() };
    let Some(host) = Host::boot(&setup, &parameters) else { return };
    host.walks(2);
    let mapped_ram = Capabilities { mapped_ram: true, ..Capabilities::default() };
    let file = Uri::File { path: dir.path().join("guest"), offset: 0 };
    host.migration.set_capabilities(mapped_ram).unwrap();
    host.migration.migrate(&file).unwrap();
    host.migration.wait().unwrap();
    for restore in [RestoreMode::Mapped, RestoreMode::Fill] {
        let here = Host::empty(&setup).unwrap();
        here.migration.set_capabilities(mapped_ram).unwrap();
        here.migration.set_parameters(Parameters { restore, max_bandwidth: 0, ..Parameters::default() }).unwrap();
        here.migration.incoming(&file, Incoming::default()).unwrap();
        here.migration.wait().unwrap();
        let info = here.migration.info().restore.unwrap();
        assert!(info.mapped_bytes > 8 << 20 && info.fault.is_none(), "{info:?}");
        here.continues(&host);
        // At once, so that most pages are sent that only the file has.
        here.migration.set_capabilities(Capabilities::default()).unwrap();
        let there = Host::empty(&setup).unwrap();
        here.moves_to(&there, &Uri::Unix(dir.path().join(restore.name())));
        there.walks(3);
    }
}
