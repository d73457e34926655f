//! Dumps of our form: codecs, counts, gates and instances are told, and so judged.

use serde_json::{Value, json};
use vmferry_inspect::check::Options;
use vmstate::schema::{Count, Field, Kind, ListForm, Priority, Scalar, Schema, Subsection};

use crate::kit::{compare, findings, infos, ours, verdicts};

const U8: Kind = Kind::Scalar(Scalar::U8);
const U32: Kind = Kind::Scalar(Scalar::U32);
const I32: Kind = Kind::Scalar(Scalar::I32);

/// Leaks: a test's schema must be static.
fn uart(fields: &[Field]) -> Schema {
    Schema::new("uart", 1).fields(Box::leak(fields.to_vec().into_boxed_slice()))
}

fn dump(schema: Schema) -> Value {
    ours(&[Box::leak(Box::new(schema))])
}

fn of(old: Schema, new: Schema) -> Vec<String> {
    findings(&compare(&dump(old), &dump(new), &Options::default()))
}

/// What a change of one field gives.
fn kinds(old: Kind, new: Kind) -> Vec<String> {
    of(uart(&[Field::new("r", old)]), uart(&[Field::new("r", new)]))
}

const NONE: [&str; 0] = [];

#[test]
fn codecs_of_equal_width_are_compared() {
    assert_eq!(kinds(U32, U32), NONE);
    assert_eq!(kinds(U32, I32), ["risk both codec-changed uart.r"]);
    let (buffer, octets) = (Kind::Buffer { octets: 4 }, Kind::Array { element: &U8, elements: 4 });
    assert_eq!(kinds(buffer, octets), NONE);
    assert_eq!(kinds(buffer, U32), ["break both codec-changed uart.r"]);
    assert_eq!(kinds(buffer, Kind::Array { element: &U8, elements: 5 }), ["break both count-changed uart.r"]);
    let equal = Kind::Equal { scalar: Scalar::U32, hint: None };
    assert_eq!(kinds(U32, equal), ["risk forward codec-changed uart.r"]);
    assert_eq!(kinds(Kind::Scalar(Scalar::Bool), U8), ["risk backward codec-changed uart.r"]);
    assert_eq!(kinds(Kind::Pointer { element: &U32 }, U32), ["risk both codec-changed uart.r"]);
}

#[test]
fn numbers_and_limits_are_compared() {
    let counted = |count: Count, limit: usize| Kind::Counted { element: &U32, count, limit };
    let n = Count::received("n");
    assert_eq!(kinds(counted(n, 8), counted(n, 8)), NONE);
    assert_eq!(kinds(counted(n, 8), counted(n, 16)), ["risk backward limit-changed uart.r"]);
    assert_eq!(kinds(counted(n, 8), counted(n, 4)), ["risk forward limit-changed uart.r"]);
    assert_eq!(kinds(counted(n, 8), counted(n.scale(2), 8)), ["break both count-changed uart.r"]);
    assert_eq!(kinds(counted(n, 8), counted(Count::local("n"), 8)), ["risk both count-source uart.r"]);
    let fixed = Kind::Array { element: &U32, elements: 4 };
    assert_eq!(kinds(fixed, counted(n, 8)), ["risk both count-source uart.r"]);
    assert_eq!(kinds(fixed, Kind::Array { element: &U32, elements: 5 }), ["break both count-changed uart.r"]);
}

#[test]
fn a_rename_of_the_same_form_does_no_harm() {
    let report =
        compare(&dump(uart(&[Field::new("a", U32)])), &dump(uart(&[Field::new("b", U32)])), &Options::default());
    assert_eq!((findings(&report), infos(&report)), (vec![], vec!["both field-renamed uart.b".into()]));
}

#[test]
fn octets_that_are_cut_otherwise_break() {
    let (a, b) = (Field::new("a", Kind::Scalar(Scalar::U16)), Field::new("b", Kind::Scalar(Scalar::U16)));
    assert_eq!(of(uart(&[a, b]), uart(&[Field::new("word", U32)])), ["break both field-reshaped uart.word"]);
    // Elements of an array one by one are the same elements.
    let array = Kind::Array { element: &U32, elements: 2 };
    let (a, b) = (Field::new("a", U32), Field::new("b", U32));
    assert_eq!(of(uart(&[Field::new("words", array)]), uart(&[a, b])), NONE);
}

#[test]
fn tests_between_fields_and_of_fields_are_compared_by_name() {
    let plain = [Field::new("r", U32)];
    let checked = [Field::new("r", U32), Field::new("sane", Kind::Check { test: "is_sane" })];
    assert_eq!(of(uart(&plain), uart(&checked)), ["risk forward check-added uart"]);
    assert_eq!(of(uart(&checked), uart(&checked)), NONE);
    let when = |test| uart(&[Field::new("r", U32).when(test)]);
    assert_eq!(of(when("is_new"), when("is_new")), NONE);
    assert_eq!(of(when("is_new"), when("is_newer")), ["risk both presence-changed uart.r"]);
    // Of a device of ours, what may be sent will be.
    assert_eq!(of(when("is_new"), uart(&[])), ["break both field-removed uart.r"]);
}

static FIFO: Schema = Schema::new("uart/fifo", 1).fields(&[Field::new("octets", U32)]);

#[test]
fn subsections_without_a_gate_depend_on_use_and_are_not_given_up() {
    static USED: [Subsection; 1] = [Subsection::new(&FIFO)];
    let (without, with) = (uart(&[]), uart(&[]).subsections(&USED));
    assert_eq!(of(without, with), ["risk backward subsection-added uart.uart/fifo"]);
    assert_eq!(of(with, without), ["break forward subsection-removed uart.uart/fifo"]);
}

/// A dump with machine types, and what each makes of the gate `migrate-fifo`.
fn with_machines(schema: Schema, machines: &[(&str, &str)]) -> Value {
    let mut document = dump(schema);
    let listed = |(name, value): &(&str, &str)| json!({"Name": name, "properties": {"uart": {"migrate-fifo": value}}});
    document["vmschkmachine"]["machines"] = machines.iter().map(listed).collect();
    document
}

#[test]
fn a_section_that_is_sent_where_it_was_not_is_asked_about() {
    let gated = uart(&[]).gate("migrate-fifo");
    let old = with_machines(gated, &[("b-1.0", "off")]);
    // Its property's default became on: a release before OLD may not know the section.
    let on = with_machines(gated, &[("b-1.0", "on")]);
    let report = compare(&old, &on, &Options::default());
    assert_eq!(findings(&report), ["risk backward section-gate uart"]);
    assert_eq!(verdicts(&report), ("compatible".into(), "depends".into()));
    // The other way round, OLD's guests go without it.
    assert_eq!(findings(&compare(&on, &old, &Options::default())), ["risk backward section-gate uart"]);
    assert_eq!(compare(&old, &old, &Options::default()).findings, []);
}

#[test]
fn a_gate_is_evaluated_for_each_machine_type_that_both_know() {
    static GATED: [Subsection; 1] = [Subsection::new(&FIFO).gate("migrate-fifo")];
    static USED: [Subsection; 1] = [Subsection::new(&FIFO)];
    let (without, gated) = (uart(&[]), uart(&[]).subsections(&GATED));
    // The recipe: off where it was released, on in the new machine type, which OLD does not know.
    let old = with_machines(without, &[("b-1.0", "off")]);
    let new = with_machines(gated, &[("b-1.1", "on"), ("b-1.0", "off")]);
    let report = compare(&old, &new, &Options::default());
    assert_eq!(report.findings, []);
    assert_eq!(report.machines.len(), 1);
    // The entry was forgotten.
    let forgotten = with_machines(gated, &[("b-1.1", "on"), ("b-1.0", "on")]);
    let report = compare(&old, &forgotten, &Options::default());
    assert_eq!(findings(&report), ["break backward subsection-added uart.uart/fifo"]);
    assert_eq!(report.findings[0].machines, ["b-1.0"]);
    assert_eq!(verdicts(&report), ("compatible".into(), "incompatible".into()));
    // Without machine types nobody knows.
    assert_eq!(of(without, gated), ["risk backward subsection-added uart.uart/fifo"]);
    // A gate that is lost: OLD knows the subsection, releases before it do not.
    let lost = with_machines(uart(&[]).subsections(&USED), &[("b-1.1", "on"), ("b-1.0", "off")]);
    let report = compare(&new, &lost, &Options::default());
    assert_eq!(findings(&report), ["risk backward subsection-gate uart.uart/fifo"]);
    assert_eq!(report.findings[0].machines, ["b-1.0"]);
    // Turned off where it was on.
    let off = with_machines(gated, &[("b-1.1", "off"), ("b-1.0", "off")]);
    let report = compare(&new, &off, &Options::default());
    assert_eq!(findings(&report), ["risk backward subsection-gate uart.uart/fifo"]);
    assert_eq!(report.findings[0].machines, ["b-1.1"]);
}

#[test]
fn a_gated_field_must_be_there_on_both_sides_of_a_machine_type() {
    let plain = uart(&[Field::new("r", U32)]);
    let gated = uart(&[Field::new("r", U32), Field::new("extra", U32).gate("migrate-fifo")]);
    let old = with_machines(plain, &[("b-1.0", "off")]);
    assert_eq!(compare(&old, &with_machines(gated, &[("b-1.0", "off")]), &Options::default()).findings, []);
    let report = compare(&old, &with_machines(gated, &[("b-1.0", "on")]), &Options::default());
    assert_eq!(findings(&report), ["break both field-added uart.extra"]);
    let (on, off) = (with_machines(gated, &[("b-1.0", "on")]), with_machines(gated, &[("b-1.0", "off")]));
    assert_eq!(findings(&compare(&on, &off, &Options::default())), ["break both presence-changed uart.extra"]);
}

#[test]
fn a_machine_type_of_the_options_is_the_only_one() {
    static GATED: [Subsection; 1] = [Subsection::new(&FIFO).gate("migrate-fifo")];
    let old = with_machines(uart(&[]), &[("b-1.1", "off"), ("b-1.0", "off")]);
    let new = with_machines(uart(&[]).subsections(&GATED), &[("b-1.1", "on"), ("b-1.0", "off")]);
    let of = |machine: &str| {
        let mut options = Options::default();
        options.machine = Some(machine.to_owned());
        findings(&compare(&old, &new, &options))
    };
    assert_eq!(of("b-1.0"), NONE);
    assert_eq!(of("b-1.1"), ["break backward subsection-added uart.uart/fifo"]);
}

#[test]
fn machine_types_are_not_lost_unless_they_are_removed() {
    let old = with_machines(uart(&[]), &[("b-1.1", "off"), ("b-1.0", "off")]);
    let mut new = with_machines(uart(&[]), &[("b-1.1", "off")]);
    assert_eq!(findings(&compare(&old, &new, &Options::default())), ["break forward machine-unknown b-1.0"]);
    new["vmschkmachine"]["removed"] = json!(["b-1.0"]);
    assert_eq!(infos(&compare(&old, &new, &Options::default())), ["forward machine-unknown b-1.0"]);
}

/// The most frequent break there is: a default that changed without an entry for the released machine types.
#[test]
fn a_property_that_is_no_gate_must_keep_its_value() {
    let with = |queues: &str| {
        let mut document = dump(uart(&[]));
        document["vmschkmachine"]["machines"] = json!([{"Name": "b-1.0", "properties": {"uart": {"queues": queues}}}]);
        document
    };
    assert_eq!(compare(&with("1"), &with("1"), &Options::default()).findings, []);
    assert_eq!(
        findings(&compare(&with("1"), &with("4"), &Options::default())),
        ["risk both property-changed uart.queues"]
    );
}

#[test]
fn a_section_of_the_machine_is_not_optional() {
    static UART: Schema = Schema::new("uart", 1);
    static RTC: Schema = Schema::new("rtc", 1);
    static GATED: Schema = Schema::new("rtc", 1).gate("migrate");
    let (one, two) = (ours(&[&UART]), ours(&[&UART, &RTC]));
    assert_eq!(findings(&compare(&two, &one, &Options::default())), ["break forward section-unknown rtc"]);
    assert_eq!(findings(&compare(&one, &two, &Options::default())), ["break backward section-unknown rtc"]);
    let gated = ours(&[&UART, &GATED]);
    assert_eq!(findings(&compare(&one, &gated, &Options::default())), ["risk backward section-unknown rtc"]);
}

#[test]
fn id_strings_and_instance_ids_are_on_the_wire() {
    let old = dump(uart(&[]));
    let mut new = old.clone();
    new["uart"]["instances"] = json!([{"idstr": "0000:00:01.0/uart", "instance_id": 0}]);
    assert_eq!(
        findings(&compare(&old, &new, &Options::default())),
        ["break forward instance-unknown uart", "break backward instance-unknown uart"]
    );
    // Listed: loads forward, not back.
    new["uart"]["instances"][0]["other_names"] = json!([{"idstr": "uart", "instance_id": 0}]);
    assert_eq!(findings(&compare(&old, &new, &Options::default())), ["break backward instance-unknown uart"]);
}

#[test]
fn devices_that_cannot_migrate_are_told() {
    let (can, cannot) = (uart(&[]), uart(&[]).unmigratable("its keys cannot be read"));
    assert_eq!(of(can, cannot), ["break both unmigratable uart"]);
    assert_eq!(of(cannot, can), ["break backward unmigratable uart"]);
    assert_eq!(of(cannot, cannot), NONE);
}

#[test]
fn order_and_phase_are_told() {
    assert_eq!(of(uart(&[]), uart(&[]).priority(Priority::Iommu)), ["risk forward order-changed uart"]);
    assert_eq!(of(uart(&[]), uart(&[]).early()), ["risk forward order-changed uart"]);
}

#[test]
fn versions_of_older_images_are_loaded() {
    static V1: Schema = Schema::new("uart", 1).fields(&[Field::new("ticks", U32)]);
    static NEW: Schema = Schema::new("uart", 2).fields(&[Field::new("ns", Kind::Scalar(Scalar::U64))]);
    let new = NEW;
    let old = V1;
    assert_eq!(of(old, new.older(&V1)), ["break backward version-too-new uart"]);
    assert_eq!(of(old, new), ["break forward version-too-old uart", "break backward version-too-new uart"]);
    // Another form than what was sent as version 1.
    static WRONG: Schema = Schema::new("uart", 1).fields(&[Field::new("ticks", Kind::Scalar(Scalar::U16))]);
    assert_eq!(
        of(old, new.older(&WRONG)),
        ["break forward size-changed uart.ticks", "break backward version-too-new uart"]
    );
}

#[test]
fn nested_forms_are_compared_with_their_images() {
    static CELL: Schema = Schema::new("cell", 1).fields(&[Field::new("a", U32)]);
    static WIDER: Schema = Schema::new("cell", 1).fields(&[Field::new("a", U32), Field::new("b", U32)]);
    let list = |element| Kind::List { form: ListForm::Qtailq, element, limit: 9 };
    assert_eq!(kinds(list(&CELL), list(&WIDER)), ["break both field-added uart.r.b"]);
    let tree = |key: Option<&'static Schema>, value| Kind::Tree { key, value, limit: 9 };
    assert_eq!(kinds(tree(Some(&CELL), &CELL), tree(Some(&WIDER), &CELL)), ["break both field-added uart.r.key.b"]);
    assert_eq!(kinds(tree(None, &CELL), tree(None, &CELL)), NONE);
    assert_eq!(kinds(tree(None, &CELL), tree(Some(&CELL), &CELL)), ["break both codec-changed uart.r"]);
    assert_eq!(kinds(list(&CELL), Kind::Struct(&CELL)), ["break both codec-changed uart.r"]);
    static V2: Schema =
        Schema::new("cell", 2).minimum(1).fields(&[Field::new("a", U32), Field::new("b", U32).since(2)]);
    let pinned = |version| Kind::Pinned { schema: &V2, version };
    assert_eq!(kinds(Kind::Struct(&CELL), pinned(1)), NONE);
    assert_eq!(kinds(pinned(1), pinned(2)), ["break both presence-changed uart.r.b"]);
    assert_eq!(kinds(Kind::Struct(&CELL), Kind::Struct(&V2)), ["break both nested-version uart.r.b"]);
}
