//! The lines that the guest prints.
//!
//! ```text
//! ferry start=0x80200000 end=0x90000000
//! ferry pass=12 pages=65024 checked=715264 bad=0 ticks=345 rng=12 gap_us=1021 max_gap_us=30444 max_gap_at_us=1764000000123456 time_us=1764000001123456
//! ferry BAD page=0x80201000 pass=12 expected=0xb found=0xa
//! ferry TRAP cause=0x2 pc=0x80000123
//! ```

/// One line a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GuestReport {
    /// The pass that is done, from 1.
    pub pass: u64,
    /// Pages of a pass.
    pub pages: u64,
    /// Pages checked so far (the first pass checks none).
    pub checked: u64,
    /// Bad pages so far.
    pub bad: u64,
    /// Timer ticks so far, one a millisecond.
    pub ticks: u64,
    /// Entropy requests completed so far.
    pub rng: u64,
    /// Longest distance between two time stamps since the last line, in microseconds.
    pub gap_us: u64,
    /// Longest distance since the start, in microseconds.
    pub max_gap_us: u64,
    /// The stamp that ended it, in microseconds since the epoch.
    pub max_gap_at_us: u64,
    /// Last time stamp, in microseconds since the epoch.
    pub time_us: u64,
}

/// A page that did not hold what the pass before had left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadPage {
    /// Address of the page.
    pub page: u64,
    /// The pass that found it.
    pub pass: u64,
    /// What its first wrong word should have been.
    pub expected: u64,
    /// What it was.
    pub found: u64,
}

/// The report in a line of the guest; `None` for any other line.
#[must_use]
pub fn parse_line(line: &str) -> Option<GuestReport> {
    let mut fields = line.trim_end().strip_prefix("ferry ")?.split(' ');
    let mut field = |name: &str| number(fields.next()?, name);
    let report = GuestReport {
        pass: field("pass")?,
        pages: field("pages")?,
        checked: field("checked")?,
        bad: field("bad")?,
        ticks: field("ticks")?,
        rng: field("rng")?,
        gap_us: field("gap_us")?,
        max_gap_us: field("max_gap_us")?,
        max_gap_at_us: field("max_gap_at_us")?,
        time_us: field("time_us")?,
    };
    fields.next().is_none().then_some(report)
}

/// The bad page that a line of the guest tells of; `None` for any other line.
#[must_use]
pub fn parse_bad_page(line: &str) -> Option<BadPage> {
    let mut fields = line.trim_end().strip_prefix("ferry BAD ")?.split(' ');
    let mut field = |name: &str| number(fields.next()?, name);
    let bad =
        BadPage { page: field("page")?, pass: field("pass")?, expected: field("expected")?, found: field("found")? };
    fields.next().is_none().then_some(bad)
}

/// The number in `name=NUMBER`, decimal or with `0x`.
fn number(field: &str, name: &str) -> Option<u64> {
    let text = field.strip_prefix(name)?.strip_prefix('=')?;
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "ferry pass=12 pages=65024 checked=715264 bad=1 ticks=345 rng=12 gap_us=1021 max_gap_us=30444 max_gap_at_us=17 time_us=18";

    #[test]
    fn a_line_gives_its_numbers() {
        let report = parse_line(LINE).unwrap();
        assert_eq!((report.pass, report.pages, report.checked, report.bad), (12, 65024, 715_264, 1));
        assert_eq!((report.ticks, report.rng, report.gap_us, report.max_gap_us), (345, 12, 1021, 30444));
        assert_eq!((report.max_gap_at_us, report.time_us), (17, 18));
        assert_eq!(parse_line(&format!("{LINE}\r\n")), Some(report));
    }

    #[test]
    fn anything_else_is_no_report() {
        for line in ["", "ferry", "ferry start=0x1 end=0x2", &LINE[..LINE.len() - 10], &format!("{LINE} more=1")] {
            assert_eq!(parse_line(line), None, "{line}");
        }
    }

    #[test]
    fn a_bad_page_gives_its_numbers() {
        let bad = parse_bad_page("ferry BAD page=0x80201000 pass=3 expected=0x2 found=0xffffffffffffffff\n").unwrap();
        assert_eq!((bad.page, bad.pass, bad.expected, bad.found), (0x8020_1000, 3, 2, u64::MAX));
        assert_eq!(parse_bad_page(LINE), None);
    }
}
