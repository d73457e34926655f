//! Progress of a migration that is followed: a bar on a terminal, lines with `-v` elsewhere.

use indicatif::{ProgressBar, ProgressStyle};

use super::snapshot::Snapshot;
use crate::output::Output;

/// Shows one snapshot after the other; the bar is wiped when dropped.
#[derive(Debug)]
pub(in crate::commands) struct Progress {
    output: Output,
    bar: Option<ProgressBar>,
    /// Status and round of the last line.
    last: Option<(String, u64)>,
}

impl Progress {
    pub(in crate::commands) fn new(output: Output) -> Self {
        let bar = output.wants_bars().then(|| {
            // A constant that indicatif knows; should it not, the bar has its default look.
            let style = ProgressStyle::with_template("{wide_bar} {percent:>3}%\n{wide_msg}");
            // The length is not known before the machine tells it; with 0 the bar would show 100 %.
            ProgressBar::new(1).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Self { output, bar, last: None }
    }

    pub(in crate::commands) fn show(&mut self, snapshot: &Snapshot) {
        if let Some(bar) = &self.bar {
            bar.set_message(snapshot.line());
            if let Some((remaining, total)) = snapshot.remaining_of_total() {
                bar.set_length(total);
                bar.set_position(total.saturating_sub(remaining));
            }
            return;
        }
        // A line for each status and each round.
        let now = (snapshot.status().to_owned(), snapshot.round());
        if self.last.as_ref() != Some(&now) {
            self.output.detail(&snapshot.line());
            self.last = Some(now);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
