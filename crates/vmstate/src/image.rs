//! The trait of images, which `#[derive(VmState)]` implements.

use crate::error::{LoadError, Refused, SaveError};
use crate::guard::Guard;
use crate::input::Input;
use crate::schema::Schema;
use crate::sink::Sink;

/// A plain struct of raw integers that maps to a run of octets.
///
/// Derived, not written by hand; see [`macro@crate::VmState`] for the attributes.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an image",
    label = "not an image",
    note = "a subsection or a section's state is a struct with `#[derive(VmState)]` and `#[vmstate(name = \"…\", version = N)]`"
)]
pub trait VmState: Sized {
    /// The description: name, versions, fields, subsections.
    const SCHEMA: &'static Schema;
    /// The properties that gates read; `()` where there are none.
    type Props;
    /// What an arriving subsection without a template is decoded into: [`FromDefault`] or [`FromTemplate`].
    type Shape;

    /// Whether a section of this image is sent at all, as far as properties say.
    fn is_open(_props: &Self::Props) -> bool {
        true
    }

    /// Writes fields, then subsections.
    ///
    /// # Errors
    ///
    /// The image contradicts its description: a count that is not the length of its array or above the limit; data
    /// behind a nested image that a loader would take for one of its subsections (`docs/spec/vmstate.md` section 7,
    /// H1). The sink has then taken octets that are to be dropped.
    fn encode(&self, props: &Self::Props, sink: &mut dyn Sink) -> Result<(), SaveError> {
        if const { Self::SCHEMA.nests() } {
            let mut guard = Guard::new(sink);
            self.encode_part(props, &mut guard)?;
            guard.finish()
        } else {
            self.encode_part(props, sink)
        }
    }

    /// As [`VmState::encode`], as a part of another image: what follows it is the business of the whole.
    ///
    /// # Errors
    ///
    /// As [`VmState::encode`], without the check of what follows a nested image.
    fn encode_part(&self, props: &Self::Props, sink: &mut dyn Sink) -> Result<(), SaveError>;

    /// As [`VmState::encode_part`], at a version from the minimum on: without the fields that are newer.
    ///
    /// An image whose octets are the same in every version does not override it.
    ///
    /// # Errors
    ///
    /// As [`VmState::encode_part`].
    fn encode_at(&self, props: &Self::Props, _version: u32, sink: &mut dyn Sink) -> Result<(), SaveError> {
        self.encode_part(props, sink)
    }

    /// Reads fields that exist in `version`, then subsections, over what is there.
    ///
    /// Each subsection is taken out of `self` first, as the shape that an arriving one is decoded into; presence in the
    /// stream decides what is there in the end.
    ///
    /// # Errors
    ///
    /// The stream does not hold an image of this description; the image is then half filled and to be dropped.
    fn decode(&mut self, props: &Self::Props, version: u32, input: &mut Input<'_>) -> Result<(), LoadError>;
}

/// The rule of an image that an arriving subsection may start from its default.
#[derive(Debug, Clone, Copy)]
pub enum FromDefault {}

/// The rule of an image whose decoding depends on local values: it starts from the device's template or not at all.
#[derive(Debug, Clone, Copy)]
pub enum FromTemplate {}

/// Where an arriving image of type `T` starts from if the device gave no template.
#[diagnostic::on_unimplemented(
    message = "the image `{T}` needs `Default`",
    label = "needs `Default`",
    note = "a subsection or an element that arrives while the device's template has none starts from the default"
)]
pub trait Shape<T> {
    /// The start, or nothing if only a template will do.
    fn shape() -> Option<T>;
}

impl<T: Default> Shape<T> for FromDefault {
    fn shape() -> Option<T> {
        Some(T::default())
    }
}

impl<T> Shape<T> for FromTemplate {
    fn shape() -> Option<T> {
        None
    }
}

/// The successor of QEMU's old loaders: older versions are decoded into the image's predecessor, and it is made from
/// that.
///
/// Named by `#[vmstate(older = Old)]` on the new image, for a form that no `since` can express: fields that changed
/// their size, moved or became something else. Both have the same name; the versions of the old one are below the new
/// one's `min`. Chains work: the old image may have an older one itself.
///
/// ```
/// use vmstate::{Input, Refused, Upgrade, VmState};
///
/// #[derive(VmState, Default)]
/// #[vmstate(name = "clock", version = 1)]
/// struct ClockImageV1 {
///     seconds: u32,
/// }
///
/// #[derive(VmState, Default)]
/// #[vmstate(name = "clock", version = 2, older = ClockImageV1)]
/// struct ClockImage {
///     ns: u64,
/// }
///
/// impl Upgrade<ClockImageV1> for ClockImage {
///     fn older(&self) -> ClockImageV1 {
///         ClockImageV1::default()
///     }
///
///     fn upgrade(&mut self, old: ClockImageV1, _version: u32) -> Result<(), Refused> {
///         let ClockImageV1 { seconds } = old;
///         *self = Self { ns: u64::from(seconds) * 1_000_000_000 };
///         Ok(())
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut image = ClockImage::default();
/// image.decode(&(), 1, &mut Input::from_slice(&[0, 0, 0, 2], 0))?;
/// assert_eq!(image.ns, 2_000_000_000);
/// # Ok(())
/// # }
/// ```
pub trait Upgrade<Old>: Sized {
    /// What the old image is decoded over, from what this side has: the template of a load.
    fn older(&self) -> Old;

    /// Takes over what a sender of the old `version` had. Fields that are not assigned keep what the template has;
    /// subsections are absent on entry.
    ///
    /// # Errors
    ///
    /// The old image cannot be expressed.
    fn upgrade(&mut self, old: Old, version: u32) -> Result<(), Refused>;
}
