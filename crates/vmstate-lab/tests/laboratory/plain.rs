//! Devices that are plain data: their image is all they are. Recipes have devices apart from their images, as real ones
//! should; the breaks, which are about what goes over the wire, mostly do without.

use vmstate::{Migrate, Place, Refused, Versions, VmState};
use vmstate_lab::{BuildError, Guest, Machine, Observation, Unsupported};

/// A device that is its image.
pub(crate) struct Plain<I: VmState> {
    state: I,
    props: I::Props,
}

impl<I: VmState> Plain<I> {
    /// The device with this state at reset.
    pub(crate) fn new(state: I, props: I::Props) -> Self {
        Self { state, props }
    }
}

impl<I: VmState<Props: Clone + Send + 'static> + Clone + Send + 'static> Migrate for Plain<I> {
    type Image = I;
    type Props = I::Props;

    fn props(&self) -> I::Props {
        self.props.clone()
    }

    fn snapshot(&self) -> Result<I, Refused> {
        Ok(self.state.clone())
    }

    fn template(&self) -> Result<I, Refused> {
        Ok(self.state.clone())
    }

    fn restore(&mut self, image: I, _: &Versions) -> Result<(), Refused> {
        self.state = image;
        Ok(())
    }
}

impl<I: VmState<Props: Send> + Guest> Guest for Plain<I> {
    fn act(&mut self, register: &str, value: u64) -> Result<(), Unsupported> {
        self.state.act(register, value)
    }

    fn observe(&self) -> Observation {
        self.state.observe()
    }
}

/// A machine with one device.
pub(crate) fn machine_of<D: Migrate + Guest>(name: &str, device: D) -> Result<Machine, BuildError> {
    let mut machine = Machine::new();
    machine.add(name, Place::default(), device)?;
    Ok(machine)
}
