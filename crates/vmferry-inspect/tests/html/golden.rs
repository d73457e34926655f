//! Pages that are committed, to be read in review.

use std::path::Path;

/// Holds a page, without its style, against the file in `tests/data`; `VMFERRY_BLESS=1` writes it anew.
pub(crate) fn hold(name: &str, html: &str) {
    let (head, rest) = html.split_once("<style>").unwrap();
    let (_, body) = rest.split_once("</style>").unwrap();
    let html = format!("{head}<style></style>{body}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
    if std::env::var_os("VMFERRY_BLESS").is_some() {
        std::fs::write(&path, &html).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(html, golden, "VMFERRY_BLESS=1 writes {} anew", path.display());
}
