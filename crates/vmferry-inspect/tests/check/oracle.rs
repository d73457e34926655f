//! QEMU's own checker on real dumps: each of its complaints is a finding of ours, or there is a reason why not.
//!
//! | its complaint | our rule |
//! |---|---|
//! | section does not exist | `section-unknown`, `class-renamed` |
//! | version error, minimum version error | `version-too-new`, `version-too-old`, `nested-version` |
//! | expected field …, no further fields, size mismatch | a rule of fields |
//! | subsection not found, entry missing | `subsection-removed`, a rule of fields |
//! | description missing, got another | `section-renamed`, `field-renamed` |
//!
//! A section that is refused by its version is not read further: what its fields would be is no finding of ours.
//! `docs/spec/vmdesc.md` C has the checker; its verdicts are `vmstate/checker.jsonl` of the corpus.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use serde_json::Value;
use vmferry_inspect::check::{Direction, Finding, Options, Rule, Schema, Severity, check};

use crate::kit::with_renames;

fn corpus() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    let folder = env::var_os("VMFERRY_CORPUS").map_or(beside, PathBuf::from).join("vmstate");
    if folder.join("checker.jsonl").exists() {
        return Some(folder);
    }
    println!("skipped: no dumps in {}; set VMFERRY_CORPUS", folder.display());
    None
}

/// The text of a dump, if there is a program that decompresses it.
fn dump(folder: &Path, name: &str) -> Option<Vec<u8>> {
    let path = folder.join(format!("{name}.json.xz"));
    match Command::new("xz").arg("-dc").arg(&path).output() {
        Ok(output) => {
            assert!(output.status.success(), "{}", path.display());
            Some(output.stdout)
        }
        Err(error) => {
            println!("skipped: xz cannot be run: {error}");
            None
        }
    }
}

/// How a complaint of QEMU's checker appears with us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Ours {
    Reported,
    /// The section, or the subsection or class around it, is refused by its version.
    RefusedByVersion,
    Missing,
}

fn ours(complaint: &str, findings: &[&Finding]) -> Ours {
    let class = complaint.split('"').nth(1).unwrap();
    let of_class: Vec<&Finding> = findings.iter().copied().filter(|finding| finding.section == class).collect();
    let version = [Rule::VersionTooNew, Rule::VersionTooOld];
    let is_reported = of_class.iter().any(|finding| {
        let name = finding.rule.name();
        let is_field = name.starts_with("field-") || name.starts_with("size-") || name.starts_with("count-");
        if complaint.contains("does not exist") {
            matches!(finding.rule, Rule::SectionUnknown | Rule::ClassRenamed)
        } else if complaint.contains("version error") {
            version.contains(&finding.rule) || finding.rule == Rule::NestedVersion
        } else if complaint.contains("Subsection \"") || complaint.contains("\"Subsections\" missing") {
            finding.rule == Rule::SubsectionRemoved
        } else if complaint.contains(" missing, got \"") {
            matches!(finding.rule, Rule::SectionRenamed | Rule::FieldRenamed)
        } else {
            is_field || finding.rule == Rule::NestedVersion
        }
    });
    match is_reported {
        true => Ours::Reported,
        false if of_class.iter().any(|finding| version.contains(&finding.rule)) => Ours::RefusedByVersion,
        false => Ours::Missing,
    }
}

#[test]
fn each_complaint_of_qemus_checker_is_a_finding() {
    let Some(folder) = corpus() else { return };
    let verdicts = fs::read_to_string(folder.join("checker.jsonl")).unwrap();
    let mut dumps: BTreeMap<String, Schema> = BTreeMap::new();
    let (mut total, mut pairs) = ([0_usize; 3], 0);
    for line in verdicts.lines() {
        let verdict: Value = serde_json::from_str(line).unwrap();
        let name = |key: &str| verdict[key].as_str().unwrap().to_owned();
        let (mut source, mut dest) = (name("source"), name("dest"));
        if verdict["reverse"].as_bool().unwrap() {
            std::mem::swap(&mut source, &mut dest);
        }
        let started = Instant::now();
        for name in [&source, &dest] {
            if !dumps.contains_key(name) {
                let Some(text) = dump(&folder, name) else { return };
                dumps.insert(name.clone(), Schema::from_json(&text).unwrap());
            }
        }
        let read_ms = started.elapsed().as_millis();
        let started = Instant::now();
        let report = check(&dumps[&source], &dumps[&dest], &Options::default()).unwrap();
        let elapsed = started.elapsed();
        let forward: Vec<&Finding> =
            report.findings.iter().filter(|finding| finding.direction.includes(Direction::Forward)).collect();
        let mut counts = [0; 3];
        let mut classes = BTreeSet::new();
        let complaints = name("stdout");
        for complaint in complaints.lines().filter(|line| line.contains("Section \"")) {
            let how = ours(complaint, &forward);
            assert_ne!(how, Ours::Missing, "{source} → {dest}: {complaint}");
            counts[how as usize] += 1;
            classes.insert(complaint.split('"').nth(1).unwrap().to_owned());
        }
        let more: Vec<&&Finding> = forward
            .iter()
            .filter(|finding| finding.severity > Severity::Info && !classes.contains(&finding.section))
            .collect();
        let shown: BTreeSet<String> = more.iter().map(|f| format!("{} {}", f.rule, f.path)).take(3).collect();
        println!(
            "{source} → {dest}: {} complaints, {} reported, {} behind a refused version; ours {} in {:.1} ms \
             (read {read_ms} ms), of them {} breaks and {} others in classes it is content with: {shown:?}",
            counts.iter().sum::<usize>(),
            counts[0],
            counts[1],
            forward.len(),
            elapsed.as_secs_f64() * 1000.0,
            more.iter().filter(|finding| finding.severity == Severity::Break).count(),
            more.iter().filter(|finding| finding.severity == Severity::Risk).count(),
        );
        for (sum, count) in total.iter_mut().zip(counts) {
            *sum += count;
        }
        pairs += 1;
    }
    println!("{pairs} pairs: {} reported, {} behind a refused version, {} missing", total[0], total[1], total[2]);
    assert!(pairs >= 24 && total[0] > 500);
}

/// Some classes of the dumps of 5.2.0 and 10.0.2, and all that QEMU's checker says of them.
#[test]
fn a_committed_pair_of_real_dumps_is_judged_as_by_qemus_checker() {
    let old = Schema::from_json(include_bytes!("data/qemu-5.2.json")).unwrap();
    let new = Schema::from_json(include_bytes!("data/qemu-10.0.json")).unwrap();
    let complaints = [
        r#"Section "scsi-disk" does not exist in dest"#,
        r#"Section "sd-card", Description "sd-card": expected field "wp_groups", got "wp_group_bmap"; skipping rest"#,
        r#"Section "i8042", Description "pckbd": expected field "pending", got "pending_tmp"; skipping rest"#,
        r#"Section "ICH9 SMB" does not exist in dest"#,
        r#"Section "base-sysbus-fdc" does not exist in dest"#,
        r#"Section "hpet", Description "hpet": expected field "num_timers", got "num_timers_save"; skipping rest"#,
        r#"Section "virtio-iommu-device" Description "virtio-iommu": minimum version error: 1 < 2"#,
    ];
    let report = check(&old, &new, &Options::default()).unwrap();
    let forward: Vec<&Finding> =
        report.findings.iter().filter(|finding| finding.direction.includes(Direction::Forward)).collect();
    for complaint in complaints {
        assert_eq!(ours(complaint, &forward), Ours::Reported, "{complaint}");
    }
    // What does not differ is not mentioned.
    assert!(report.findings.iter().all(|finding| finding.section != "mc146818rtc"));

    let renames = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/qemu-renames.toml");
    let options = with_renames(&fs::read_to_string(renames).unwrap());
    let report = check(&old, &new, &options).unwrap();
    let rules = |class: &str| -> Vec<String> {
        let of_class = report.findings.iter().filter(|f| f.section == class && f.severity > Severity::Info);
        of_class.map(|finding| format!("{} {}", finding.direction, finding.rule)).collect()
    };
    for class in ["hpet", "ICH9 SMB", "ICH9-SMB", "base-sysbus-fdc"] {
        assert_eq!(rules(class), Vec::<String>::new(), "{class}");
    }
    // Real differences are not excused.
    assert_eq!(rules("i8042"), ["backward subsection-added"]);
    assert_eq!(rules("virtio-iommu-device")[0], "forward version-too-old");
    assert_eq!(rules("scsi-disk"), ["forward section-unknown"]);
}
