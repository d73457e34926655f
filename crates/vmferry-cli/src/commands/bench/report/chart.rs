//! The chart `bench.svg`: each measurement a panel, each kind a strip with a dot for every round and a bar at the
//! median; limits are dashed lines through all strips of their panel.
//!
//! No script; colours follow the reader's light or dark preference. Axes begin at 0.

use std::fmt::Write as _;

use super::Report;
use crate::commands::bench::results::{Ended, Measured, Role, Row, Verdict};

const WIDTH: f64 = 960.0;
/// Where strips begin and end.
const LEFT: f64 = 270.0;
const RIGHT: f64 = 760.0;
/// Heights of a strip, of a panel's title, of its foot with the axis and of the page's head.
const STRIP: f64 = 26.0;
const TITLE: f64 = 44.0;
const FOOT: f64 = 34.0;
const HEAD: f64 = 74.0;
/// Steps of an axis, about.
const STEPS: f64 = 5.0;

const STYLE: &str = "\
svg { background: #ffffff; color: #1c2733; font: 13px system-ui, sans-serif; }
text { fill: currentColor; }
.title { font-size: 15px; font-weight: 600; }
.small { font-size: 11px; opacity: .75; }
.axis { stroke: currentColor; opacity: .2; }
.ours { fill: #0b6bcb; } .peer { fill: #c2570c; } .limit { fill: #5b6b7a; }
.bar { opacity: .25; }
.bound { stroke: #5b6b7a; stroke-dasharray: 5 4; }
.met { fill: #1a7f37; } .missed { fill: #b42318; }
@media (prefers-color-scheme: dark) {
  svg { background: #10161d; color: #dfe7ef; }
  .ours { fill: #5aa9f7; } .peer { fill: #f29a5c; } .limit { fill: #93a3b3; }
  .bound { stroke: #93a3b3; }
  .met { fill: #4ac26b; } .missed { fill: #ff7b72; }
}
";

/// A document under construction.
struct Chart(String);

impl Chart {
    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "{text}");
    }

    fn text(&mut self, x: f64, y: f64, class: &str, anchor: &str, text: &str) {
        let text = escaped(text);
        self.line(format_args!(r#"<text x="{x:.1}" y="{y:.1}" class="{class}" text-anchor="{anchor}">{text}</text>"#));
    }
}

impl Report {
    /// The document.
    pub(in crate::commands::bench) fn chart(&self) -> String {
        let panels: Vec<&Measured> = self
            .ended
            .iter()
            .filter_map(|ended| if let Ended::Measured(measured) = ended { Some(measured) } else { None })
            .collect();
        let height = HEAD + panels.iter().map(|measured| panel_height(measured)).sum::<f64>();
        let mut chart = Chart(String::new());
        chart.line(format_args!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:.0} {height:.0}" role="img">"#
        ));
        chart.line(format_args!("<title>{}</title>", escaped(&format!("vmferry bench, {}", self.peer_text()))));
        chart.line(format_args!("<style>\n{STYLE}</style>"));
        chart.text(16.0, 24.0, "title", "start", &format!("vmferry bench, {}", self.peer_text()));
        chart.text(16.0, 42.0, "small", "start", &self.host.text());
        let about =
            format!("{} rounds, each a dot; bars end at the median; dashed: what the machine can do.", self.pairs);
        chart.text(16.0, 57.0, "small", "start", &about);
        let mut y = HEAD;
        for measured in panels {
            panel(&mut chart, measured, y);
            y += panel_height(measured);
        }
        chart.line(format_args!("</svg>"));
        chart.0
    }
}

#[expect(clippy::cast_precision_loss, reason = "a few strips")]
fn panel_height(measured: &Measured) -> f64 {
    TITLE + STRIP * measured.rows.len() as f64 + FOOT
}

fn panel(chart: &mut Chart, measured: &Measured, top: f64) {
    chart.text(16.0, top + 18.0, "title", "start", &format!("{}: {}", measured.name, measured.title));
    let better = if measured.unit.more_is_better { "more is better" } else { "less is better" };
    let mut x = 16.0;
    chart.text(x, top + 34.0, "small", "start", &format!("{}, {better}", measured.unit.name));
    x = LEFT;
    for target in &measured.targets {
        let verdict = measured.verdict(target);
        let said = match &verdict {
            Verdict::Met(times) | Verdict::Missed(times) => {
                format!("{}: {} ({:.2} times)", target.what, verdict.name(), times.median())
            }
            Verdict::Open => format!("{}: {}", target.what, verdict.name()),
        };
        chart.text(x, top + 34.0, &format!("small {}", verdict.name()), "start", &said);
        #[expect(clippy::cast_precision_loss, reason = "a short text")]
        let width = said.chars().count() as f64 * 5.8 + 18.0;
        x += width;
    }
    let most = measured.rows.iter().flat_map(|row| &row.samples.0).copied().filter(|most| most.is_finite());
    let axis = Axis::to(most.fold(0.0, f64::max));
    let (first, mut y) = (top + TITLE, top + TITLE);
    #[expect(clippy::cast_precision_loss, reason = "a few strips")]
    let last = first + STRIP * measured.rows.len() as f64;
    axis.draw(chart, first, last, measured.unit.digits.min(2));
    let is_paired = measured.rows.iter().any(|row| row.role == Role::Ours);
    for row in &measured.rows {
        let median = row.samples.median();
        if is_paired && row.role == Role::Limit && median.is_finite() {
            let x = axis.at(median);
            chart.line(format_args!(r#"<line class="bound" x1="{x:.1}" x2="{x:.1}" y1="{first:.1}" y2="{last:.1}"/>"#));
        }
        strip(chart, measured, row, &axis, y);
        y += STRIP;
    }
}

fn strip(chart: &mut Chart, measured: &Measured, row: &Row, axis: &Axis, top: f64) {
    let class = match row.role {
        Role::Ours => "ours",
        Role::Peer => "peer",
        Role::Limit => "limit",
    };
    let middle = top + STRIP / 2.0;
    chart.text(LEFT - 10.0, middle + 4.5, "", "end", &row.name);
    let median = row.samples.median();
    if median.is_finite() {
        let (y, width) = (top + 4.0, (axis.at(median) - LEFT).max(0.5));
        let height = STRIP - 8.0;
        chart.line(format_args!(
            r#"<rect class="bar {class}" x="{LEFT:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}"/>"#
        ));
        let x = axis.at(median) - 1.0;
        chart.line(format_args!(r#"<rect class="{class}" x="{x:.1}" y="{y:.1}" width="2" height="{height:.1}"/>"#));
    }
    for figure in row.samples.0.iter().filter(|figure| figure.is_finite()) {
        let x = axis.at(*figure);
        chart.line(format_args!(r#"<circle class="{class}" cx="{x:.1}" cy="{middle:.1}" r="3.2" opacity=".7"/>"#));
    }
    let said = match &row.failed {
        Some(_) if row.samples.0.is_empty() => "failed".to_owned(),
        Some(_) => format!("{} then failed", row.samples.text(measured.unit.digits)),
        None => row.samples.text(measured.unit.digits),
    };
    chart.text(RIGHT + 14.0, middle + 4.5, "", "start", &said);
}

/// From 0 to a round number.
struct Axis {
    end: f64,
    step: f64,
}

impl Axis {
    fn to(most: f64) -> Self {
        let most = if most > 0.0 { most } else { 1.0 };
        let rough = most / STEPS;
        let power = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|nice| nice * power).find(|step| *step >= rough);
        let step = step.unwrap_or(rough);
        Self { end: (most / step).ceil() * step, step }
    }

    fn at(&self, figure: f64) -> f64 {
        LEFT + (RIGHT - LEFT) * (figure / self.end).clamp(0.0, 1.0)
    }

    fn draw(&self, chart: &mut Chart, first: f64, last: f64, digits: usize) {
        let mut figure = 0.0;
        // Half a step, for what adding up leaves.
        while figure <= self.end + self.step / 2.0 {
            let x = self.at(figure);
            chart.line(format_args!(r#"<line class="axis" x1="{x:.1}" x2="{x:.1}" y1="{first:.1}" y2="{last:.1}"/>"#));
            chart.text(x, last + 14.0, "small", "middle", &format!("{figure:.digits$}"));
            figure += self.step;
        }
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // Not allowed in XML at all.
            c if c.is_control() => out.push(char::REPLACEMENT_CHARACTER),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_ends_at_a_round_number_that_is_enough() {
        for (most, end, step) in
            [(2.41, 2.5, 0.5), (3.7, 4.0, 1.0), (0.37, 0.4, 0.1), (950.0, 1000.0, 200.0), (0.0, 1.0, 0.2)]
        {
            let axis = Axis::to(most);
            assert!(
                (axis.end - end).abs() < 1e-9 && (axis.step - step).abs() < 1e-9,
                "{most}: {} {}",
                axis.end,
                axis.step
            );
        }
    }

    #[test]
    fn what_others_say_cannot_leave_its_element() {
        assert_eq!(escaped("<a b=\"c\">&\u{1b}[1m"), "&lt;a b=&quot;c&quot;&gt;&amp;\u{fffd}[1m");
    }
}
