//! The page of rules has each of them, and each recipe leads to a heading of the guide.

use std::collections::BTreeSet;
use std::path::Path;

use vmferry_inspect::check::stream::StreamRule;
use vmferry_inspect::check::{GUIDE, Rule};

fn page(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)).unwrap()
}

/// The headings of a page below its title.
fn headings(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| line.strip_prefix("## "))
}

/// The anchor that a heading gets where pages are shown: lower case, blanks as hyphens, and no other marks.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

#[test]
fn every_rule_has_its_paragraph_and_no_paragraph_is_of_none() {
    let text = page("docs/check-rules.md");
    let told: BTreeSet<&str> =
        headings(&text).filter_map(|heading| heading.strip_prefix('`')?.strip_suffix('`')).collect();
    let rules: BTreeSet<&str> = Rule::ALL.iter().map(|rule| rule.name()).collect();
    assert_eq!(told, rules);
    assert_eq!(rules.len(), Rule::ALL.len(), "names are unique");
    for rule in Rule::ALL {
        assert_eq!(Rule::named(rule.name()), Some(*rule));
    }
}

#[test]
fn every_rule_of_streams_has_its_paragraph() {
    let text = page("docs/check-stream.md");
    let told: BTreeSet<&str> =
        headings(&text).filter_map(|heading| heading.strip_prefix('`')?.strip_suffix('`')).collect();
    let rules: BTreeSet<&str> = StreamRule::ALL.iter().map(|rule| rule.name()).collect();
    assert_eq!(told.iter().filter(|name| name.starts_with("stream-")).copied().collect::<BTreeSet<_>>(), rules);
    assert_eq!(rules.len(), StreamRule::ALL.len(), "names are unique");
    for rule in StreamRule::ALL {
        assert_eq!(StreamRule::named(rule.name()), Some(*rule));
        assert!(!rule.recipe().is_empty());
    }
}

#[test]
fn reports_explain_a_rule_as_its_page_does() {
    let text = page("docs/check-rules.md");
    for rule in Rule::ALL {
        let (_, section) = text.split_once(&format!("\n## `{rule}`\n\n")).unwrap();
        let section = section.split("\n## ").next().unwrap();
        let paragraphs: Vec<String> =
            section.trim().split("\n\n").map(|part| part.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        let explanation = rule.explanation();
        let told = [explanation.text.to_owned(), format!("Example: {}", explanation.example)];
        assert_eq!(paragraphs[1..], told, "{rule}");
    }
}

#[test]
fn every_recipe_is_in_the_guide() {
    let guide = page(GUIDE);
    let anchors: Vec<String> = headings(&guide).map(anchor).collect();
    for rule in Rule::ALL {
        let recipe = rule.recipe();
        assert!(anchors.iter().any(|anchor| anchor == recipe.anchor), "{rule}: {}#{}", GUIDE, recipe.anchor);
    }
}
