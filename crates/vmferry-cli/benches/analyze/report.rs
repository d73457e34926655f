//! Tables: on standard output, in a Markdown file between marks, and as JSON beside it.
//!
//! ```text
//! <!-- KEY:begin -->
//! … replaced …
//! <!-- KEY:end -->
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};

use crate::host;

/// One kind that was measured.
pub(crate) struct Row {
    pub(crate) name: String,
    /// As many as the head has columns behind the first.
    pub(crate) cells: Vec<String>,
    pub(crate) json: Value,
}

/// One table.
pub(crate) struct Section {
    /// Of its marks, and in the JSON document.
    pub(crate) key: &'static str,
    pub(crate) title: String,
    pub(crate) head: Vec<&'static str>,
    pub(crate) rows: Vec<Row>,
    pub(crate) pairs: usize,
}

/// What has been measured, and where it goes.
pub(crate) struct Report {
    markdown: Option<(PathBuf, String)>,
    document: Map<String, Value>,
}

impl Report {
    /// A report that replaces sections of the Markdown file at `path`, which has their marks.
    pub(crate) fn new(path: Option<&Path>) -> Result<Self> {
        let Some(path) = path else { return Ok(Self { markdown: None, document: Map::new() }) };
        let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        let document = match fs::read_to_string(path.with_extension("json")) {
            Ok(text) => serde_json::from_str(&text)?,
            Err(_) => Map::new(),
        };
        Ok(Self { markdown: Some((path.to_owned(), text)), document })
    }

    /// Prints a table, and keeps it for the files.
    pub(crate) fn add(&mut self, section: &Section) -> Result<()> {
        let table = table(section);
        println!("\n{table}");
        if let Some((_, text)) = &mut self.markdown {
            *text = replaced(text, section.key, &table)?;
        }
        let rows: Map<String, Value> = section.rows.iter().map(|row| (row.name.clone(), row.json.clone())).collect();
        let value = json!({
            "title": section.title, "machine": host::description(), "pairs": section.pairs, "kinds": rows
        });
        self.document.insert(section.key.to_owned(), value);
        Ok(())
    }

    /// Writes the files, if any.
    pub(crate) fn finish(self) -> Result<()> {
        if let Some((path, text)) = self.markdown {
            fs::write(&path, text)?;
            fs::write(path.with_extension("json"), format!("{:#}\n", Value::Object(self.document)))?;
        }
        Ok(())
    }
}

/// Figures are the median with the least and the most in brackets; ratios are taken round by round.
fn table(section: &Section) -> String {
    let line = |cells: Vec<&str>| format!("| {} |\n", cells.join(" | "));
    let mut text =
        format!("{}: median (least to most) of {} rounds. {}.\n\n", section.title, section.pairs, host::description());
    text.push_str(&line(section.head.clone()));
    text.push_str(&line(vec!["---"; section.head.len()]));
    for row in &section.rows {
        let mut cells = vec![row.name.as_str()];
        cells.extend(row.cells.iter().map(String::as_str));
        text.push_str(&line(cells));
    }
    text
}

fn replaced(text: &str, key: &str, table: &str) -> Result<String> {
    let (begin, end) = (format!("<!-- {key}:begin -->"), format!("<!-- {key}:end -->"));
    let missing = || format!("the file has no marks {begin} and {end}");
    let (before, rest) = text.split_once(&begin).with_context(missing)?;
    let (_, after) = rest.split_once(&end).with_context(missing)?;
    Ok(format!("{before}{begin}\n\n{table}\n{end}{after}"))
}
