//! The trait of images, which `#[derive(VmState)]` implements.

use crate::error::{LoadError, SaveError};
use crate::input::Input;
use crate::schema::Schema;
use crate::sink::Sink;

/// A plain struct of raw integers that maps to a run of octets.
pub trait VmState: Sized {
    /// The description: name, versions, fields, subsections.
    const SCHEMA: &'static Schema;
    /// The properties that gates read; `()` where there are none.
    type Props;

    /// Writes fields, then subsections.
    ///
    /// # Errors
    ///
    /// The image contradicts its description.
    fn encode(&self, props: &Self::Props, sink: &mut dyn Sink) -> Result<(), SaveError>;

    /// Reads fields that exist in `version`, then subsections, over what is there.
    ///
    /// # Errors
    ///
    /// The stream does not hold an image of this description; the image is then half filled and to be dropped.
    fn decode(&mut self, props: &Self::Props, version: u32, input: &mut Input<'_>) -> Result<(), LoadError>;
}
