//! Pages about differences and hazards against the sources: `docs/differs-from-qemu.md` has a row for each mark, and
//! `docs/hazards.md` names tests and rules that exist.

#![allow(clippy::unwrap_used, reason = "a failed test may panic")]

use std::collections::BTreeMap;
use std::path::Path;

/// What a mark reads, joined so that this file has none.
const MARK: &str = concat!("Differs from ", "QEMU");

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Every source file under `folder`, with its path from the repository on.
fn sources(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
            found.push((name, std::fs::read_to_string(&path).unwrap()));
        }
    }
}

/// The text of the comments, without where lines break. What says that differences are marked is no mark.
fn marks(text: &str) -> usize {
    let lines = text.lines().map(|line| line.trim_start().trim_start_matches(['/', '!']).trim());
    let joined = lines.collect::<Vec<_>>().join(" ");
    joined.matches(MARK).count() - joined.matches(&format!("marked `{MARK}")).count()
}

#[test]
fn the_page_of_differences_has_every_mark_and_no_other() {
    let mut files = Vec::new();
    for package in std::fs::read_dir(root().join("crates")).unwrap() {
        let folder = package.unwrap().path().join("src");
        if folder.is_dir() {
            sources(&folder, &mut files);
        }
    }
    let marked = files.iter().map(|(path, text)| (path.as_str(), marks(text)));
    let marked: BTreeMap<&str, usize> = marked.filter(|(_, marks)| *marks > 0).collect();
    assert!(marked.len() > 20, "the marks were not found");

    let page = std::fs::read_to_string(root().join("docs/differs-from-qemu.md")).unwrap();
    let mut listed: BTreeMap<&str, usize> = BTreeMap::new();
    for row in page.lines().filter(|line| line.starts_with("| ")) {
        if let Some((_, file)) = row.trim_end_matches(" |").rsplit_once("| `") {
            *listed.entry(file.trim_end_matches('`')).or_default() += 1;
        }
    }
    assert_eq!(listed, marked, "left: rows of docs/differs-from-qemu.md, right: marks in the sources");
}

/// What stands in backquotes in the last cell of each row of the table that begins with `head`.
fn named<'t>(page: &'t str, head: &str) -> Vec<&'t str> {
    let table = page.lines().skip_while(|line| !line.starts_with(head)).take_while(|line| line.starts_with('|'));
    let cells = table.filter_map(|row| row.trim_end_matches(" |").rsplit_once(" | ").map(|(_, cell)| cell));
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect()
}

#[test]
fn the_page_of_hazards_names_tests_that_exist() {
    let mut files = Vec::new();
    sources(&root().join("crates"), &mut files);
    let page = std::fs::read_to_string(root().join("docs/hazards.md")).unwrap();
    let names = named(&page, "| hazard |");
    assert!(names.len() > 20, "{names:?}");
    let exists = |name: &&str| match name.strip_prefix("ui/") {
        Some(file) => root().join("crates/vmstate/tests/ui").join(file).is_file(),
        None => files.iter().any(|(_, text)| text.contains(&format!("fn {name}("))),
    };
    let gone: Vec<_> = names.into_iter().filter(|name| !exists(name)).collect();
    assert!(gone.is_empty(), "docs/hazards.md names tests that do not exist: {gone:?}");
}

#[test]
fn the_page_of_hazards_has_every_rule_of_the_lint() {
    let page = std::fs::read_to_string(root().join("docs/hazards.md")).unwrap();
    let text = std::fs::read_to_string(root().join("crates/vmstate/src/lint/mod.rs")).unwrap();
    let rules = text.lines().filter_map(|line| line.strip_prefix("//! | `")?.split_once("` | ")?.0.into());
    let rules: Vec<&str> = rules.collect();
    assert!(rules.len() > 15, "{rules:?}");
    let missing: Vec<_> = rules.into_iter().filter(|rule| !page.contains(&format!("| `{rule}` | "))).collect();
    assert!(missing.is_empty(), "docs/hazards.md lacks rules of the lint: {missing:?}");
}

#[test]
fn a_mark_is_found_wherever_its_line_breaks() {
    let at_once = format!("/// One. `{MARK}:` two.\n/// {MARK}: three.\n");
    assert_eq!(marks(&at_once), 2);
    assert_eq!(marks(&at_once.replace("from ", "from\n/// ")), 2);
    assert_eq!(marks(&format!("//! each is marked `{MARK}:`.")), 0);
}
