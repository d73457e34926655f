//! A strict reader of what this project writes as HTML: it panics at whatever is not sound.
//!
//! | must hold | of |
//! |---|---|
//! | every element is closed, in order | all but `br` and `meta` |
//! | attributes are in double quotes, none twice | every tag |
//! | `<` and `>` stand for tags alone, `&` for the five references alone | texts and values |
//! | no script, no style but the one block, no handler, nothing that loads | the page |
//! | ids are unique, and links lead to them | the page |
//! | language, title, one `h1`, no level of headings skipped, a policy that forbids everything | the page |

use std::collections::{BTreeMap, HashSet};

/// An element that was opened.
#[derive(Debug)]
pub(crate) struct Element<'h> {
    pub(crate) tag: &'h str,
    pub(crate) attributes: BTreeMap<&'h str, &'h str>,
    /// Texts inside, without those of elements inside, as they are written.
    pub(crate) text: String,
}

const VOID: [&str; 2] = ["br", "meta"];

const KNOWN: [&str; 41] = [
    "a", "b", "body", "br", "code", "dd", "details", "div", "dl", "dt", "footer", "h1", "h2", "h3", "h4", "h5", "head",
    "html", "i", "li", "main", "meta", "nav", "ol", "p", "pre", "section", "small", "span", "style", "summary",
    "table", "tbody", "td", "th", "thead", "title", "tr", "ul", "abbr", "em",
];

const ATTRIBUTES: [&str; 17] = [
    "aria-hidden",
    "aria-label",
    "charset",
    "class",
    "content",
    "href",
    "http-equiv",
    "id",
    "lang",
    "name",
    "open",
    "role",
    "scope",
    "style",
    "tabindex",
    "title",
    "colspan",
];

/// Reads a page.
pub(crate) fn read(html: &str) -> Vec<Element<'_>> {
    let mut elements: Vec<Element<'_>> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    let mut rest = html.strip_prefix("<!DOCTYPE html>\n").expect("a document type first");
    while !rest.is_empty() {
        let (text, tag) = rest.split_once('<').unwrap_or((rest, ""));
        check_text(text);
        if let Some(element) = open.last().and_then(|at| elements.get_mut(*at)) {
            element.text.push_str(text);
        } else {
            assert!(text.trim().is_empty(), "text outside: {text:?}");
        }
        if tag.is_empty() {
            break;
        }
        let (inside, behind) = tag.split_once('>').expect("a tag ends");
        rest = behind;
        if let Some(closed) = inside.strip_prefix('/') {
            let at = open.pop().expect("an element to close");
            assert_eq!(elements[at].tag, closed, "closed in order");
            continue;
        }
        let element = start(inside);
        if element.tag == "style" {
            let (style, behind) = rest.split_once("</style>").expect("the style ends");
            check_style(style);
            rest = behind;
        } else if !VOID.contains(&element.tag) {
            open.push(elements.len());
        }
        elements.push(element);
    }
    assert!(open.is_empty(), "every element is closed");
    check_page(&elements);
    elements
}

fn start(inside: &str) -> Element<'_> {
    let (tag, mut rest) = inside.split_once(' ').unwrap_or((inside, ""));
    assert!(KNOWN.contains(&tag), "unknown element {tag:?}");
    let mut attributes = BTreeMap::new();
    while !rest.is_empty() {
        let (name, value) = rest.split_once("=\"").expect("a value in quotes");
        let (value, behind) = value.split_once('"').expect("a value ends");
        assert!(ATTRIBUTES.contains(&name), "unknown attribute {name:?} of {tag}");
        check_text(value);
        assert!(attributes.insert(name, value).is_none(), "{name} twice");
        rest = behind.strip_prefix(' ').unwrap_or(behind);
    }
    Element { tag, attributes, text: String::new() }
}

fn check_text(text: &str) {
    assert!(!text.contains('>'), "a bare > in {text:?}");
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "a control character in {text:?}");
    for (at, _) in text.match_indices('&') {
        let known = ["&amp;", "&lt;", "&gt;", "&quot;", "&#39;"];
        assert!(known.iter().any(|known| text[at..].starts_with(known)), "a bare & in {text:?}");
    }
}

fn check_style(style: &str) {
    for loads in ["@import", "url(", "http", "<", "expression"] {
        assert!(!style.contains(loads), "{loads} in the style");
    }
    assert!(style.contains("prefers-color-scheme: dark"));
}

fn check_page(elements: &[Element<'_>]) {
    let of = |tag: &str| elements.iter().filter(|element| element.tag == tag).collect::<Vec<_>>();
    assert_eq!((of("html").len(), of("body").len(), of("main").len(), of("style").len()), (1, 1, 1, 1));
    assert_eq!(of("html")[0].attributes["lang"], "en");
    assert!(of("title").len() == 1 && !of("title")[0].text.is_empty(), "a title");
    let is_policy =
        |meta: &&&Element<'_>| meta.attributes.get("http-equiv").is_some_and(|name| *name == "Content-Security-Policy");
    assert!(of("meta").iter().find(is_policy).unwrap().attributes["content"].starts_with("default-src &#39;none&#39;"));
    let mut level = 0;
    for element in elements {
        let Some(heading) = element.tag.strip_prefix('h').and_then(|level| level.parse::<u32>().ok()) else { continue };
        assert!(heading <= level + 1, "h{heading} behind h{level}");
        level = heading;
    }
    assert_eq!(of("h1").len(), 1);
    let mut ids = HashSet::new();
    for element in elements {
        if let Some(id) = element.attributes.get("id") {
            assert!(ids.insert(*id), "id {id:?} twice");
        }
    }
    for element in elements {
        if let Some(href) = element.attributes.get("href") {
            assert_eq!(element.tag, "a", "only links have targets");
            let id = href.strip_prefix('#').unwrap_or_else(|| panic!("a link to elsewhere: {href:?}"));
            assert!(ids.contains(id), "nothing at {href:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::read;

    const SOUND: &str = "<!DOCTYPE html>\n<html lang=\"en\"><head><meta http-equiv=\"Content-Security-Policy\" \
                         content=\"default-src &#39;none&#39;\"><title>t</title><style>@media (prefers-color-scheme: dark) {}\
                         </style></head><body><main><h1 id=\"a\">x</h1><a href=\"#a\">y</a></main></body></html>";

    #[test]
    fn what_is_not_sound_is_found() {
        assert_eq!(read(SOUND).len(), 9);
        for (from, to) in [
            ("<a", "<script>1</script><a"),
            ("</a>", ""),
            ("</a></main>", "</main></a>"),
            ("href=\"#a\"", "href=\"http://x\""),
            ("href=\"#a\"", "href=\"#b\""),
            ("href=\"#a\"", "href=\"#a\" onclick=\"1\""),
            ("href=\"#a\"", "href='#a'"),
            (">y<", ">&y<"),
            (">y<", ">\u{7}<"),
            (">y<", "><h3>y</h3><"),
            ("dark) {}", "dark) { background: url(x) }"),
            ("default-src", "default"),
        ] {
            let broken = SOUND.replacen(from, to, 1);
            assert_ne!(broken, SOUND, "{from}");
            assert!(std::panic::catch_unwind(|| read(&broken).len()).is_err(), "accepted: {to}");
        }
    }
}
