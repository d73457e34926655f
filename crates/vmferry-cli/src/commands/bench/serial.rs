//! What the self-checking guest prints into a file.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use vmferry_vmm::guest::{GuestReport, parse_line};

use super::Bench;

/// Longest time for the lines that are waited for, of which each is a pass over memory.
const LINES_TIMEOUT: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(20);

/// All that was printed.
pub(super) fn read(path: &Path) -> Result<String> {
    Ok(String::from_utf8_lossy(&std::fs::read(path).context("a file of a serial port")?).into_owned())
}

/// The reports of whole lines.
pub(super) fn reports(text: &str) -> Vec<GuestReport> {
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().filter_map(parse_line).collect()
}

/// Waits until `read` gives as many reports.
pub(super) fn await_lines(
    bench: &Bench<'_>,
    lines: usize,
    read: impl Fn() -> Result<Vec<GuestReport>>,
) -> Result<Vec<GuestReport>> {
    let deadline = Instant::now() + LINES_TIMEOUT;
    loop {
        bench.check_interrupt()?;
        let found = read()?;
        if found.len() >= lines {
            return Ok(found);
        }
        if Instant::now() > deadline {
            bail!("the guest printed {} of {lines} lines within {} s", found.len(), LINES_TIMEOUT.as_secs());
        }
        thread::sleep(POLL);
    }
}
