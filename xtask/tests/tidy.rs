//! Rules about the sources themselves that no compiler checks; `CONTRIBUTING.md` has them for people.
//!
//! Each test names every offending line, so that one run shows all there is to mend.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a failed test may panic")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The only modules that may contain unsafe code, with the one mechanism that each wraps.
const UNSAFE_MODULES: [(&str, &str); 16] = [
    ("crates/vmferry-cli/benches/analyze/peak.rs", "the peak memory of a child, which wait4 tells"),
    ("crates/vmferry/src/channel/descriptors.rs", "a descriptor inherited by number becomes an owned one"),
    ("crates/vmferry/src/channel/zero_copy.rs", "MSG_ZEROCOPY's error queue"),
    ("crates/vmferry/src/dirty/wp_async.rs", "userfaultfd's asynchronous write protection"),
    ("crates/vmferry/src/memory/mapped.rs", "volatile slices of mapped guest memory, with the caller's dirty tracking"),
    ("crates/vmferry/src/memory/overlay.rs", "parts of a file mapped in place of parts of guest memory"),
    ("crates/vmferry/src/memory/pagemap.rs", "the kernel's scan of its page tables"),
    ("crates/vmferry/src/memory/populate.rs", "madvise that populates guest memory ahead of writes"),
    ("crates/vmferry/src/memory/release.rs", "madvise that frees the memory of a guest that is elsewhere"),
    ("crates/vmferry/src/memory/scattered.rs", "readv into guest memory without references to it"),
    ("crates/vmferry/src/memory/userfault.rs", "userfaultfd's write protection that asks"),
    ("crates/vmferry/src/memory/vectored.rs", "writev from guest memory without references to it"),
    ("crates/vmferry/src/memory/words.rs", "guest memory read as relaxed atomic words"),
    (
        "crates/vmferry-vmm/src/x86/kvm/ioctls.rs",
        "requests to KVM that kvm-ioctls lacks or leaves to the caller's care",
    ),
    ("crates/vmferry-vmm/src/x86/kvm/mapping.rs", "pages that KVM shares through a vCPU's descriptor, as atomics"),
    ("crates/vmferry-vmm/src/x86/kvm/slots.rs", "guest memory as KVM's memory slots"),
];

const FILE_LINES_LIMIT: usize = 1000;
const LINE_COLUMNS_LIMIT: usize = 120;

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 7] = ["util", "utils", "common", "misc", "helper", "helpers", "base"];

struct Source {
    /// Relative to the repository, with `/`.
    path: String,
    text: String,
}

impl Source {
    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    fn numbered(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every file of the repository, as far as it is text.
fn sources() -> Vec<Source> {
    let listed = Command::new("git")
        // A checkout that belongs to another user is as good.
        .args(["-c", "safe.directory=*", "ls-files", "-z"])
        .current_dir(root())
        .output()
        .expect("the list of files comes from git");
    assert!(listed.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listed.stderr));
    let paths = String::from_utf8(listed.stdout).unwrap();
    let sources: Vec<_> = paths
        .split_terminator('\0')
        // Listed and not there: about to be removed.
        .filter(|path| root().join(path).is_file())
        .filter_map(|path| {
            let text = String::from_utf8(std::fs::read(root().join(path)).unwrap()).ok()?;
            Some(Source { path: path.to_owned(), text })
        })
        .collect();
    assert!(sources.iter().filter(|source| source.is_rust()).count() > 50, "the list of files is not the repository's");
    sources
}

/// Collects offences and fails with all of them.
#[derive(Default)]
struct Offences(String);

impl Offences {
    fn at(&mut self, source: &Source, line: usize, what: impl std::fmt::Display) {
        writeln!(self.0, "{}:{line}: {what}", source.path).unwrap();
    }

    fn none(self) {
        assert!(self.0.is_empty(), "\n{}", self.0);
    }
}

/// The line without its comment. A `//` inside a string cuts too early, which no rule here minds.
fn code(line: &str) -> &str {
    line.split_once("//").map_or(line, |(code, _)| code)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where `word` stands in `text` with no letter, digit or underscore around it.
fn words<'t>(text: &'t str, word: &'t str) -> impl Iterator<Item = usize> + 't {
    text.match_indices(word).map(|(at, _)| at).filter(move |&at| {
        !text[..at].chars().next_back().is_some_and(is_word)
            && !text[at + word.len()..].chars().next().is_some_and(is_word)
    })
}

#[test]
fn every_file_begins_with_its_page() {
    let mut offences = Offences::default();
    for source in sources().iter().filter(|source| source.is_rust()) {
        if !source.text.starts_with("//! ") {
            offences.at(source, 1, "does not begin with a `//!` page that says what is in it");
        }
    }
    offences.none();
}

#[test]
fn a_file_has_one_subject_and_a_name_that_says_which() {
    let mut offences = Offences::default();
    for source in sources().iter().filter(|source| source.is_rust()) {
        let lines = source.text.lines().count();
        if lines > FILE_LINES_LIMIT {
            offences.at(source, lines, format_args!("more than {FILE_LINES_LIMIT} lines: what is the second subject?"));
        }
        let names = Path::new(&source.path).iter().filter_map(|part| part.to_str());
        for name in names.map(|name| name.trim_end_matches(".rs")).filter(|name| EMPTY_NAMES.contains(name)) {
            offences.at(source, 1, format_args!("`{name}` does not say what is inside"));
        }
        for (number, line) in source.numbered() {
            let name = code(line).split_once("mod ").and_then(|(_, rest)| rest.split(|c| !is_word(c)).next());
            if let Some(name) = name.filter(|name| EMPTY_NAMES.contains(name)) {
                offences.at(source, number, format_args!("`{name}` does not say what is inside"));
            }
        }
    }
    offences.none();
}

#[test]
fn files_end_and_lines_end_clean() {
    let mut offences = Offences::default();
    // The compiler's goldens, recorded and fuzzed octets (some are valid UTF-8), quoted licences.
    let foreign = |path: &str| {
        [".stderr", ".bin"].iter().any(|end| path.ends_with(end))
            || ["fuzz/seeds/", "LICENSE"].iter().any(|start| path.starts_with(start))
    };
    for source in sources().iter().filter(|source| !foreign(&source.path)) {
        for (number, line) in source.text.split('\n').enumerate() {
            if line.ends_with([' ', '\t', '\r']) {
                offences.at(source, number + 1, "blanks at the end");
            }
        }
        if !source.text.is_empty() && (!source.text.ends_with('\n') || source.text.ends_with("\n\n")) {
            offences.at(source, source.text.lines().count(), "must end in exactly one line break");
        }
    }
    offences.none();
}

/// rustfmt sees to code. Rows of a table, drawings and what stands in a fenced block cannot be wrapped.
#[test]
fn comments_fit_into_the_line() {
    let mut offences = Offences::default();
    for source in sources().iter().filter(|source| source.is_rust()) {
        let mut is_fenced = false;
        for (number, line) in source.numbered() {
            let Some(comment) = line.trim_start().strip_prefix("//") else { continue };
            let comment = comment.trim_start_matches(['/', '!']).trim_start();
            is_fenced ^= comment.starts_with("```");
            let columns = line.chars().count();
            let is_drawing = comment.starts_with('|') || comment.contains(|c| "─│┌└►▼".contains(c));
            // One word, such as an address or a literal quoted from a program's output, has no place to break.
            let can_break = comment.contains(' ') && !comment.starts_with('`');
            if columns > LINE_COLUMNS_LIMIT && can_break && !is_drawing && !is_fenced {
                let mend = "cargo +nightly fmt -- --config wrap_comments=true,comment_width=120";
                offences.at(source, number, format_args!("{columns} columns; `{mend}` wraps comments"));
            }
        }
    }
    offences.none();
}

#[test]
fn nothing_was_left_over() {
    // Joined here, so that this file does not contain them.
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME")];
    let debugging = [concat!("dbg", "!("), concat!("todo", "!("), concat!("unimplemented", "!(")];
    let mut offences = Offences::default();
    for source in sources().iter().filter(|source| source.is_rust() || source.path.ends_with(".sh")) {
        for (number, line) in source.numbered() {
            for mark in marks {
                for at in words(line, mark) {
                    let issue = line[at + mark.len()..].strip_prefix("(#").and_then(|rest| rest.split_once(')'));
                    if issue.is_none_or(|(number, _)| number.parse::<u32>().is_err()) {
                        offences.at(source, number, format_args!("{mark} without an issue: write {mark}(#123)"));
                    }
                }
            }
            for name in debugging.into_iter().filter(|name| code(line).contains(name)) {
                offences.at(source, number, format_args!("{name}…) left over"));
            }
        }
    }
    offences.none();
}

#[test]
fn unsafe_code_is_in_the_listed_modules_and_nowhere_else() {
    let sources = sources();
    let mut found = BTreeSet::new();
    let mut offences = Offences::default();
    for source in sources.iter().filter(|source| source.is_rust()) {
        for (number, line) in source.numbered() {
            if has_unsafe_code(line) {
                found.insert(source.path.as_str());
                if !UNSAFE_MODULES.iter().any(|(path, _)| *path == source.path) {
                    offences.at(source, number, "unsafe code outside the modules that xtask/tests/tidy.rs lists");
                }
            }
        }
    }
    for (path, mechanism) in UNSAFE_MODULES {
        if !found.contains(path) {
            writeln!(offences.0, "{path}: listed for unsafe code ({mechanism}), has none").unwrap();
        }
    }
    offences.none();
}

/// Whether the keyword stands in the line as code: before a block, an item or nothing, outside comments and strings.
fn has_unsafe_code(line: &str) -> bool {
    let code = code(line);
    words(code, "unsafe").any(|at| {
        let next = code[at + "unsafe".len()..].trim_start();
        let begins = ["{", "(", "fn ", "impl ", "impl<", "trait ", "extern "].iter().any(|item| next.starts_with(item));
        (begins || next.is_empty()) && code[..at].matches('"').count().is_multiple_of(2)
    })
}

#[test]
fn pages_that_are_cited_exist_with_their_sections() {
    let mut offences = Offences::default();
    let mut citations = 0;
    for source in &sources() {
        for (number, line) in source.numbered() {
            for (at, _) in line.match_indices("docs/") {
                if line[..at].ends_with(|c| is_word(c) || c == '/' || c == '.') {
                    continue; // The end of some other path.
                }
                let path: String = line[at..].chars().take_while(|&c| is_word(c) || "/-.".contains(c)).collect();
                let Some(end) = path.find(".md") else { continue };
                let path = &path[..end + ".md".len()];
                citations += 1;
                let Ok(page) = std::fs::read_to_string(root().join(path)) else {
                    offences.at(source, number, format_args!("{path} does not exist"));
                    continue;
                };
                let rest = line[at + path.len()..].trim_start_matches('`');
                let Some(rest) = rest.strip_prefix(" section ") else { continue };
                let section: String = rest.chars().take_while(|&c| c.is_ascii_alphanumeric() || c == '.').collect();
                let section = section.trim_end_matches('.');
                if !section.is_empty() && !has_section(&page, section) {
                    offences.at(source, number, format_args!("{path} has no section {section}"));
                }
            }
        }
    }
    assert!(citations > 50, "only {citations} citations found");
    offences.none();
}

#[test]
fn links_between_pages_lead_somewhere() {
    let mut offences = Offences::default();
    for source in sources().iter().filter(|source| source.path.ends_with(".md")) {
        let folder = root().join(&source.path).parent().unwrap().to_owned();
        for (number, line) in source.numbered() {
            for link in line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link) {
                let file = link.split('#').next().unwrap_or_default();
                let is_page = file.contains('.') && !file.contains(' ') && !file.contains("://");
                if is_page && !folder.join(file).exists() {
                    offences.at(source, number, format_args!("{file} does not exist"));
                }
            }
        }
    }
    offences.none();
}

/// Whether `page` has a heading numbered `section`: `## 4. Sections`, `### 4.1 Roles`, `## A5. Defects`.
fn has_section(page: &str, section: &str) -> bool {
    page.lines().filter(|line| line.starts_with('#')).any(|line| {
        let heading = line.trim_start_matches('#').trim_start();
        heading.split_whitespace().next().is_some_and(|number| number.trim_end_matches('.') == section)
    })
}

#[test]
fn no_path_of_somebodys_machine_is_in_a_file() {
    let homes = [concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/wo", "rk/"), concat!("/Us", "ers/")];
    let mut offences = Offences::default();
    for source in &sources() {
        for (number, line) in source.numbered() {
            for home in homes {
                let is_absolute = |at: usize| !line[..at].ends_with(|c| is_word(c) || ".-~}*".contains(c));
                if line.match_indices(home).any(|(at, _)| is_absolute(at)) {
                    offences.at(source, number, format_args!("{home}… exists on one machine only"));
                }
            }
        }
    }
    offences.none();
}

/// A file that no `mod` names is not compiled, and nobody notices.
#[test]
fn every_source_file_is_part_of_its_crate() {
    let sources = sources();
    let text = |path: &str| sources.iter().find(|source| source.path == path).map(|source| source.text.as_str());
    let mut offences = Offences::default();
    for source in sources.iter().filter(|source| source.is_rust()) {
        let Some((folder, file)) = source.path.rsplit_once('/') else { continue };
        let Some((package, inner)) = folder.split_once("/src") else { continue };
        if inner.is_empty() && ["lib.rs", "main.rs"].contains(&file) || inner.starts_with("/bin") {
            continue;
        }
        // The folder of the module that declares it, and its name there.
        let (parent, name) = match file.strip_suffix(".rs").unwrap() {
            "mod" => folder.rsplit_once('/').unwrap(),
            name => (folder, name),
        };
        let mut declaring = vec![format!("{parent}/mod.rs"), format!("{parent}.rs")];
        if parent == format!("{package}/src") {
            declaring = vec![format!("{parent}/lib.rs"), format!("{parent}/main.rs")];
        }
        // Tests in a file beside what they test: that names them by `#[path = "…"]`.
        declaring.push(format!("{parent}/{}.rs", name.trim_end_matches("_tests")));
        let declared = declaring.iter().filter_map(|path| text(path)).flat_map(str::lines).any(|line| {
            let line = code(line).trim();
            line.ends_with(&format!("mod {name};")) || line == format!("#[path = \"{file}\"]")
        });
        if !declared {
            offences.at(source, 1, format_args!("no `mod {name};` in {}", declaring.join(" or ")));
        }
    }
    offences.none();
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    let mut offences = Offences::default();
    let sources = sources();
    let manifests =
        sources.iter().filter(|source| source.path.ends_with("/Cargo.toml") && !source.path.starts_with("fuzz/"));
    let manifests: Vec<_> = manifests.collect();
    assert!(manifests.len() > 5, "the crates were not found");
    for manifest in manifests {
        if !manifest.text.contains("[lints]\nworkspace = true\n") {
            offences.at(manifest, 1, "lacks `[lints] workspace = true`");
        }
    }
    offences.none();
}

/// CI runs what is listed, and a target without an entry is not compiled at all.
#[test]
fn every_fuzz_target_is_listed() {
    let sources = sources();
    let manifest = sources.iter().find(|source| source.path == "fuzz/Cargo.toml").expect("fuzz/Cargo.toml");
    let mut offences = Offences::default();
    for source in sources.iter().filter(|source| source.path.starts_with("fuzz/fuzz_targets/") && source.is_rust()) {
        let path = source.path.trim_start_matches("fuzz/");
        if path.matches('/').count() == 1 && !manifest.text.contains(&format!("path = \"{path}\"")) {
            offences.at(source, 1, "is no `[[bin]]` of fuzz/Cargo.toml");
        }
    }
    offences.none();
}

#[test]
fn the_rules_find_what_they_are_for() {
    assert_eq!(words("an unsafe {} and unsafely", "unsafe").count(), 1);
    assert_eq!(code("let a = 1; // unsafe { }"), "let a = 1; ");
    for line in
        ["unsafe { f() }", "pub unsafe fn f() {", "unsafe impl Send for A {}", "let a = unsafe", "#[unsafe(no_mangle)]"]
    {
        assert!(has_unsafe_code(line), "{line}");
    }
    for line in ["// unsafe { f() }", "unsafe_code = 1", "say(\"unsafe { }\")", "unsafe_op()"] {
        assert!(!has_unsafe_code(line), "{line}");
    }
    let page = "# Page\n## 4. Sections\n### 4.1 Roles\n## A5. Defects\n";
    assert!(has_section(page, "4") && has_section(page, "4.1") && has_section(page, "A5"));
    assert!(!has_section(page, "4.2") && !has_section(page, "Page4"));
}
