//! What a change of a description means for migrations: two texts of `golden`, line by line.
//!
//! | change | what it means |
//! |---|---|
//! | a field inserted, removed, moved or of another form | breaks both directions |
//! | a field with `since` the new version | older streams load; older releases refuse what this one sends |
//! | a field with `when` or `gate` | there if both sides' tests say so |
//! | a subsection added | older releases refuse what has it |
//! | `version` raised, lowered; `loads from` raised, lowered | who refuses whom |
//!
//! Source: `docs/spec/compat.md` sections 6 and 8.

/// Where the ways to change a device's state are described.
const RECIPES: &str = "docs/guide/changing-device-state.md";

/// A line with the lines that are indented below it.
#[derive(Debug, PartialEq)]
struct Node<'t> {
    text: &'t str,
    inner: Vec<Node<'t>>,
}

impl<'t> Node<'t> {
    /// What stays the same when the form changes: the name of a field, image or subsection.
    fn key(&self) -> &'t str {
        let end = if self.is_field() { ":" } else { "," };
        self.text.split_once(end).map_or(self.text, |(key, _)| key)
    }

    fn is_field(&self) -> bool {
        self.text.split_once(": ").is_some_and(|(name, _)| !name.contains(','))
    }

    fn is_subsection(&self) -> bool {
        self.text.starts_with("subsection ")
    }

    /// A value that stands in the line behind a word.
    fn value(&self, word: &str) -> Option<&'t str> {
        let (_, rest) = self.text.split_once(&format!(", {word} "))?;
        rest.split(',').next()
    }
}

/// What changed from one text to another, and what that means. Empty if nothing did.
pub(super) fn changes(committed: &str, now: &str) -> Vec<String> {
    let (committed, now) = (parse(&mut committed.lines().peekable(), 0), parse(&mut now.lines().peekable(), 0));
    let mut changes = Vec::new();
    compare(&committed, &now, "", &mut changes);
    if !changes.is_empty() {
        changes.push(format!("recipes: {RECIPES}"));
    }
    changes
}

fn parse<'t>(lines: &mut std::iter::Peekable<std::str::Lines<'t>>, depth: usize) -> Vec<Node<'t>> {
    let depth_of = |line: &str| line.len() - line.trim_start().len();
    let mut nodes = Vec::new();
    while let Some(line) = lines.next_if(|line| depth_of(line) >= depth) {
        nodes.push(Node { text: line.trim_start(), inner: parse(lines, depth_of(line) + 1) });
    }
    nodes
}

/// Compares the lines below one line, which are in an order that is that of the wire.
fn compare(committed: &[Node<'_>], now: &[Node<'_>], place: &str, changes: &mut Vec<String>) {
    let kept = longest_common(committed, now);
    let is_kept = |index: usize, side: fn(&(usize, usize)) -> usize| kept.iter().any(|pair| side(pair) == index);
    let at = |node: &Node<'_>| if place.is_empty() { node.key().to_owned() } else { format!("{place}.{}", node.key()) };
    for (index, node) in committed.iter().enumerate().filter(|(index, _)| !is_kept(*index, |pair| pair.0)) {
        let _ = index;
        if now.iter().any(|other| other.key() == node.key()) {
            changes.push(format!("{}: moved: breaks both directions; leave it where it was", at(node)));
        } else {
            changes.push(format!("{}: {}", at(node), removed(node)));
        }
    }
    for (index, node) in now.iter().enumerate().filter(|(index, _)| !is_kept(*index, |pair| pair.1)) {
        if committed.iter().any(|other| other.key() == node.key()) {
            continue;
        }
        let behind = now.iter().enumerate().skip(index + 1);
        let mut behind = behind.filter(|(index, other)| other.is_field() && is_kept(*index, |pair| pair.1));
        let before = behind.next().map(|(_, other)| other.key());
        changes.push(format!("{}: {}", at(node), added(node, before)));
    }
    for (from, to) in &kept {
        let (Some(from), Some(to)) = (committed.get(*from), now.get(*to)) else { continue };
        if from.text != to.text {
            changes.push(format!("{}: `{}` became `{}`: {}", at(to), from.text, to.text, changed(from, to)));
        }
        compare(&from.inner, &to.inner, &at(to), changes);
    }
}

fn added(node: &Node<'_>, before: Option<&str>) -> String {
    if node.is_subsection() {
        let gate =
            if node.text.contains(", gate ") { "" } else { "; give it a gate that older machine types turn off" };
        return format!("new subsection: older releases refuse a stream that has it{gate}");
    }
    let place = before.map_or_else(|| "appended".to_owned(), |before| format!("inserted before {before}"));
    let meaning = if node.text.contains("check ") {
        "what was accepted may be refused"
    } else if node.value("when").is_some() || node.value("gate").is_some() {
        "breaks migration with a release that lacks it wherever its test or property says that it is there: older machine types must turn it off"
    } else if node.value("since").is_some() {
        "older streams load; older releases refuse what this one sends, whatever the machine type"
    } else {
        "breaks both directions; put it into a subsection"
    };
    format!("{place}: {meaning}")
}

fn removed(node: &Node<'_>) -> String {
    if node.is_subsection() {
        "removed: streams of older releases that have it are refused; keep reading it".to_owned()
    } else if node.text.contains(": check ") {
        "removed: what was refused is accepted".to_owned()
    } else {
        "removed: breaks both directions; keep its octets with `unused = n`".to_owned()
    }
}

fn changed(from: &Node<'_>, to: &Node<'_>) -> String {
    let number = |node: &Node<'_>, word: &str| node.value(word).and_then(|value| value.parse::<u64>().ok());
    let mut meanings = Vec::new();
    let mut compare = |word: &str, rises: &str, falls: &str| match (number(from, word), number(to, word)) {
        (Some(from), Some(to)) if from < to => meanings.push(rises.to_owned()),
        (Some(from), Some(to)) if from > to => meanings.push(falls.to_owned()),
        _ => {}
    };
    compare(
        "version",
        "older releases refuse what this one sends, whatever the machine type",
        "this release refuses what releases with the higher version send",
    );
    compare("loads from", "older streams that loaded are refused", "more older streams are accepted");
    compare(
        "up to",
        "older releases refuse longer ones",
        "this release refuses longer ones, which older releases may send",
    );
    let cut = |node: &Node<'_>| node.text.split(", up to ").next().map(str::to_owned);
    let is_same_form = from.is_field() && to.is_field() && cut(from) == cut(to);
    if from.is_field() && !is_same_form {
        meanings.push("breaks both directions; keep the old field, and put the new form into a subsection".to_owned());
    }
    if from.value("gate") != to.value("gate") && !from.is_field() {
        meanings.push(
            "another property decides whether it is sent: look at what each machine type makes of both".to_owned(),
        );
    }
    if meanings.is_empty() {
        meanings.push("what a stream of the other form becomes is to be looked at".to_owned());
    }
    meanings.join("; ")
}

/// Positions on both sides of the longest row of lines with the same keys.
fn longest_common(a: &[Node<'_>], b: &[Node<'_>]) -> Vec<(usize, usize)> {
    let width = b.len() + 1;
    let mut lengths = vec![0_usize; (a.len() + 1) * width];
    let at = |lengths: &[usize], i: usize, j: usize| lengths.get(i * width + j).copied().unwrap_or(0);
    for (i, left) in a.iter().enumerate().rev() {
        for (j, right) in b.iter().enumerate().rev() {
            let length = if left.key() == right.key() {
                1 + at(&lengths, i + 1, j + 1)
            } else {
                at(&lengths, i + 1, j).max(at(&lengths, i, j + 1))
            };
            if let Some(place) = lengths.get_mut(i * width + j) {
                *place = length;
            }
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut pairs = Vec::new();
    while let (Some(left), Some(right)) = (a.get(i), b.get(j)) {
        if left.key() == right.key() {
            pairs.push((i, j));
            (i, j) = (i + 1, j + 1);
        } else if at(&lengths, i + 1, j) >= at(&lengths, i, j + 1) {
            i += 1;
        } else {
            j += 1;
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMITTED: &str = "uart, version 2, loads from 1
  control: uint8
  divider: uint16, since 2
  queue: uint32 * control, up to 6
  part: struct
    part, version 1, loads from 1
      value: uint8
  subsection uart/fifo
    uart/fifo, version 1, loads from 1
      used: uint8
";

    /// The changes from `COMMITTED` to what it is with `from` replaced.
    fn change(from: &str, to: &str) -> String {
        assert_eq!(COMMITTED.matches(from).count(), 1, "{from}");
        let changes = changes(COMMITTED, &COMMITTED.replace(from, to));
        let (recipes, changes) = changes.split_last().expect("something changed");
        assert!(recipes.starts_with("recipes: "));
        changes.join("\n")
    }

    #[test]
    fn nothing_changed() {
        assert_eq!(changes(COMMITTED, COMMITTED), [""; 0]);
    }

    #[test]
    fn a_field_comes_goes_and_moves() {
        let came = change("  divider", "  status: uint8\n  divider");
        assert_eq!(came, "uart.status: inserted before divider: breaks both directions; put it into a subsection");
        let came = change("  part: ", "  status: uint8, since 3\n  part: ");
        assert!(
            came.starts_with("uart.status: inserted before part: older streams load; older releases refuse"),
            "{came}"
        );
        let came = change("      value: uint8\n", "      value: uint8\n      more: bool, gate x\n");
        assert!(
            came.starts_with("uart.part.part.more: appended: breaks migration with a release that lacks"),
            "{came}"
        );
        let went = change("  control: uint8\n", "");
        assert!(went.starts_with("uart.control: removed: breaks both directions; keep its octets"), "{went}");
        let moved =
            change("  control: uint8\n  divider: uint16, since 2\n", "  divider: uint16, since 2\n  control: uint8\n");
        assert_eq!(moved, "uart.control: moved: breaks both directions; leave it where it was");
    }

    #[test]
    fn a_field_has_another_form() {
        let became = change("control: uint8", "control: uint16");
        assert!(became.starts_with("uart.control: `control: uint8` became `control: uint16`: breaks both"), "{became}");
        let became = change("up to 6", "up to 9");
        assert!(became.ends_with("older releases refuse longer ones"), "{became}");
        let became = change("up to 6", "up to 5");
        assert!(became.ends_with("this release refuses longer ones, which older releases may send"), "{became}");
        let became = change("      used: uint8", "      used: bool");
        assert!(became.starts_with("uart.subsection uart/fifo.uart/fifo.used: "), "{became}");
    }

    #[test]
    fn versions_change() {
        let raised = change("uart, version 2", "uart, version 3");
        assert!(raised.contains("older releases refuse what this one sends, whatever the machine type"), "{raised}");
        let raised = change("uart, version 2, loads from 1", "uart, version 2, loads from 2");
        assert!(raised.ends_with("older streams that loaded are refused"), "{raised}");
        let lowered = change("uart, version 2", "uart, version 1");
        assert!(lowered.ends_with("this release refuses what releases with the higher version send"), "{lowered}");
    }

    #[test]
    fn a_subsection_comes_and_goes() {
        let came =
            change("  subsection", "  subsection uart/timer\n    uart/timer, version 1, loads from 1\n  subsection");
        assert!(came.contains("new subsection: older releases refuse") && came.contains("give it a gate"), "{came}");
        let gated = "  subsection uart/timer, gate x\n    uart/timer, version 1, loads from 1\n  subsection";
        assert!(!change("  subsection", gated).contains("give it a gate"));
        let gate = change("subsection uart/fifo", "subsection uart/fifo, gate x");
        assert!(gate.contains("another property decides whether it is sent"), "{gate}");
        let went = change("  subsection uart/fifo\n    uart/fifo, version 1, loads from 1\n      used: uint8\n", "");
        assert!(went.contains("removed: streams of older releases that have it are refused"), "{went}");
    }
}
