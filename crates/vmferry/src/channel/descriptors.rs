//! Descriptors that a control plane handed over by name (`getfd`, `closefd`).

use std::collections::HashMap;
use std::io;
use std::os::fd::{FromRawFd as _, OwnedFd, RawFd};
use std::sync::{Mutex, PoisonError};

/// Most descriptors that are kept at once: far more than channels, far fewer than a process may open.
pub const DESCRIPTORS_MAX: usize = 64;

/// Named descriptors, each to be used once.
#[derive(Debug, Default)]
pub struct Descriptors(Mutex<HashMap<String, OwnedFd>>);

impl Descriptors {
    /// Keeps `fd` under `name`; an older one of that name is closed, as QEMU does.
    ///
    /// # Errors
    ///
    /// The name is empty or starts with a digit (it could be taken for an inherited number), or there are
    /// [`DESCRIPTORS_MAX`] already.
    pub fn register(&self, name: &str, fd: OwnedFd) -> Result<(), String> {
        if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) {
            return Err(format!("descriptor name '{name}' is empty or starts with a digit"));
        }
        let mut descriptors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if descriptors.len() >= DESCRIPTORS_MAX && !descriptors.contains_key(name) {
            return Err(format!("{DESCRIPTORS_MAX} descriptors are kept already: close some with closefd"));
        }
        descriptors.insert(name.to_owned(), fd);
        Ok(())
    }

    /// Closes the descriptor of that name.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn close(&self, name: &str) -> Result<(), String> {
        self.take(name).map(drop).ok_or_else(|| format!("no descriptor is named '{name}'"))
    }

    /// Takes the descriptor `fd:NAME` stands for: a registered one, or an inherited one by its number.
    ///
    /// # Errors
    ///
    /// None is registered by that name, or the number is not an open descriptor behind 2.
    pub fn open(&self, name: &str) -> io::Result<OwnedFd> {
        if let Some(fd) = self.take(name) {
            return Ok(fd);
        }
        match name.parse::<RawFd>() {
            Ok(number) if number > 2 => inherited(number),
            _ => Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!("no descriptor is named '{name}' (give one with getfd), and it is no inherited number above 2"),
            )),
        }
    }

    fn take(&self, name: &str) -> Option<OwnedFd> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(name)
    }
}

/// A descriptor that this process inherited, as a new one of our own.
#[expect(unsafe_code, reason = "an inherited descriptor is known by its number only")]
fn inherited(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: fcntl(F_DUPFD_CLOEXEC) takes any number and fails with EBADF if it is not open; it touches no memory.
    let copy = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3) };
    if copy < 0 {
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            format!("descriptor {number} is not open: {}", io::Error::last_os_error()),
        ));
    }
    // SAFETY: `copy` was just made by the call above; nothing else knows its number, so it is ours alone to close.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}
