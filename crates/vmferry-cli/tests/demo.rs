//! The demo, as a user runs it, and two machines that are moved by hand.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod kit;

use std::process::{Command, Output};

use serde_json::Value;

fn vmferry(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vmferry")).args(arguments).output().unwrap()
}

#[test]
fn a_guest_moves_live_and_finds_every_page_as_it_left_it() {
    let output = vmferry(&["demo", "--memory", "32M", "--dirty-rate", "100", "--json"]);
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{document:#}");
    assert_eq!(document["verified"], true);
    assert_eq!((&document["mode"], &document["accel"]), (&"precopy".into(), &"soft".into()));
    let guest = &document["guest"];
    assert_eq!(guest["bad_pages"], 0);
    // 30 MiB are walked; at least the pass that was under way and two whole ones ended at the destination.
    assert!(guest["checked_pages"].as_u64().unwrap() >= 4 * 7680, "{guest}");
    assert!(guest["passes_before"].as_u64().unwrap() >= 2 && guest["passes_after"].as_u64().unwrap() >= 3, "{guest}");
    let rounds = document["rounds"].as_array().unwrap();
    assert!(rounds.len() >= 2 && rounds.iter().all(|round| round["bytes"].as_u64().unwrap() > 0), "{rounds:?}");
    let sent: u64 = rounds.iter().map(|round| round["pages_sent"].as_u64().unwrap()).sum();
    assert_eq!(document["ram"]["normal_pages"], sent);
    let phases = document["downtime_phases"].as_array().unwrap();
    let devices = |what: &str| {
        let list = document["downtime_devices"][what].as_array().unwrap();
        list.iter().map(|device| device["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert!(devices("saved").contains(&"serial/0".to_owned()), "{:?}", devices("saved"));
    assert_eq!(devices("saved"), devices("loaded"));
    let sum: f64 = phases.iter().map(|phase| phase["ms"].as_f64().unwrap()).sum();
    assert!((document["downtime_ms"].as_f64().unwrap() - sum).abs() < 0.01, "the phases are the whole downtime");
    // What the guest itself saw is what the engine accounts for, but for the moments around stop and start.
    assert!(document["guest_gap_ms"].as_f64().unwrap() + 50.0 >= document["downtime_ms"].as_f64().unwrap());
}

#[test]
fn a_guest_moves_on_several_channels() {
    let output = vmferry(&["demo", "--mode", "multifd", "--memory", "32M", "--dirty-rate", "100", "--json"]);
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{document:#}");
    assert_eq!((&document["verified"], &document["mode"]), (&true.into(), &"multifd".into()));
    let sent: u64 =
        document["rounds"].as_array().unwrap().iter().map(|round| round["pages_sent"].as_u64().unwrap()).sum();
    assert_eq!(document["ram"]["normal_pages"], sent);
}

#[test]
fn without_options_the_page_says_that_it_is_verified() {
    let output = vmferry(&["demo", "--memory", "16M"]);
    let page = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{page}");
    for part in ["round", "downtime", "handover", "pages checked, 0 bad", "verified"] {
        assert!(page.contains(part), "{part} in {page}");
    }
}

#[test]
fn a_guest_on_kvm_moves_live_with_either_dirty_log() {
    if !kit::has_kvm() {
        return;
    }
    for accel in ["kvm", "kvm,dirty-ring-size=4096"] {
        let arguments = ["demo", "--accel", accel, "--vcpus", "2", "--memory", "64M", "--dirty-rate", "500", "--json"];
        let output = vmferry(&arguments);
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{document:#}");
        assert_eq!((&document["verified"], &document["accel"]), (&true.into(), &"kvm".into()));
        assert_eq!(document["machine"], "ferry-x86-1.0");
        assert_eq!(document["guest"]["bad_pages"], 0);
        // 62 MiB are walked.
        assert!(document["guest"]["checked_pages"].as_u64().unwrap() >= 4 * 15_872, "{}", document["guest"]);
    }
}

#[test]
fn wrong_machines_are_refused_with_what_there_is() {
    for (arguments, code, expected) in [
        (&["run", "--machine", "ferry-virt-9"][..], 2, "ferry-virt-2.0, ferry-virt-1.1, ferry-virt-1.0"),
        (&["run", "--memory", "1M"], 2, "4194304"),
        (&["run", "--global", "serial.no-such=on"], 2, "no-such"),
        (&["run", "--incoming", "rdma:x"], 2, "rdma"),
        (&["run", "--vcpus", "2"], 2, "ferry-virt-2.0 has 1"),
        (&["run", "--accel", "tcg"], 2, "soft and kvm"),
        (&["run", "--accel", "kvm,dirty-ring-size=5"], 2, "powers of two"),
        (&["run", "--guest", "/nonexistent"], 4, "/nonexistent"),
        (&["run", "--incoming", "file:/nonexistent"], 4, "No such file"),
    ] {
        let output = vmferry(arguments);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {errors}");
        assert!(errors.contains("error:") && errors.contains(expected), "{arguments:?}: {errors}");
    }
}

#[test]
#[cfg(target_arch = "x86_64")]
fn kvm_where_it_is_not_is_refused_with_the_alternative() {
    for (arguments, code, expected) in [
        (&["run", "--accel", "kvm,device=/nonexistent"][..], 4, "--accel soft"),
        (&["demo", "--accel", "kvm,device=/dev/null"], 4, "--accel soft"),
        (&["run", "--accel", "kvm", "--machine", "ferry-virt-1.1"], 2, "--accel soft"),
        (&["run", "--machine", "ferry-x86-1.0"], 2, "--accel kvm"),
    ] {
        let output = vmferry(arguments);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {errors}");
        assert!(errors.contains("error:") && errors.contains(expected), "{arguments:?}: {errors}");
    }
}
