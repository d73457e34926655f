//! What a device implements, and the object-safe face that the registry keeps of it.

use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::error::{LoadError, Refused, SaveError};
use crate::image::VmState;
use crate::input::Input;
use crate::schema::Schema;
use crate::sink::Sink;

/// The version of the section that was loaded, and of its subsections that were in the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Versions {
    /// Version of the section, from its header.
    pub section: u32,
    subsections: Vec<(&'static str, u32)>,
}

impl Versions {
    /// A section of `section`'s version without subsections.
    #[must_use]
    pub fn new(section: u32) -> Self {
        Self { section, subsections: Vec::new() }
    }

    /// The version of the subsection `name`, if it was in the stream; the first, if nested images repeat the name.
    #[must_use]
    pub fn subsection(&self, name: &str) -> Option<u32> {
        self.subsections.iter().find(|(received, _)| *received == name).map(|(_, version)| *version)
    }

    /// Names and versions of the subsections, in stream order.
    pub fn subsections(&self) -> impl Iterator<Item = (&'static str, u32)> {
        self.subsections.iter().copied()
    }
}

/// Properties and image of a device, taken together.
pub type Captured<M> = (<M as Migrate>::Props, <M as Migrate>::Image);

/// A device whose state can be saved and loaded.
///
/// `snapshot` and `restore` name every field of the device and of the image (destructure without `..`), so that a new
/// field fails to compile in both.
pub trait Migrate: Sized + Send + 'static {
    /// The plain data that goes over the wire.
    type Image: VmState<Props = Self::Props> + Send + 'static;
    /// The properties that gates read; `()` where there are none. An `Arc` inside if large.
    type Props: Clone + Send + 'static;

    /// The properties, taken in the same lock hold as the snapshot.
    fn props(&self) -> Self::Props;

    /// Whether the section is sent at all.
    fn needed(&self) -> bool {
        true
    }

    /// The state of now. Must not change the device: the source may go on.
    ///
    /// # Errors
    ///
    /// The device cannot be saved in its present state; the migration fails and the guest runs on.
    fn snapshot(&self) -> Result<Self::Image, Refused>;

    /// All of the above at once; nothing if the section is not sent.
    ///
    /// Whoever wraps a device in a lock overrides it to take the lock once: the guest may run while a device is saved
    /// early, and between two holds the state may change.
    ///
    /// # Errors
    ///
    /// As [`Migrate::snapshot`].
    fn capture(&self) -> Result<Option<Captured<Self>>, Refused> {
        if !self.needed() {
            return Ok(None);
        }
        let props = self.props();
        if !Self::Image::is_open(&props) {
            return Ok(None);
        }
        let image = self.snapshot()?;
        Ok(Some((props, image)))
    }

    /// What decoding starts from: absent fields keep these values, and each `Some` subsection is the shape that an
    /// arriving one is decoded into (it does not count as present).
    ///
    /// # Errors
    ///
    /// The device cannot be loaded in its present state.
    fn template(&self) -> Result<Self::Image, Refused>;

    /// Takes over what was loaded: checks everything first and assigns afterwards.
    ///
    /// # Errors
    ///
    /// The image is inconsistent; the device is then what it was.
    fn restore(&mut self, image: Self::Image, received: &Versions) -> Result<(), Refused>;
}

impl<M: Migrate> Migrate for Arc<Mutex<M>> {
    type Image = M::Image;
    type Props = M::Props;

    fn props(&self) -> Self::Props {
        self.lock().unwrap_or_else(PoisonError::into_inner).props()
    }

    fn needed(&self) -> bool {
        self.lock().unwrap_or_else(PoisonError::into_inner).needed()
    }

    fn snapshot(&self) -> Result<Self::Image, Refused> {
        self.lock().unwrap_or_else(PoisonError::into_inner).snapshot()
    }

    fn capture(&self) -> Result<Option<Captured<Self>>, Refused> {
        self.lock().unwrap_or_else(PoisonError::into_inner).capture()
    }

    fn template(&self) -> Result<Self::Image, Refused> {
        self.lock().unwrap_or_else(PoisonError::into_inner).template()
    }

    fn restore(&mut self, image: Self::Image, received: &Versions) -> Result<(), Refused> {
        self.lock().unwrap_or_else(PoisonError::into_inner).restore(image, received)
    }
}

impl<M: Migrate + Sync> Migrate for Arc<RwLock<M>> {
    type Image = M::Image;
    type Props = M::Props;

    fn props(&self) -> Self::Props {
        self.read().unwrap_or_else(PoisonError::into_inner).props()
    }

    fn needed(&self) -> bool {
        self.read().unwrap_or_else(PoisonError::into_inner).needed()
    }

    fn snapshot(&self) -> Result<Self::Image, Refused> {
        self.read().unwrap_or_else(PoisonError::into_inner).snapshot()
    }

    fn capture(&self) -> Result<Option<Captured<Self>>, Refused> {
        self.read().unwrap_or_else(PoisonError::into_inner).capture()
    }

    fn template(&self) -> Result<Self::Image, Refused> {
        self.read().unwrap_or_else(PoisonError::into_inner).template()
    }

    fn restore(&mut self, image: Self::Image, received: &Versions) -> Result<(), Refused> {
        self.write().unwrap_or_else(PoisonError::into_inner).restore(image, received)
    }
}

/// A device that cannot migrate: registered so that a migration is refused with its reason before it starts.
///
/// ```
/// use vmstate::{Place, Registry, Unmigratable, VmState};
///
/// #[derive(VmState)]
/// #[vmstate(name = "vfio-pci", unmigratable = "the state of the passed-through device cannot be read")]
/// enum PassedThroughImage {} // no value of it exists, so none can be sent
///
/// # fn main() -> Result<(), vmstate::Refused> {
/// let devices = Registry::new(0);
/// devices.register(Place::at("0000:00:04.0"), Unmigratable::<PassedThroughImage>::default())?;
/// let refused = devices.freeze_for_save().unwrap_err();
/// assert!(refused.to_string().starts_with("device '0000:00:04.0/vfio-pci' cannot migrate: the state of"));
/// # Ok(())
/// # }
/// ```
pub struct Unmigratable<I>(PhantomData<fn() -> I>);

impl<I> Default for Unmigratable<I> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<I> fmt::Debug for Unmigratable<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unmigratable")
    }
}

impl<I: VmState<Props = ()> + Send + 'static> Unmigratable<I> {
    fn refused() -> Refused {
        Refused::new(I::SCHEMA.unmigratable.unwrap_or("the device cannot migrate"))
    }
}

impl<I: VmState<Props = ()> + Send + 'static> Migrate for Unmigratable<I> {
    type Image = I;
    type Props = ();

    fn props(&self) {}

    fn snapshot(&self) -> Result<I, Refused> {
        Err(Self::refused())
    }

    fn template(&self) -> Result<I, Refused> {
        Err(Self::refused())
    }

    fn restore(&mut self, _: I, _: &Versions) -> Result<(), Refused> {
        Err(Self::refused())
    }
}

/// A device as the registry sees it.
pub trait Section: Send + Sync {
    /// The description of its image.
    fn schema(&self) -> &'static Schema;

    /// Takes a snapshot; `None` if the section is not needed. No lock is held once this returns.
    ///
    /// # Errors
    ///
    /// As [`Migrate::snapshot`].
    fn save(&self) -> Result<Option<Box<dyn Saved>>, Refused>;

    /// Decodes an image of `version` without touching the device.
    ///
    /// # Errors
    ///
    /// The stream does not hold a loadable image.
    fn load(&self, version: u32, input: &mut Input<'_>) -> Result<Box<dyn Loaded + '_>, LoadError>;
}

/// A snapshot that waits to be encoded.
pub trait Saved: Send {
    /// The description of the image.
    fn schema(&self) -> &'static Schema;

    /// Writes the image.
    ///
    /// # Errors
    ///
    /// The image contradicts its own description (a count that is not the length of its array).
    fn encode(&self, sink: &mut dyn Sink) -> Result<(), SaveError>;
}

/// A decoded image that waits to be taken over.
pub trait Loaded {
    /// Hands the image to the device.
    ///
    /// # Errors
    ///
    /// As [`Migrate::restore`]; the device is then what it was.
    fn commit(self: Box<Self>) -> Result<(), Refused>;
}

/// The adapter from [`Migrate`] to [`Section`].
pub(crate) struct Described<M>(Mutex<M>);

impl<M: Migrate> Described<M> {
    pub(crate) fn new(device: M) -> Self {
        Self(Mutex::new(device))
    }
}

impl<M> fmt::Debug for Described<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Described")
    }
}

struct Snapshot<M: Migrate> {
    image: M::Image,
    props: M::Props,
}

impl<M: Migrate> Saved for Snapshot<M> {
    fn schema(&self) -> &'static Schema {
        M::Image::SCHEMA
    }

    fn encode(&self, sink: &mut dyn Sink) -> Result<(), SaveError> {
        self.image.encode(&self.props, sink).map_err(|error| error.within(M::Image::SCHEMA.name))
    }
}

struct Arrived<'a, M: Migrate> {
    device: &'a Mutex<M>,
    image: M::Image,
    versions: Versions,
}

impl<M: Migrate> Loaded for Arrived<'_, M> {
    fn commit(self: Box<Self>) -> Result<(), Refused> {
        let Self { device, image, versions } = *self;
        device.lock().unwrap_or_else(PoisonError::into_inner).restore(image, &versions)
    }
}

impl<M: Migrate> Section for Described<M> {
    fn schema(&self) -> &'static Schema {
        M::Image::SCHEMA
    }

    fn save(&self) -> Result<Option<Box<dyn Saved>>, Refused> {
        let captured = self.0.lock().unwrap_or_else(PoisonError::into_inner).capture()?;
        Ok(captured.map(|(props, image)| Box::new(Snapshot::<M> { image, props }) as Box<dyn Saved>))
    }

    fn load(&self, version: u32, input: &mut Input<'_>) -> Result<Box<dyn Loaded + '_>, LoadError> {
        let (mut image, props) = {
            let device = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let image = device.template().map_err(|refused| input.error(crate::error::Reason::Refused(refused)))?;
            (image, device.props())
        };
        input.start_section();
        let decoded = image.decode(&props, version, input);
        let versions = Versions { section: version, subsections: input.take_subsections() };
        decoded.map_err(|error| error.within(M::Image::SCHEMA.name))?;
        Ok(Box::new(Arrived { device: &self.0, image, versions }))
    }
}
