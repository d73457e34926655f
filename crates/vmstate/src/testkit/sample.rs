//! Samples of an image that nobody wrote: generated octets that its codec accepts and gives back.
//!
//! | tried | with |
//! |---|---|
//! | no subsection; all; each alone | each kind of values: extremes, the template's, arbitrary ones |
//! | fields that a test decides on | each combination up to [`COMBINATIONS_MAX`], then each alone and each left out |
//!
//! Where the description says all, octets that are refused or come back otherwise fail the test: description and codec
//! disagree. Where a test, a check or a codec of its own has a say, they are left out.

use std::fmt::Debug;

use super::generate::{Cannot, Choice, Generator, Which, choices, subsection_places};
use super::record::{Recorded, try_record};
use super::values::{ALL, Numbers, Values};
use super::{Case, decode};
use crate::error::Reason;
use crate::image::VmState;
use crate::schema::{Kind, Presence, Schema};

/// Combinations of fields, of which a test decides whether they are there, that are tried with each kind of values.
const COMBINATIONS_MAX: u64 = 64;

/// Samples that are kept; the first ones cover all subsections.
const SAMPLES_MAX: usize = 96;

impl<I: VmState + Debug + Clone + PartialEq> Case<I> {
    /// A case with these samples, and generated ones behind them.
    ///
    /// # Panics
    ///
    /// Description and codec disagree; or there are no samples, and none could be generated.
    #[must_use]
    pub fn generated(props: I::Props, template: I, samples: Vec<I>) -> Self {
        let mut making = Making {
            template: try_record(&props, &template).ok(),
            case: Self { props, template, samples },
            known: Vec::new(),
            choices: choices(I::SCHEMA),
            is_told: tells_all(I::SCHEMA),
            last_refusal: String::new(),
        };
        making.add_all();
        let name = I::SCHEMA.name;
        let Making { case, last_refusal, .. } = making;
        assert!(
            !case.samples.is_empty(),
            "no image of '{name}' could be made from its description alone: give `samples` ({last_refusal})"
        );
        case
    }
}

/// Whether a description alone says which octets are accepted.
fn tells_all(schema: &'static Schema) -> bool {
    let told = |kind: &Kind| !matches!(kind.element(), Kind::Check { .. } | Kind::Codec { .. });
    schema.fields.iter().all(|field| {
        let key = match field.kind {
            Kind::Tree { key: Some(key), .. } => tells_all(key),
            _ => true,
        };
        let is_always = field.gate.is_none() && !matches!(field.presence, Presence::When(_));
        is_always && key && told(&field.kind) && field.kind.image().is_none_or(tells_all)
    }) && schema.subsections.iter().all(|subsection| {
        subsection.gate.is_none() && !subsection.schema.needs_template() && tells_all(subsection.schema)
    })
}

/// Samples in the making.
struct Making<I: VmState> {
    case: Case<I>,
    template: Option<Recorded>,
    /// Octets of generated samples.
    known: Vec<Vec<u8>>,
    choices: Vec<Choice>,
    is_told: bool,
    last_refusal: String,
}

impl<I: VmState + Debug + Clone + PartialEq> Making<I> {
    fn add_all(&mut self) {
        let mut all: Vec<String> = Vec::new();
        for place in subsection_places(I::SCHEMA) {
            let alone = [place];
            // Any values will do: each kind of them comes with all subsections.
            if ALL.iter().any(|values| self.add(*values, &alone)) {
                all.extend(alone);
            }
        }
        for values in ALL {
            self.add(*values, &[]);
            if !all.is_empty() {
                self.add(*values, &all);
            }
        }
    }

    /// Adds samples with these values and subsections, and says whether one came back.
    fn add(&mut self, values: Values, subsections: &[String]) -> bool {
        let mut came_back = false;
        for chosen in combinations(self.choices.len()) {
            let mut generator = Generator {
                template: self.template.as_ref(),
                values,
                subsections: Which::These(subsections),
                choices: &self.choices,
                chosen,
                numbers: Numbers::new(values),
                octets: Vec::new(),
            };
            let start = self.template.is_some().then_some(0);
            match generator.image(I::SCHEMA, I::SCHEMA.version, start, I::SCHEMA.name) {
                Ok(()) => {
                    let octets = generator.octets;
                    came_back |= self.keep(octets);
                }
                Err(Cannot) => "a codec has no fixed width".clone_into(&mut self.last_refusal),
            }
        }
        came_back
    }

    /// Keeps octets that the codec accepts and gives back.
    fn keep(&mut self, octets: Vec<u8>) -> bool {
        let name = I::SCHEMA.name;
        let (image, rest) = match decode(&self.case, I::SCHEMA.version, &octets) {
            Ok(decoded) => decoded,
            Err(error) => {
                let is_refused = matches!(error.reason(), Reason::Refused(_));
                assert!(
                    !self.is_told || is_refused,
                    "'{name}' refuses what its description says: {error}\n{octets:02x?}"
                );
                self.last_refusal = error.to_string();
                return false;
            }
        };
        match try_record(&self.case.props, &image) {
            Ok(again) if again.octets == octets && rest.is_empty() => {}
            Ok(again) => {
                assert!(
                    !self.is_told,
                    "'{name}' does not give back what its description says:\nmade      {octets:02x?}\ncame back {:02x?}\nleft      {rest:02x?}",
                    again.octets
                );
                "what was made from the description came back otherwise".clone_into(&mut self.last_refusal);
                return false;
            }
            // What looks like a subsection is refused while saving.
            Err(error) => {
                self.last_refusal = error.to_string();
                return false;
            }
        }
        if !self.known.contains(&octets) && self.known.len() < SAMPLES_MAX {
            self.known.push(octets);
            self.case.samples.push(image);
        }
        true
    }
}

/// Which of `number` fields are there, one bit for each.
fn combinations(number: usize) -> Vec<u64> {
    let number = u32::try_from(number).unwrap_or(u32::MAX).min(u64::BITS);
    let all = u64::MAX.checked_shr(u64::BITS - number).unwrap_or(0);
    if all < COMBINATIONS_MAX {
        return (0..=all).rev().collect();
    }
    let alone = (0..number).map(|bit| 1 << bit);
    let without = (0..number).map(|bit| all & !(1 << bit));
    [all, 0].into_iter().chain(alone).chain(without).take(usize::try_from(COMBINATIONS_MAX).unwrap_or(0)).collect()
}
