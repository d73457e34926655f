//! Each rule about descriptions, with one that breaks it and one that does not.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use vmstate::lint::{Finding, Severity, findings, section_findings};
use vmstate::schema::{Count, Field, Kind, ListForm, Priority, Scalar, Schema, Subsection};
use vmstate::testkit::{all_findings_are_known, findings_are_known};
use vmstate::{Properties, VmState, Wire};

const OCTET: Kind = Kind::Scalar(Scalar::U8);
const WORD: Kind = Kind::Scalar(Scalar::U32);

/// Labels of what is found, the worst first.
fn labels(schema: &Schema) -> Vec<String> {
    findings(schema).iter().map(Finding::label).collect()
}

/// A description with these fields.
macro_rules! device {
    ($($field:expr),+ $(,)?) => {
        &const { Schema::new("dev", 1).fields(&const { [$($field),+] }) }
    };
}

/// A description with these subsections behind one octet.
macro_rules! parent {
    ($($schema:expr),+ $(,)?) => {
        &const {
            Schema::new("dev", 1)
                .fields(&const { [Field::new("octet", OCTET)] })
                .subsections(&const { [$(Subsection::new(&const { $schema })),+] })
        }
    };
}

#[test]
fn nothing_is_said_of_a_plain_device() {
    let schema = parent!(Schema::new("dev/a", 1), Schema::new("dev/b", 255).minimum(2));
    assert_eq!(findings(schema), []);
    assert_eq!(section_findings([("path/dev", schema), ("path2/dev", schema)]), []);
}

#[test]
fn names_of_subsections_that_no_loader_finds() {
    assert_eq!(labels(parent!(Schema::new("other", 1))), ["subsection-name at dev.other"]);
    assert_eq!(labels(parent!(Schema::new("dev", 1))), ["subsection-name at dev.dev"]);
    assert_eq!(labels(parent!(Schema::new("dev_a", 1))), ["subsection-separator at dev.dev_a"]);
    assert_eq!(labels(parent!(Schema::new("dev/a", 256))), ["subsection-version at dev.dev/a"]);
    let twice = parent!(Schema::new("dev/a", 1), Schema::new("dev/a", 1));
    assert_eq!(labels(twice), ["repeated-subsection at dev.dev/a"]);
    let claimed = parent!(Schema::new("dev/a", 1), Schema::new("dev/ab", 1));
    assert_eq!(labels(claimed), ["subsection-unreachable at dev.dev/ab"]);
    assert_eq!(labels(parent!(Schema::new("dev/ab", 1), Schema::new("dev/a", 1))), [""; 0]);
}

#[test]
fn a_subsection_that_the_image_before_it_would_take() {
    const NESTED: Schema = Schema::new("de", 1).fields(&[Field::new("value", WORD)]);
    const EMPTY: Schema = Schema::new("none", 1);
    const SUBSECTIONS: &[Subsection] = &[Subsection::new(&Schema::new("dev/a", 1))];
    const fn with(fields: &'static [Field]) -> Schema {
        Schema::new("dev", 1).fields(fields).subsections(SUBSECTIONS)
    }
    let taken = ["subsection-unreachable at dev.dev/a"];
    const LAST: &[Field] = &[Field::new("nested", Kind::Struct(&NESTED))];
    assert_eq!(labels(&with(LAST)), taken);
    // What may be absent or empty leaves the loader before it in place.
    const ABSENT: &[Field] = &[Field::new("nested", Kind::Struct(&NESTED)), Field::new("gone", WORD).gate("property")];
    assert_eq!(labels(&with(ABSENT)), taken);
    const HOLLOW: &[Field] = &[Field::new("nested", Kind::Struct(&NESTED)), Field::new("none", Kind::Struct(&EMPTY))];
    assert_eq!(labels(&with(HOLLOW)), taken);
    const DEEP: &[Field] = &[Field::new("outer", Kind::Struct(&Schema::new("outer", 1).fields(LAST)))];
    assert_eq!(labels(&with(DEEP)), taken);
    // An octet in any case, or the end of a list, ends it.
    const BEFORE: &[Field] = &[Field::new("nested", Kind::Struct(&NESTED)), Field::new("octet", OCTET)];
    assert_eq!(labels(&with(BEFORE)), [""; 0]);
    const LISTED: &[Field] = &[Field::new("list", Kind::List { form: ListForm::Qtailq, element: &NESTED, limit: 2 })];
    assert_eq!(labels(&with(LISTED)), [""; 0]);
    // An image that is not empty ends it, also if it has subsections of its own.
    const OTHER: Schema = Schema::new("other", 1)
        .fields(&[Field::new("value", WORD)])
        .subsections(&[Subsection::new(&Schema::new("other/a", 1))]);
    const BETWEEN: &[Field] = &[Field::new("nested", Kind::Struct(&NESTED)), Field::new("other", Kind::Struct(&OTHER))];
    assert_eq!(labels(&with(BETWEEN)), [""; 0]);
}

#[test]
fn versions_that_are_not_on_the_wire() {
    const RANGE: Schema = Schema::new("part", 2).minimum(1).fields(&[Field::new("late", WORD).since(2)]);
    assert_eq!(labels(device!(Field::new("part", Kind::Struct(&RANGE)))), ["nested-version at dev.part"]);
    assert_eq!(
        labels(device!(Field::new("parts", Kind::List { form: ListForm::Qlist, element: &RANGE, limit: 2 }))),
        ["nested-version at dev.parts"]
    );
    const TREE: Kind = Kind::Tree { key: Some(&RANGE), value: &Schema::new("value", 1), limit: 2 };
    assert_eq!(labels(device!(Field::new("tree", TREE))), ["nested-version at dev.tree"]);
    let pinned = |version| Kind::Pinned { schema: &RANGE, version };
    assert_eq!(labels(&Schema::new("dev", 1).fields(Box::leak(Box::new([Field::new("part", pinned(1))])))), [""; 0]);
    let outside = Box::leak(Box::new([Field::new("part", pinned(3))]));
    assert_eq!(labels(&Schema::new("dev", 1).fields(outside)), ["versions at dev.part"]);
    assert_eq!(labels(device!(Field::new("late", WORD).since(2))), ["versions at dev.late"]);
    assert_eq!(labels(device!(Field::new("late", WORD).since(1))), ["since-at-minimum at dev.late"]);
    const OLD: Schema = Schema::new("part", 1).fields(&[Field::new("some", WORD).when("test")]);
    const NEW: Schema = Schema::new("part", 2).older(&OLD);
    assert_eq!(labels(&NEW), ["opaque-test at part.some"]);
    let nested = device!(Field::new("part", Kind::Struct(&NEW)));
    assert_eq!(labels(nested), ["nested-version at dev.part", "opaque-test at dev.part.some"]);
    assert_eq!(labels(&Schema::new("dev", 1).minimum(2)), ["versions at dev"]);
    assert_eq!(labels(&Schema::new("dev", 1).minimum(0)), ["minimum-zero at dev"]);
    assert_eq!(labels(&Schema::new("dev", 0)), [""; 0]);
}

#[test]
fn what_only_sections_have_on_a_nested_image() {
    const FIRST: Schema = Schema::new("part", 1).priority(Priority::PciBus);
    const GATED: Schema = Schema::new("dev/part", 1).gate("property");
    assert_eq!(
        labels(device!(Field::new("part", Kind::Struct(&FIRST)), Field::new("octet", OCTET))),
        ["ignored-on-nested at dev.part"]
    );
    assert_eq!(labels(parent!(GATED)), ["ignored-on-nested at dev.dev/part"]);
    assert_eq!(labels(&Schema::new("dev", 1).early().gate("property").priority(Priority::Iommu)), [""; 0]);
}

#[test]
fn octets_of_the_guest_behind_a_nested_image() {
    const PART: Schema = Schema::new("part", 1).fields(&[Field::new("value", WORD)]);
    let found = ["data-like-subsection at dev.part"];
    const NESTED: Field = Field::new("part", Kind::Struct(&PART));
    assert_eq!(labels(device!(NESTED, Field::new("text", Kind::Buffer { octets: 7 }))), found);
    // Mark, length and a name with something behind it need seven.
    assert_eq!(labels(device!(NESTED, Field::new("text", Kind::Buffer { octets: 6 }))), [""; 0]);
    assert_eq!(labels(device!(NESTED, Field::new("words", Kind::Array { element: &WORD, elements: 2 }))), found);
    assert_eq!(
        labels(device!(NESTED, Field::new("octet", OCTET), Field::new("text", Kind::Buffer { octets: 7 }))),
        [""; 0]
    );
    let optional =
        device!(NESTED, Field::new("octet", OCTET).gate("x"), Field::new("text", Kind::Buffer { octets: 7 }));
    assert_eq!(labels(optional), found);
    const INSIDE: Schema = Schema::new("inside", 1).fields(&[Field::new("text", Kind::Buffer { octets: 9 })]);
    assert_eq!(labels(device!(NESTED, Field::new("inside", Kind::Struct(&INSIDE)))), found);
    // Elements follow each other.
    const TEXT: Schema = Schema::new("text", 1).fields(&[Field::new("text", Kind::Buffer { octets: 9 })]);
    let array = device!(Field::new("texts", Kind::Array { element: &Kind::Struct(&TEXT), elements: 2 }));
    assert_eq!(labels(array), ["data-like-subsection at dev.texts"]);
    // In a list there is a mark between, in a tree none between key and value.
    let list = device!(Field::new("list", Kind::List { form: ListForm::Qtailq, element: &TEXT, limit: 2 }));
    assert_eq!(labels(list), [""; 0]);
    let tree = device!(Field::new("tree", Kind::Tree { key: Some(&PART), value: &TEXT, limit: 2 }));
    assert_eq!(labels(tree), ["data-like-subsection at dev.tree"]);
}

#[test]
fn counts() {
    const fn counted(by: &'static str, limit: usize) -> Field {
        Field::new("list", Kind::Counted { element: &WORD, count: Count::received(by), limit })
    }
    assert_eq!(labels(device!(Field::new("n", OCTET), counted("n", 8))), [""; 0]);
    assert_eq!(labels(device!(counted("n", 8), Field::new("n", OCTET))), ["count at dev.list"]);
    assert_eq!(labels(device!(Field::new("n", Kind::Scalar(Scalar::U64)), counted("n", 8))), ["count at dev.list"]);
    assert_eq!(labels(device!(Field::new("n", WORD), counted("n", 1 << 30))), ["loose-limit at dev.list"]);
    assert_eq!(labels(device!(Field::new("n", WORD).gate("x"), counted("n", 8))), ["count-absent at dev.list"]);
    let gated = device!(Field::new("n", WORD).gate("x"), counted("n", 8).gate("x"));
    assert_eq!(labels(gated), [""; 0]);
    const LATE: &[Field] = &[Field::new("n", WORD).since(2), counted("n", 8)];
    assert_eq!(labels(&Schema::new("dev", 2).minimum(1).fields(LATE)), ["count-absent at dev.list"]);
    const BOTH: &[Field] = &[Field::new("n", WORD).since(2), counted("n", 8).since(2)];
    assert_eq!(labels(&Schema::new("dev", 2).minimum(1).fields(BOTH)), [""; 0]);
    const LOCAL: &[Field] = &[Field::new("list", Kind::CountedBuffer { count: Count::local("depth"), limit: 8 })];
    assert_eq!(labels(&Schema::new("dev", 1).fields(LOCAL)), ["count at dev.list"]);
    assert_eq!(labels(&Schema::new("dev", 1).fields(LOCAL).locals(&["depth"])), [""; 0]);
}

#[test]
fn forms_that_deserve_a_word() {
    assert_eq!(labels(device!(Field::new("some", WORD).when("test"))), ["opaque-test at dev.some"]);
    const HOLES: Kind = Kind::Array { element: &Kind::Pointer { element: &WORD }, elements: 2 };
    assert_eq!(labels(device!(Field::new("holes", HOLES))), ["pointer-holes at dev.holes"]);
    assert_eq!(
        labels(device!(
            Field::new("none", Kind::Unused { octets: 0 }),
            Field::new("check", Kind::Check { test: "ok" })
        )),
        ["nothing-on-the-wire at dev.none"]
    );
    assert_eq!(labels(device!(Field::new("a", WORD), Field::new("a", WORD))), ["repeated-field-name at dev.a"]);
    const UNUSED: Field = Field::new("unused", Kind::Unused { octets: 1 });
    assert_eq!(labels(device!(UNUSED, UNUSED)), [""; 0]);
    const EQUAL: Schema =
        Schema::new("part", 1).fields(&[Field::new("same", Kind::Equal { scalar: Scalar::U32, hint: None })]);
    let list = device!(Field::new("list", Kind::List { form: ListForm::Qtailq, element: &EQUAL, limit: 2 }));
    assert_eq!(labels(list), ["element-needs-template at dev.list"]);
}

#[test]
fn sections_of_one_machine() {
    let (one, other) = (device!(Field::new("a", WORD)), device!(Field::new("a", OCTET)));
    let all = |sections: &[(&str, &'static Schema)]| {
        section_findings(sections.iter().copied()).iter().map(Finding::label).collect::<Vec<_>>()
    };
    assert_eq!(all(&[("dev", one), ("dev", one), ("dev", one)]), ["numbered-instances at dev"]);
    assert_eq!(all(&[("dev", one), ("dev", other)]), ["id-string-of-two-devices at dev", "name-of-two-images at dev"]);
    assert_eq!(all(&[("a/dev", one), ("b/dev", other)]), ["name-of-two-images at b/dev"]);
    assert_eq!(all(&[("", one)]), ["id-string at "]);
    assert_eq!(all(&[(&"x".repeat(256), one)]).len(), 1);
}

#[test]
fn an_image_is_looked_through_once_and_the_worst_comes_first() {
    const PART: Schema = Schema::new("part", 1).fields(&[Field::new("some", WORD).when("test")]);
    const PARTS: &[Field] = &[
        Field::new("a", Kind::Struct(&PART)),
        Field::new("b", Kind::Struct(&PART)),
        Field::new("late", WORD).since(9),
    ];
    let found = findings(&Schema::new("dev", 1).fields(PARTS));
    assert_eq!(found.iter().map(|finding| finding.severity).collect::<Vec<_>>(), [Severity::Error, Severity::Info]);
    let text = found.last().unwrap().to_string();
    assert!(text.starts_with("info: opaque-test at dev.a.some: each side asks 'test' for itself"), "{text}");
}

#[test]
fn a_list_of_known_findings_has_all_that_are_found_and_no_other() {
    let fails = |check: &dyn Fn()| std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)).is_err();
    const PART: Schema = Schema::new("part", 2).minimum(1);
    let schema: &Schema = device!(Field::new("part", Kind::Struct(&PART)), Field::new("octet", OCTET).since(1));
    let (warning, info) = ("nested-version at dev.part", "since-at-minimum at dev.octet");
    findings_are_known(schema, &[(warning, "old")]);
    findings_are_known(schema, &[(warning, "old"), (info, "old")]);
    assert!(fails(&|| findings_are_known(schema, &[(info, "old")])));
    assert!(fails(&|| findings_are_known(schema, &[(warning, "")])));
    assert!(fails(&|| findings_are_known(schema, &[(warning, "old"), ("nested-version at dev.gone", "old")])));
    let found = section_findings([("dev", schema)]);
    all_findings_are_known(&found, &[(warning, "old"), (info, "old")]);
    assert!(fails(&|| all_findings_are_known(&found, &[(warning, "old")])));
}

#[derive(Properties, Debug, Clone)]
#[properties(device = "dev")]
struct DeviceProps {
    #[property(default = true)]
    extra: bool,
}

/// Its count has another name on the wire.
#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "dev", version = 1, props = DeviceProps)]
struct RenamedImage {
    #[vmstate(name = "num")]
    count: u8,
    #[vmstate(len = count, max = 8)]
    list: Vec<u8>,
    #[vmstate(gate = extra)]
    text: [u8; 4],
}

#[test]
fn a_count_is_found_by_the_name_that_it_has_on_the_wire() {
    assert_eq!(findings(RenamedImage::SCHEMA), []);
    assert_eq!(RenamedImage::SCHEMA.fields.get(1).unwrap().kind.count().unwrap().0.field, "num");
    assert_eq!(<u8 as Wire>::KIND, OCTET);
}
