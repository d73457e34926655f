//! Dumps of QEMU's form: what its checker finds and what it does not see, with their opposites.

use serde_json::{Value, json};
use vmferry_inspect::check::Options;

use crate::kit::{
    array, compare, field, findings, infos, nested, qemu, qemu_with, subsection, tested, verdicts, with_renames,
};

/// What a change of the fields of `uart` gives.
fn of(old: Value, new: Value) -> Vec<String> {
    findings(&compare(&qemu(old), &qemu(new), &Options::default()))
}

const NONE: [&str; 0] = [];

#[test]
fn equal_dumps_are_compatible() {
    let dump = qemu(json!([field("rbr", 1), array("fifo", 1, 16), tested("ier", 4)]));
    let report = compare(&dump, &dump, &Options::default());
    assert_eq!(report.findings, []);
    assert_eq!(verdicts(&report), ("compatible".into(), "compatible".into()));
}

/// `docs/spec/vmdesc.md` C3: found by QEMU's checker only with `--reverse`.
#[test]
fn a_field_behind_the_last_breaks_both_ways() {
    let old = json!([field("rbr", 1)]);
    let new = json!([field("rbr", 1), field("lcr", 1)]);
    assert_eq!(of(old.clone(), new.clone()), ["break both field-added uart.lcr"]);
    assert_eq!(of(new, old), ["break both field-removed uart.lcr"]);
}

#[test]
fn a_field_of_a_newer_version_is_no_break_forward() {
    let with_version = |version: u32, fields: Value| qemu_with(fields, json!({"version_id": version}));
    let mut since = field("lcr", 1);
    since["version_id"] = json!(2);
    let old = with_version(1, json!([field("rbr", 1)]));
    let new = with_version(2, json!([field("rbr", 1), since]));
    let report = compare(&old, &new, &Options::default());
    assert_eq!(findings(&report), ["break backward version-too-new uart"]);
    assert_eq!(verdicts(&report), ("compatible".into(), "incompatible".into()));
}

#[test]
fn a_raised_minimum_breaks_or_is_told() {
    let dump = |version: u32, minimum: u32| {
        qemu_with(json!([field("rbr", 1)]), json!({"version_id": version, "minimum_version_id": minimum}))
    };
    let report = compare(&dump(1, 1), &dump(2, 2), &Options::default());
    assert_eq!(findings(&report), ["break forward version-too-old uart", "break backward version-too-new uart"]);
    let report = compare(&dump(2, 1), &dump(2, 2), &Options::default());
    assert_eq!((findings(&report), infos(&report)), (vec![], vec!["forward minimum-raised uart".into()]));
}

/// C3: not compared by QEMU's checker.
#[test]
fn numbers_of_elements_are_compared() {
    assert_eq!(of(json!([array("r", 4, 4)]), json!([array("r", 4, 8)])), ["break both count-changed uart.r"]);
    assert_eq!(of(json!([array("r", 4, 4)]), json!([field("r", 4)])), ["risk both count-changed uart.r"]);
    let element = |elements: u32| {
        let mut cells = nested("cells", "cell", json!([field("a", 4)]));
        cells["num"] = json!(elements);
        json!([cells])
    };
    assert_eq!(of(element(2), element(3)), ["break both count-changed uart.cells"]);
}

/// A dump of 5.2 tells no numbers: that is no difference of every array.
#[test]
fn a_dump_without_any_numbers_is_not_compared_by_them() {
    let untold = |dump: &Value| {
        let mut dump = dump.clone();
        dump.as_object_mut().unwrap().remove("rtc");
        dump
    };
    let old = untold(&qemu(json!([field("r", 4)])));
    let report = compare(&old, &untold(&qemu(json!([array("r", 4, 4)]))), &Options::default());
    assert_eq!(findings(&report), NONE);
    // Five octets of filler where there was an array of octets.
    let old = untold(&qemu(json!([field("eitr_intr_pending", 1)])));
    let new = untold(&qemu(json!([field("unused", 5), array("r", 4, 4)])));
    let new = untold(&{
        let mut dump = new;
        dump["uart"]["Description"]["Subsections"] = json!([subsection("uart/x", json!([array("y", 1, 2)]))]);
        dump["uart"]["Description"]["Fields"].as_array_mut().unwrap().pop();
        dump
    });
    assert_eq!(
        findings(&compare(&old, &new, &Options::default())),
        ["risk both field-filled uart.unused", "risk backward subsection-added uart.uart/x"]
    );
}

#[test]
fn sizes_are_compared() {
    assert_eq!(of(json!([field("r", 2)]), json!([field("r", 4)])), ["break both size-changed uart.r"]);
}

/// C3: a test function added or removed is not compared by QEMU's checker.
#[test]
fn a_test_function_that_comes_or_goes_is_a_question() {
    let (always, sometimes) = (json!([field("r", 2)]), json!([tested("r", 2)]));
    let report = compare(&qemu(always.clone()), &qemu(sometimes.clone()), &Options::default());
    assert_eq!(findings(&report), ["risk both presence-changed uart.r"]);
    assert_eq!(verdicts(&report), ("depends".into(), "depends".into()));
    assert_eq!(of(sometimes.clone(), always), ["risk both presence-changed uart.r"]);
    assert_eq!(of(sometimes.clone(), sometimes), NONE);
}

#[test]
fn a_conditional_difference_depends() {
    assert_eq!(of(json!([tested("r", 2)]), json!([tested("r", 4)])), ["risk both size-changed uart.r"]);
    assert_eq!(of(json!([]), json!([tested("timadj", 8)])), ["risk both field-added uart.timadj"]);
    let report = compare(&qemu(json!([])), &qemu(json!([tested("timadj", 8)])), &Options::default());
    assert_eq!(report.findings[0].question.as_deref(), Some("is timadj there on this machine type?"));
}

#[test]
fn an_exchange_of_fields_is_no_rename() {
    let (a, b, c) = (field("a", 4), field("b", 4), field("c", 4));
    assert_eq!(of(json!([a, b]), json!([b, a])).len(), 1);
    assert!(of(json!([a, b]), json!([b, a]))[0].starts_with("break both field-moved uart."));
    let moved = of(json!([a, b, c]), json!([c, b, a]));
    assert!(moved.iter().all(|finding| finding.starts_with("break both field-moved uart.")), "{moved:?}");
}

#[test]
fn a_field_of_another_name_is_asked_about_unless_a_file_tells() {
    let (old, new) = (qemu(json!([field("num_timers", 1)])), qemu(json!([field("num_timers_save", 1)])));
    let report = compare(&old, &new, &Options::default());
    assert_eq!(findings(&report), ["risk both field-renamed uart.num_timers_save"]);
    let renames = |section: &str| {
        with_renames(&format!("[[field]]\nsection = '{section}'\nold = 'num_timers'\nnew = 'num_timers_save'"))
    };
    assert_eq!(compare(&old, &new, &renames("uart")).findings, []);
    assert_eq!(compare(&new, &old, &renames("*")).findings, []);
    assert_eq!(findings(&compare(&old, &new, &renames("hpet"))).len(), 1);
}

/// C4: QEMU's checker complains of each of these.
#[test]
fn images_around_the_same_fields_do_no_harm() {
    let flat = json!([field("a", 4), field("b", 2), field("c", 1)]);
    let around = json!([nested("inner", "cell", json!([field("a", 4), field("b", 2)])), field("c", 1)]);
    let report = compare(&qemu(flat), &qemu(around.clone()), &Options::default());
    assert_eq!(findings(&report), NONE);
    assert_eq!(infos(&report), ["both field-regrouped uart.inner"]);
    let renamed = json!([nested("parent_obj", "cell", json!([field("a", 4), field("b", 2)])), field("c", 1)]);
    let report = compare(&qemu(around), &qemu(renamed), &Options::default());
    assert_eq!((findings(&report), infos(&report)), (vec![], vec!["both field-renamed uart.parent_obj".into()]));
}

#[test]
fn filler_in_the_place_of_fields_is_skipped_and_read_as_zeros() {
    let fields = json!([field("a", 4), field("b", 4), field("c", 2)]);
    let filled = json!([field("unused", 8), field("c", 2)]);
    let report = compare(&qemu(fields.clone()), &qemu(filled), &Options::default());
    assert_eq!(findings(&report), ["risk backward field-filled uart.a", "risk backward field-filled uart.b"]);
    assert_eq!(infos(&report), ["forward field-filled uart.a", "forward field-filled uart.b"]);
    // Not as many octets.
    let short = json!([field("unused", 6), field("c", 2)]);
    let found = of(fields, short);
    assert_eq!(
        found,
        ["break both field-removed uart.a", "break both field-removed uart.b", "break both field-added uart.unused"]
    );
}

#[test]
fn octets_that_are_cut_otherwise_are_asked_about() {
    let (two, one) = (json!([field("lo", 2), field("hi", 2)]), json!([field("word", 4)]));
    assert_eq!(of(two, one), ["risk both field-reshaped uart.word"]);
}

#[test]
fn a_nested_image_at_a_new_version_breaks_both_ways() {
    let mut since = field("b", 4);
    since["version_id"] = json!(2);
    let old = json!([nested("cell", "cell", json!([field("a", 4)]))]);
    let grown = json!([nested("cell", "cell", json!([field("a", 4), field("b", 4)]))]);
    assert_eq!(of(old.clone(), grown), ["break both field-added uart.cell.b"]);
    // A field of a version that is not written is not there.
    let mut new = json!([nested("cell", "cell", json!([field("a", 4), since]))]);
    assert_eq!(of(old.clone(), new.clone()), NONE);
    new[0]["Description"]["version_id"] = json!(2);
    assert_eq!(of(old.clone(), new.clone()), ["break both nested-version uart.cell.b"]);
    // The version alone is not on the wire.
    new[0]["Description"]["Fields"] = json!([field("a", 4)]);
    let report = compare(&qemu(old), &qemu(new), &Options::default());
    assert_eq!((findings(&report), infos(&report)), (vec![], vec!["both nested-version uart.cell".into()]));
}

#[test]
fn a_subsection_that_one_side_does_not_know_is_a_question_in_that_direction() {
    let plain = qemu(json!([field("r", 1)]));
    let with = |name: &str| {
        qemu_with(json!([field("r", 1)]), json!({"Subsections": [subsection(name, json!([field("x", 4)]))]}))
    };
    assert_eq!(
        findings(&compare(&plain, &with("uart/x"), &Options::default())),
        ["risk backward subsection-added uart.uart/x"]
    );
    assert_eq!(
        findings(&compare(&with("uart/x"), &plain, &Options::default())),
        ["risk forward subsection-removed uart.uart/x"]
    );
    // The name is on the wire.
    assert_eq!(
        findings(&compare(&with("uart/x"), &with("uart/y"), &Options::default())),
        ["risk forward subsection-removed uart.uart/x", "risk backward subsection-added uart.uart/y"]
    );
    assert_eq!(findings(&compare(&with("uart/x"), &with("uart/x"), &Options::default())), NONE);
}

#[test]
fn subsections_are_compared_like_sections() {
    let with = |version: u32, fields: Value| {
        let mut sub = subsection("uart/x", fields);
        sub["version_id"] = json!(version);
        qemu_with(json!([]), json!({"Subsections": [sub]}))
    };
    let old = with(1, json!([field("x", 4)]));
    assert_eq!(
        findings(&compare(&old, &with(1, json!([field("x", 8)])), &Options::default())),
        ["risk both size-changed uart.uart/x.x"]
    );
    assert_eq!(
        findings(&compare(&old, &with(2, json!([field("x", 4)])), &Options::default())),
        ["risk backward version-too-new uart.uart/x"]
    );
}

#[test]
fn classes_are_matched_by_name_and_sections_by_what_is_on_the_wire() {
    let mut renamed = qemu(json!([field("r", 1)]));
    renamed["uart"]["Description"]["name"] = json!("serial");
    let plain = qemu(json!([field("r", 1)]));
    assert_eq!(findings(&compare(&plain, &renamed, &Options::default())), ["break both section-renamed uart"]);
    let mut other = plain.clone();
    let class = other.as_object_mut().unwrap().remove("uart").unwrap();
    other["uart-mm"] = class;
    let report = compare(&plain, &other, &Options::default());
    assert_eq!(findings(&report)[0], "risk forward class-renamed uart");
    let file = "[[section]]\nold = 'uart'\nnew = 'uart-mm'";
    assert_eq!(compare(&plain, &other, &with_renames(file)).findings, []);
    let mut gone = plain.clone();
    gone.as_object_mut().unwrap().remove("uart");
    assert_eq!(findings(&compare(&plain, &gone, &Options::default())), ["risk forward section-unknown uart"]);
    assert_eq!(findings(&compare(&gone, &plain, &Options::default())), ["risk backward section-unknown uart"]);
}

#[test]
fn what_a_file_declares_harmless_is_told_with_its_reason() {
    let (old, new) = (qemu(json!([])), qemu(json!([field("r", 1)])));
    let file = |more: &str| {
        with_renames(&format!("[[harmless]]\nrule = 'field-added'\npath = 'uart.*'\nreason = 'for a test'\n{more}"))
    };
    let report = compare(&old, &new, &file(""));
    assert_eq!(verdicts(&report), ("compatible".into(), "compatible".into()));
    assert_eq!(report.findings[0].harmless.as_deref(), Some("for a test"));
    assert_eq!(findings(&compare(&old, &new, &file("direction = 'forward'"))).len(), 1);
}

/// QEMU's dumps of two machine types differ in the name alone.
#[test]
fn the_name_of_the_machine_is_told() {
    let (old, mut new) = (qemu(json!([])), qemu(json!([])));
    new["vmschkmachine"]["Name"] = json!("microvm");
    assert_eq!(infos(&compare(&old, &new, &Options::default())), ["both machine-differs machine"]);
}
