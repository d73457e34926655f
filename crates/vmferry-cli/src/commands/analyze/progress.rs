//! How far a long stream is read: a bar on a terminal, or a count if nobody knows how long it is.

use indicatif::{ProgressBar, ProgressStyle};
use vmferry_inspect::Progress;

use crate::output::Output;

/// Wiped when dropped.
pub(crate) struct Bar(Option<ProgressBar>);

impl Bar {
    pub(crate) fn new(output: Output) -> Self {
        Self(output.wants_bars().then(|| {
            let bar = ProgressBar::no_length();
            styled(&bar, "{spinner} {binary_bytes} read, {binary_bytes_per_sec}");
            bar
        }))
    }
}

fn styled(bar: &ProgressBar, template: &str) {
    // Templates are constants that indicatif knows; should it not, the bar has its default look.
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
}

impl Progress for Bar {
    fn read(&mut self, bytes: u64, total: Option<u64>) {
        let Some(bar) = &self.0 else { return };
        if let (None, Some(total)) = (bar.length(), total) {
            bar.set_length(total);
            styled(bar, "{wide_bar} {binary_bytes} of {binary_total_bytes}, {eta}");
        }
        bar.set_position(bytes);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
