//! The tables: aligned for a terminal, or as Markdown.

use std::fmt::Write as _;

use super::Report;
use crate::commands::bench::results::{Ended, Measured, Role, Row, Target};

/// Lines of cells, the first one the head.
struct Table(Vec<Vec<String>>);

impl Table {
    /// With columns as wide as their widest cell.
    fn aligned(&self) -> String {
        let columns = self.0.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.0.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for line in &self.0 {
            let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {}", cells.collect::<Vec<_>>().join("  ").trim_end());
        }
        text
    }

    fn markdown(&self) -> String {
        let line = |cells: &[String]| {
            let cells: Vec<_> = cells.iter().map(|cell| cell.replace('|', "\\|").replace(['\n', '\r'], " ")).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let mut text = String::new();
        for (index, cells) in self.0.iter().enumerate() {
            text.push_str(&line(cells));
            if index == 0 {
                text.push_str(&line(&vec!["---".to_owned(); cells.len()]));
            }
        }
        text
    }
}

impl Report {
    /// For the terminal.
    pub(in crate::commands::bench) fn text(&self) -> String {
        let mut text =
            format!("\n{}\n{}; median (least to most) of {} rounds\n", self.host.text(), self.peer_text(), self.pairs);
        for ended in &self.ended {
            match ended {
                Ended::Measured(measured) => {
                    let _ = writeln!(text, "\n{}: {}", measured.name, measured.title);
                    text.push_str(&table(measured).aligned());
                    for line in failures(measured).chain(verdicts(measured)) {
                        let _ = writeln!(text, "  {line}");
                    }
                }
                other => {
                    let _ = writeln!(text, "\n{}", not_measured(other));
                }
            }
        }
        text
    }

    /// The page `bench.md`, which is also what a page with marks gets.
    pub(in crate::commands::bench) fn markdown(&self) -> String {
        let command = self.command.replace('`', "'");
        let mut text = format!(
            "`{command}`, {}. Median (least to most) of {} rounds. {}.\n\n",
            self.peer_text(),
            self.pairs,
            self.host.text()
        );
        let summary = self.summary();
        if summary.0.len() > 1 {
            text.push_str(&summary.markdown());
        }
        for ended in &self.ended {
            match ended {
                Ended::Measured(measured) => {
                    let _ = write!(text, "\n### {}\n\n{}.", measured.name, measured.title);
                    for note in &measured.notes {
                        let _ = write!(text, " {note}");
                    }
                    let _ = write!(text, "\n\n{}", table(measured).markdown());
                    for line in failures(measured) {
                        let _ = write!(text, "\n{line}\n");
                    }
                }
                other => {
                    let _ = write!(text, "\n{}\n", not_measured(other));
                }
            }
        }
        text
    }

    /// A line for each target.
    fn summary(&self) -> Table {
        let head = ["", "vmferry", "QEMU", "vmferry is times as good", "target", "verdict"];
        let mut lines = vec![head.map(str::to_owned).to_vec()];
        for ended in &self.ended {
            if let Ended::Measured(measured) = ended {
                lines.extend(measured.targets.iter().map(|target| summary_line(measured, target)));
            }
        }
        Table(lines)
    }
}

fn summary_line(measured: &Measured, target: &Target) -> Vec<String> {
    let of = |role: Role| {
        let row = measured.rows.iter().find(|row| row.role == role);
        row.map_or_else(|| "–".to_owned(), |row| figure(measured, row))
    };
    let compared = measured.rows.iter().find(|row| row.role == target.role);
    let times = compared.map_or_else(|| "–".to_owned(), |row| measured.times_as_good(row).text(2));
    vec![
        measured.name.to_owned(),
        of(Role::Ours),
        of(Role::Peer),
        times,
        target.what.to_owned(),
        measured.verdict(target).name().to_owned(),
    ]
}

/// The median with its unit, or that it failed.
fn figure(measured: &Measured, row: &Row) -> String {
    if row.samples.0.is_empty() {
        return "failed".to_owned();
    }
    format!("{:.*} {}", measured.unit.digits, row.samples.median(), measured.unit.name)
}

fn table(measured: &Measured) -> Table {
    let is_paired = measured.rows.iter().any(|row| row.role == Role::Ours);
    let mut head = vec![String::new(), measured.unit.name.to_owned()];
    head.extend(measured.also.iter().map(|also| also.name.to_owned()));
    if is_paired {
        head.push(
            if measured.unit.more_is_better { "vmferry is times as fast" } else { "times as long as vmferry" }
                .to_owned(),
        );
    }
    let mut lines = vec![head];
    for row in &measured.rows {
        let mut cells = vec![row.name.clone()];
        cells.push(if row.failed.is_some() && row.samples.0.is_empty() {
            "failed".to_owned()
        } else {
            row.samples.text(measured.unit.digits)
        });
        for (index, also) in measured.also.iter().enumerate() {
            cells.push(row.also.get(index).map_or_else(|| "–".to_owned(), |samples| samples.text(also.digits)));
        }
        if is_paired {
            cells.push(if row.role == Role::Ours { "–".to_owned() } else { measured.times_as_good(row).text(2) });
        }
        lines.push(cells);
    }
    Table(lines)
}

fn failures(measured: &Measured) -> impl Iterator<Item = String> {
    measured.rows.iter().filter_map(|row| {
        let why = row.failed.as_ref()?;
        Some(format!("{} failed after {} rounds: {why}", row.name, row.samples.0.len()))
    })
}

fn verdicts(measured: &Measured) -> impl Iterator<Item = String> {
    measured.targets.iter().map(|target| format!("target: {}: {}", target.what, measured.verdict(target).text()))
}

fn not_measured(ended: &Ended) -> String {
    match ended {
        Ended::Measured(measured) => format!("{}: measured", measured.name),
        Ended::LeftOut { name, why } => format!("{name}: left out: {why}"),
        Ended::Failed { name, why } => format!("{name}: failed: {why}"),
    }
}
