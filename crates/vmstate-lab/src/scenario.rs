//! What a guest, or an operator, does before a migration.

use std::fmt;

use crate::guest::Unsupported;
use crate::machine::Machine;

type Act = Box<dyn Fn(&mut Machine) -> Result<(), Unsupported>>;

/// Guest activity that gets conditional state into use, under a name.
pub struct Scenario {
    pub(crate) name: &'static str,
    act: Option<Act>,
    arrange: Option<Act>,
}

impl Scenario {
    /// Name of the scenario that every laboratory has: nobody has done anything yet.
    pub const AT_RESET: &'static str = "at reset";

    /// `act` is done to the machine at the source. It ends with an error in releases that cannot do it, which are then
    /// no source of this scenario.
    #[must_use]
    pub fn new(name: &'static str, act: impl Fn(&mut Machine) -> Result<(), Unsupported> + 'static) -> Self {
        Self { name, act: Some(Box::new(act)), arrange: None }
    }

    /// These registers are written, in this order.
    #[must_use]
    pub fn writes(name: &'static str, writes: &'static [(&'static str, u64)]) -> Self {
        Self::new(name, |machine| writes.iter().try_for_each(|(register, value)| machine.act(register, *value)))
    }

    /// The same, and `arrange` is done to every destination before it loads: what the operator has to do there, such as
    /// to plug in what was plugged in at the source.
    #[must_use]
    pub fn arranged(mut self, arrange: impl Fn(&mut Machine) -> Result<(), Unsupported> + 'static) -> Self {
        self.arrange = Some(Box::new(arrange));
        self
    }

    pub(crate) fn at_reset() -> Self {
        Self { name: Self::AT_RESET, act: None, arrange: None }
    }

    pub(crate) fn act(&self, machine: &mut Machine) -> Result<(), Unsupported> {
        self.act.as_ref().map_or(Ok(()), |act| act(machine))
    }

    pub(crate) fn arrange(&self, machine: &mut Machine) -> Result<(), Unsupported> {
        self.arrange.as_ref().map_or(Ok(()), |arrange| arrange(machine))
    }
}

impl fmt::Debug for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scenario").field("name", &self.name).finish_non_exhaustive()
    }
}
