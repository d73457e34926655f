//! A Markdown file whose tables are replaced: what stands between its marks.
//!
//! ```text
//! <!-- bench:begin -->
//! … replaced …
//! <!-- bench:end -->
//! ```

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};

use super::Report;
use crate::exit::{Failure, OrExit as _};
use crate::whole_file::write_whole;

const BEGIN: &str = "<!-- bench:begin -->";
const END: &str = "<!-- bench:end -->";

/// A file that has the marks.
#[derive(Debug)]
pub(in crate::commands::bench) struct Page {
    path: PathBuf,
    before: String,
    after: String,
}

impl Page {
    /// Reads it.
    pub(in crate::commands::bench) fn read(path: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))
            .or_environment()?;
        let split = text.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
        let missing = || anyhow!("{} has no marks {BEGIN} and {END}", path.display());
        let (before, after) = split.ok_or_else(|| Failure::usage(missing()))?;
        Ok(Self { path: path.to_owned(), before: before.to_owned(), after: after.to_owned() })
    }

    /// Writes it with the tables of `report`.
    pub(in crate::commands::bench) fn write(&self, report: &Report) -> Result<(), Failure> {
        let text = self.with(&report.markdown());
        write_whole(&self.path, |out| out.write_all(text.as_bytes()))
    }

    fn with(&self, tables: &str) -> String {
        let Self { path: _, before, after } = self;
        format!("{before}{BEGIN}\n\n{}\n\n{END}{after}", tables.trim_end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::ExitCode;

    #[test]
    fn what_stands_between_the_marks_is_replaced_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("page.md");
        std::fs::write(&path, format!("before\n{BEGIN}\nold\n{END}\nafter\n")).unwrap();
        let page = Page::read(&path).unwrap();
        assert_eq!(page.with("new\n"), format!("before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"));
    }

    #[test]
    fn a_page_without_marks_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("page.md");
        assert_eq!(Page::read(&path).unwrap_err().code, ExitCode::Environment);
        for text in ["", BEGIN, "<!-- bench:end --> <!-- bench:begin -->"] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(Page::read(&path).unwrap_err().code, ExitCode::Usage, "{text}");
        }
    }
}
