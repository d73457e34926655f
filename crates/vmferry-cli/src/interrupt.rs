//! Ctrl-C for commands that have something to do when it comes: to say what was, to end their processes.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::exit::ExitCode;

/// Whether Ctrl-C was pressed, or the process was asked to end (`SIGTERM`). A second one ends the process at once, with
/// [`ExitCode::Interrupted`].
#[derive(Debug, Clone)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Takes both over; until then they end the process.
    pub(crate) fn take_over() -> io::Result<Self> {
        let pressed = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // In this order: the first finds the flag still unset.
            flag::register_conditional_shutdown(signal, ExitCode::Interrupted as i32, Arc::clone(&pressed))?;
            flag::register(signal, Arc::clone(&pressed))?;
        }
        Ok(Self(pressed))
    }

    /// Whether it was pressed.
    pub(crate) fn is_pressed(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
