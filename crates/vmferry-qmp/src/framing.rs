//! Cuts an octet stream into JSON values: QMP has no framing of its own.
//!
//! Source: `docs/spec/control.md` section 1. Values follow each other with any white space, or none, between them.
//! The splitter looks at brackets and strings only; whether a value is well formed is found by the parser. It keeps
//! at most [`Limits::bytes`] octets.
//!
//! ```text
//!             white space                      other octet                 white space, { [ "
//!            +----+                         +---------------> Bare ------------------------------> value
//!            v    |                         |
//!   start -> Between --- { or [ ----> Structure(depth 1) --- closing bracket at depth 1 ---------> value
//!              |                            |  ^
//!              +--- " ----> Text <--- " ----+  |        " at depth 0 ends a value of its own
//!                             +------ " -------+
//! ```
//!
//! Resynchronisation, as QEMU does it: a control character inside a string (so that a line end closes what was left
//! open) and the octet 0xff anywhere drop what was read of the value, give one fault, and lead back to `Between`.
//! A value that passes a limit gives one fault, when it passes it, and is skipped up to its end without being kept.
//!
//! Differs from QEMU: strings in single quotes are refused; they are no JSON and only hand-written input has them.

/// What a value may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest value, in octets.
    pub bytes: usize,
    /// Deepest nesting of arrays and objects. The parser recurses up to 128 levels; a limit must stay below that.
    pub depth: usize,
}

impl Limits {
    /// Limits of a request. The longest sensible one holds some addresses; an `id` may be somewhat long.
    pub const REQUEST: Self = Self { bytes: 1 << 20, depth: 100 };
    /// Limits of a message from a server. QEMU's reply to `query-qmp-schema` has some hundred KiB.
    pub const REPLY: Self = Self { bytes: 64 << 20, depth: 100 };
}

/// Why a piece of input is no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Longer than the limit.
    #[error("JSON value exceeds {limit} bytes")]
    TooLong {
        /// [`Limits::bytes`].
        limit: usize,
    },
    /// Nested deeper than the limit.
    #[error("JSON nesting exceeds {limit} levels")]
    TooDeep {
        /// [`Limits::depth`].
        limit: usize,
    },
    /// A string holds a control character; usually its closing quote is missing.
    #[error("JSON string holds the control character {octet:#04x}; a closing quote may be missing")]
    ControlInString {
        /// The character.
        octet: u8,
    },
    /// The octet 0xff, which no UTF-8 text holds; clients send it to resynchronise.
    #[error("octet 0xff is not JSON; the input before it was dropped")]
    Resync,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Between,
    Bare,
    Structure,
    Text { escaped: bool },
}

/// Incremental splitter; see the module page.
#[derive(Debug)]
pub struct Splitter {
    limits: Limits,
    state: State,
    /// Open brackets of the value being read.
    depth: usize,
    /// Octets of the value being read; empty while it is skipped.
    value: Vec<u8>,
    /// The value passed a limit: its fault is out, the rest is not kept.
    skipping: bool,
}

impl Splitter {
    /// A splitter that has seen nothing.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self { limits, state: State::Between, depth: 0, value: Vec::new(), skipping: false }
    }

    /// Takes octets from the front of `input` up to the end of one value and returns its text, or the fault.
    ///
    /// `None` when all of `input` is taken and no value ended; the next call goes on with what follows.
    pub fn next_value(&mut self, input: &mut &[u8]) -> Option<Result<Vec<u8>, Fault>> {
        while let Some((&octet, rest)) = input.split_first() {
            if self.state == State::Bare && (octet.is_ascii_whitespace() || matches!(octet, b'{' | b'[' | b'"')) {
                // The octet belongs to what follows.
                if let Some(value) = self.end_value() {
                    return Some(Ok(value));
                }
                continue;
            }
            *input = rest;
            if let Some(result) = self.advance(octet) {
                return Some(result);
            }
        }
        None
    }

    /// Takes one octet; `Bare` values end before theirs, in [`Splitter::next_value`].
    fn advance(&mut self, octet: u8) -> Option<Result<Vec<u8>, Fault>> {
        if octet == 0xff {
            self.reset();
            return Some(Err(Fault::Resync));
        }
        let ended = match self.state {
            State::Between if octet.is_ascii_whitespace() => return None,
            State::Between => {
                self.begin_value(octet);
                false
            }
            State::Bare => false,
            State::Structure => self.advance_structure(octet),
            State::Text { .. } if octet < 0x20 => {
                // A skipped value has had its fault.
                let fault = (!self.skipping).then_some(Err(Fault::ControlInString { octet }));
                self.reset();
                return fault;
            }
            State::Text { escaped } => self.advance_text(escaped, octet),
        };
        let fault = self.keep(octet).err();
        let value = if ended { self.end_value() } else { None };
        fault.map(Err).or(value.map(Ok))
    }

    fn begin_value(&mut self, octet: u8) {
        (self.state, self.depth) = match octet {
            b'{' | b'[' => (State::Structure, 1),
            b'"' => (State::Text { escaped: false }, 0),
            _ => (State::Bare, 0),
        };
    }

    /// Whether the value ends here.
    fn advance_structure(&mut self, octet: u8) -> bool {
        match octet {
            b'{' | b'[' => self.depth = self.depth.saturating_add(1),
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            b'"' => self.state = State::Text { escaped: false },
            _ => {}
        }
        self.depth == 0
    }

    /// Whether the value ends here.
    fn advance_text(&mut self, escaped: bool, octet: u8) -> bool {
        let closed = octet == b'"' && !escaped;
        self.state = if closed { State::Structure } else { State::Text { escaped: octet == b'\\' && !escaped } };
        closed && self.depth == 0
    }

    /// Keeps the octet, unless the value passed a limit before or does so now.
    fn keep(&mut self, octet: u8) -> Result<(), Fault> {
        if self.skipping {
            return Ok(());
        }
        let fault = if self.depth > self.limits.depth {
            Fault::TooDeep { limit: self.limits.depth }
        } else if self.value.len() >= self.limits.bytes {
            Fault::TooLong { limit: self.limits.bytes }
        } else {
            self.value.push(octet);
            return Ok(());
        };
        self.skipping = true;
        self.value = Vec::new();
        Err(fault)
    }

    /// The value's text, or `None` if it was skipped.
    fn end_value(&mut self) -> Option<Vec<u8>> {
        let kept = !self.skipping;
        let value = std::mem::take(&mut self.value);
        self.reset();
        kept.then_some(value)
    }

    fn reset(&mut self) {
        self.state = State::Between;
        self.depth = 0;
        self.value = Vec::new();
        self.skipping = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Limits = Limits { bytes: 64, depth: 4 };

    fn split(input: &[u8]) -> Vec<Result<String, Fault>> {
        let mut splitter = Splitter::new(SMALL);
        let mut rest = input;
        let mut values = Vec::new();
        while let Some(value) = splitter.next_value(&mut rest) {
            values.push(value.map(|text| String::from_utf8(text).unwrap()));
        }
        assert!(rest.is_empty());
        values
    }

    fn texts(input: &str) -> Vec<String> {
        split(input.as_bytes()).into_iter().map(Result::unwrap).collect()
    }

    #[test]
    fn values_need_no_separator() {
        assert_eq!(texts(r#"{"a":1}{"b":[2]}"#), [r#"{"a":1}"#, r#"{"b":[2]}"#]);
    }

    #[test]
    fn any_white_space_separates() {
        assert_eq!(texts("{}\r\n\t {} \n\n[1] "), ["{}", "{}", "[1]"]);
    }

    #[test]
    fn brackets_and_quotes_inside_strings_do_not_count() {
        let value = r#"{"a":"}]\"\\","b\"{":[]}"#;
        assert_eq!(texts(&format!("{value}{{}}")), [value, "{}"]);
    }

    #[test]
    fn a_bare_word_is_one_value_up_to_what_can_start_another() {
        assert_eq!(texts("garbage more{\"x\":1}12 \"y\" "), ["garbage", "more", "{\"x\":1}", "12", "\"y\""]);
    }

    #[test]
    fn input_cut_anywhere_gives_the_same_values() {
        let input = br#"  {"a": "\\\" }"} word[1,[2]]{"b":{}} "text" "#;
        let whole = split(input);
        for cut in 0..=input.len() {
            let mut splitter = Splitter::new(SMALL);
            let mut values = Vec::new();
            for mut part in [&input[..cut], &input[cut..]] {
                while let Some(value) = splitter.next_value(&mut part) {
                    values.push(value.map(|text| String::from_utf8(text).unwrap()));
                }
            }
            assert_eq!(values, whole, "cut at {cut}");
        }
    }

    #[test]
    fn a_line_end_inside_a_string_resynchronises() {
        let values = split(b"{\"execute\":\"qu\n{}");
        assert_eq!(values, [Err(Fault::ControlInString { octet: b'\n' }), Ok("{}".to_owned())]);
    }

    #[test]
    fn octet_ff_resynchronises_out_of_any_state() {
        for before in ["", "{\"a\":", "word", "\"text", "{\"a\":\"\\", "[[[[["] {
            let mut input = before.as_bytes().to_vec();
            input.extend(b"\xff{}");
            let values = split(&input);
            assert_eq!(values[values.len() - 2..], [Err(Fault::Resync), Ok("{}".to_owned())], "after {before:?}");
        }
    }

    #[test]
    fn a_value_too_long_is_one_fault_and_is_skipped_to_its_end() {
        for long in [format!("{{\"a\":\"{}\"}}", "x".repeat(100)), "y".repeat(100), format!("\"{}\"", "z".repeat(100))]
        {
            let values = split(format!("{long} {{}}").as_bytes());
            assert_eq!(values, [Err(Fault::TooLong { limit: 64 }), Ok("{}".to_owned())]);
        }
    }

    #[test]
    fn a_value_of_exactly_the_limit_is_kept_and_one_octet_more_is_not() {
        let of_length = |n: usize| format!("[\"{}\"]", "x".repeat(n - 4));
        assert_eq!(split(of_length(64).as_bytes()), [Ok(of_length(64))]);
        assert_eq!(split(of_length(65).as_bytes()), [Err(Fault::TooLong { limit: 64 })]);
    }

    #[test]
    fn a_value_too_deep_is_one_fault_and_is_skipped_to_its_end() {
        assert_eq!(texts("[[[[]]]]"), ["[[[[]]]]"]);
        let values = split(b"[[[[[{\"]\":1}]]]]] {}");
        assert_eq!(values, [Err(Fault::TooDeep { limit: 4 }), Ok("{}".to_owned())]);
    }

    #[test]
    fn memory_stays_within_the_limit() {
        let mut splitter = Splitter::new(SMALL);
        for _ in 0..1000 {
            splitter.next_value(&mut &[b'['; 100][..]);
            assert!(splitter.value.capacity() <= 2 * SMALL.bytes);
        }
    }
}
