//! A panic of a device or of the machine, told as an error.
//!
//! | where | what it would leave otherwise |
//! |---|---|
//! | a device's `snapshot`, `template`, `restore` | an error without the section's name |
//! | a step of the source | a guest that stays stopped, with nobody who resumes it |
//! | a step of the destination | a source that is not told why |
//! | a migration's thread | a status that is never final, so that no other migration can start |
//!
//! The engine itself does not panic; devices and machines are the user's code. What they share with the engine stands
//! behind locks whose poison is not looked at, and a failed migration assigns nothing that another attempt relies on.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::{Error, ErrorKind, Side};

/// Does `work`; a panic in it is an error at `side`.
pub(crate) fn caught<T>(side: Side, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = text_of(&*panic);
        Err(Error::new(side, ErrorKind::State(format!("the device or the machine panicked: {text}"))))
    })
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    let literal = panic.downcast_ref::<&str>().copied();
    literal.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text")
}
