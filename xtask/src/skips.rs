//! Tests that could not do their work print `skipped: REASON` and pass. Here these lines are found again, so that no
//! run looks complete that was not.

use std::collections::BTreeMap;

/// Reasons, each with the tests that gave it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Skips(BTreeMap<String, Vec<String>>);

const MARK: &str = "skipped: ";

impl Skips {
    /// Reads the report that nextest writes in JUnit's format, with the output of passing tests in it.
    ///
    /// Only what is needed of the format is read: nextest writes one `<testcase name="…" classname="…"` for each test,
    /// and the test's output between it and the next, with `&`, `<` and `>` escaped.
    pub(crate) fn in_junit(report: &str) -> Self {
        let mut skips = Self::default();
        for case in report.split("<testcase ").skip(1) {
            let test = ["classname", "name"].map(|name| attribute(case, name).unwrap_or("?")).join(" ");
            for line in case.lines() {
                // The first line of an output follows its tag without a line break.
                let line = line.rsplit_once("<system-out>").map_or(line, |(_, line)| line);
                let line = line.rsplit_once("<system-err>").map_or(line, |(_, line)| line);
                skips.see(line.split("</system-").next().unwrap_or_default(), || test.clone());
            }
        }
        skips
    }

    /// Takes one line of a test's output.
    pub(crate) fn see(&mut self, line: &str, test: impl FnOnce() -> String) {
        // The harness may have begun the line: `test NAME ... skipped: REASON`.
        let line = line.trim();
        let line =
            line.split_once(" ... ").filter(|(test, _)| test.starts_with("test ")).map_or(line, |(_, rest)| rest);
        if let Some(reason) = line.strip_prefix(MARK) {
            let reason = reason.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&");
            let tests = self.0.entry(reason).or_default();
            let test = test();
            if !tests.contains(&test) {
                tests.push(test);
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One block of lines for people.
    pub(crate) fn report(&self) -> String {
        let mut text = String::from("Skipped, at least in part:\n");
        for (reason, tests) in &self.0 {
            let plural = if tests.len() == 1 { "" } else { "s" };
            text.push_str(&format!("  {} test{plural}: {reason}\n", tests.len()));
            for test in tests {
                text.push_str(&format!("      {test}\n"));
            }
        }
        text
    }
}

fn attribute<'a>(element: &'a str, name: &str) -> Option<&'a str> {
    let head = element.split('>').next()?;
    let start = head.find(&format!(" {name}=\"")).map(|at| at + name.len() + 3);
    let start = start.or_else(|| head.starts_with(&format!("{name}=\"")).then_some(name.len() + 2))?;
    head.get(start..)?.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shortened from a real report.
    const REPORT: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="nextest-run" tests="3">
    <testsuite name="vmferry-qmp::qemu" tests="2">
        <testcase name="our_client_controls_every_release" classname="vmferry-qmp::qemu" time="0.1">
            <system-out>
running 1 test
skipped: there is no &lt;QEMU&gt; &amp; no mirror
skipped: the other
test our_client_controls_every_release ... ok
</system-out>
            <system-err>skipped: the other</system-err>
        </testcase>
        <testcase name="speaks" classname="vmferry-qmp::qemu" time="0.1">
            <system-out>nothing is skipped: here</system-out>
        </testcase>
        <testcase name="third" classname="vmferry-qmp::qemu" time="0.1">
            <system-out>test third ... skipped: the other</system-out>
        </testcase>
    </testsuite>
</testsuites>"#;

    #[test]
    fn reasons_are_found_with_their_tests() {
        let skips = Skips::in_junit(REPORT);
        let reasons: Vec<_> = skips.0.iter().map(|(reason, tests)| (reason.as_str(), tests.len())).collect();
        assert_eq!(reasons, [("the other", 2), ("there is no <QEMU> & no mirror", 1)]);
        assert!(
            skips.report().contains("2 tests: the other\n      vmferry-qmp::qemu our_client_controls_every_release\n")
        );
    }

    #[test]
    fn a_run_in_which_everything_ran_has_none() {
        assert!(Skips::in_junit(&REPORT.replace("skipped: ", "checked: ")).is_empty());
    }
}
