//! Figures of several rounds, and how two kinds compare.

use serde_json::{Value, json};

/// One kind's figures, one a round.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Samples(pub(super) Vec<f64>);

impl Samples {
    /// The middle one, or between the two in the middle; not a number if there is none.
    pub(super) fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
        if sorted.len().is_multiple_of(2) { f64::midpoint(at(middle.wrapping_sub(1)), at(middle)) } else { at(middle) }
    }

    pub(super) fn least(&self) -> f64 {
        self.0.iter().copied().fold(f64::NAN, f64::min)
    }

    pub(super) fn most(&self) -> f64 {
        self.0.iter().copied().fold(f64::NAN, f64::max)
    }

    /// Round by round, this over `other`; rounds that only one of them has are left out.
    pub(super) fn over(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(this, that)| this / that).collect())
    }

    /// `median (least to most)`; a dash if there is nothing.
    pub(super) fn text(&self, digits: usize) -> String {
        match self.0.as_slice() {
            [] => "–".to_owned(),
            [only] => format!("{only:.digits$}"),
            _ => format!("{:.digits$} ({:.digits$} to {:.digits$})", self.median(), self.least(), self.most()),
        }
    }

    /// `{"median", "least", "most", "rounds"}`; `null` for what does not exist.
    pub(super) fn json(&self) -> Value {
        json!({ "median": self.median(), "least": self.least(), "most": self.most(), "rounds": self.0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(figures: &[f64]) -> Samples {
        Samples(figures.to_vec())
    }

    #[test]
    fn the_median_is_the_middle_one_or_between_two() {
        for (figures, median) in [(&[3.0][..], 3.0), (&[9.0, 1.0, 2.0], 2.0), (&[4.0, 1.0, 3.0, 100.0], 3.5)] {
            assert_eq!(samples(figures).median().to_bits(), f64::to_bits(median), "{figures:?}");
        }
        assert!(samples(&[]).median().is_nan());
    }

    #[test]
    fn the_spread_is_the_least_and_the_most() {
        let found = samples(&[2.0, -1.0, 7.0]);
        assert_eq!((found.least(), found.most()), (-1.0, 7.0));
        assert!(samples(&[]).least().is_nan() && samples(&[]).most().is_nan());
    }

    #[test]
    fn ratios_are_of_pairs_and_not_of_medians() {
        let (ours, theirs) = (samples(&[2.0, 8.0, 3.0]), samples(&[1.0, 2.0, 3.0]));
        assert_eq!(ours.over(&theirs), samples(&[2.0, 4.0, 1.0]));
        assert_eq!(ours.over(&theirs).median().to_bits(), f64::to_bits(2.0));
        // One that ended early is compared as far as it came.
        assert_eq!(ours.over(&samples(&[4.0])), samples(&[0.5]));
    }

    #[test]
    fn text_and_json_tell_the_median_and_the_spread() {
        assert_eq!(samples(&[1.0, 2.0, 4.0]).text(1), "2.0 (1.0 to 4.0)");
        assert_eq!((samples(&[1.25]).text(2), samples(&[]).text(2)), ("1.25".to_owned(), "–".to_owned()));
        let expected = json!({ "median": 1.5, "least": 1.0, "most": 2.0, "rounds": [2.0, 1.0] });
        assert_eq!(samples(&[2.0, 1.0]).json(), expected);
        assert_eq!(samples(&[]).json(), json!({ "median": null, "least": null, "most": null, "rounds": [] }));
    }
}
