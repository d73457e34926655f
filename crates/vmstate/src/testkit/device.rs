//! Rule: a device that refuses a load is what it was, and one that accepts it can be saved (`docs/spec/vmstate.md`
//! sections 7, H7, and 12).
//!
//! ```text
//! device ── save ──> octets ── cut or change one ──> load ──> decoded? ── commit ──> accepted? ── save: no error
//!                                                     │ no               │ no
//!                                                     └──> snapshot as before <──┘
//! ```

use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};

use super::places;
use crate::error::Refused;
use crate::image::VmState;
use crate::input::Input;
use crate::migrate::{Migrate, Versions};
use crate::registry::{Entry, Place, Registry};

/// Generates tests of a device, from expressions that make it in different states.
///
/// ```
/// # use vmstate::{Migrate, Refused, Versions, VmState};
/// # #[derive(VmState, Debug, Default, Clone, PartialEq)]
/// # #[vmstate(name = "rtc", version = 1)]
/// # struct RtcImage {
/// #     seconds: u64,
/// # }
/// # struct Rtc(u64);
/// # impl Rtc {
/// #     fn new(seconds: u64) -> Self {
/// #         Self(seconds)
/// #     }
/// # }
/// # impl Migrate for Rtc {
/// #     type Image = RtcImage;
/// #     type Props = ();
/// #     fn props(&self) {}
/// #     fn snapshot(&self) -> Result<RtcImage, Refused> {
/// #         Ok(RtcImage { seconds: self.0 })
/// #     }
/// #     fn template(&self) -> Result<RtcImage, Refused> {
/// #         self.snapshot()
/// #     }
/// #     fn restore(&mut self, image: RtcImage, _: &Versions) -> Result<(), Refused> {
/// #         self.0 = image.seconds;
/// #         Ok(())
/// #     }
/// # }
/// vmstate::device_tests!(mod rtc_device: || Rtc::new(0), || Rtc::new(5));
/// ```
#[macro_export]
macro_rules! device_tests {
    (mod $module:ident: $($make:expr),+ $(,)?) => {
        #[cfg(test)]
        mod $module {
            #[allow(unused_imports, reason = "a device may be made without a name of the module around")]
            use super::*;

            #[test]
            fn what_is_saved_loads() {
                $crate::testkit::what_is_saved_loads(&[$(&$make as &dyn ::std::ops::Fn() -> _),+]);
            }

            #[test]
            fn refused_loads_leave_the_device_equal() {
                $crate::testkit::refused_loads_leave_the_device_equal(&[$(&$make as &dyn ::std::ops::Fn() -> _),+]);
            }
        }
    };
}

/// Checks that a device refuses `image` and is what it was.
///
/// # Panics
///
/// The device accepts the image, or changed.
pub fn refuses_untouched<M: Migrate<Image: Debug + PartialEq>>(device: &mut M, image: M::Image) -> Refused {
    let before = device.snapshot().expect("the device can be saved");
    let version = M::Image::SCHEMA.version;
    let refused = device.restore(image, &Versions::new(version)).expect_err("the image is refused");
    assert_eq!(device.snapshot().expect("the device can still be saved"), before, "{refused}");
    refused
}

/// A device with its place in a registry.
struct Placed<M> {
    device: Arc<Mutex<M>>,
    entry: Arc<Entry>,
}

/// What became of a load.
enum Outcome {
    Accepted,
    Refused(String),
}

impl<M: Migrate> Placed<M> {
    fn new(device: M) -> Self {
        let device = Arc::new(Mutex::new(device));
        let registry = Registry::new(0);
        let entry = registry.register(Place::default(), Arc::clone(&device)).expect("the only device has its name");
        Self { device, entry }
    }

    fn image(&self) -> M::Image {
        let device = self.device.lock().unwrap_or_else(PoisonError::into_inner);
        device.snapshot().expect("the device can be saved")
    }

    fn save(&self) -> Vec<u8> {
        let saved = self.entry.section().save().expect("the device can be saved").expect("the section is sent");
        let mut octets = Vec::new();
        saved.encode(&mut octets).expect("what the device saves agrees with its description");
        octets
    }

    /// Loads a section as the engine does, which looks for a footer behind it first.
    fn load(&self, version: u32, octets: &[u8]) -> Outcome {
        let mut input = Input::from_slice(octets, 0);
        let loaded = match self.entry.section().load(version, &mut input) {
            Ok(loaded) => loaded,
            Err(error) => return Outcome::Refused(error.to_string()),
        };
        if !input.buffered().is_empty() {
            return Outcome::Refused("no footer behind".to_owned());
        }
        loaded.commit().map_or_else(|refused| Outcome::Refused(refused.to_string()), |()| Outcome::Accepted)
    }
}

/// Loads what each of these devices saves into each of them.
///
/// # Panics
///
/// It is refused, or the device then has another state.
pub fn what_is_saved_loads<M: Migrate<Image: Debug + PartialEq>>(makes: &[&dyn Fn() -> M]) {
    for (from, source) in makes.iter().enumerate() {
        let source = Placed::new(source());
        let octets = source.save();
        for (to, destination) in makes.iter().enumerate() {
            let destination = Placed::new(destination());
            if let Outcome::Refused(refused) = destination.load(M::Image::SCHEMA.version, &octets) {
                panic!("device {to} refuses what device {from} saved: {refused}");
            }
            assert_eq!(destination.image(), source.image(), "device {to} after it loaded device {from}");
        }
    }
}

/// Damages what each of these devices saves, and loads it: cut at every octet, and with every octet changed; of more
/// than 3072 octets, at each of the first and last 1024 and at 1024 places between.
///
/// # Panics
///
/// After a refusal the device is not what it was; after a load that it accepted it cannot be saved; it accepts a
/// version that its description does not have.
pub fn refused_loads_leave_the_device_equal<M: Migrate<Image: Debug + PartialEq>>(makes: &[&dyn Fn() -> M]) {
    const CHANGES: [u8; 3] = [0x01, 0x80, 0xff];
    let schema = M::Image::SCHEMA;
    for make in makes {
        let mut placed = Placed::new(make());
        let octets = placed.save();
        let mut try_load = |version: u32, octets: &[u8], what: &dyn Fn() -> String| {
            let before = placed.image();
            match placed.load(version, octets) {
                Outcome::Refused(refused) => assert_eq!(placed.image(), before, "{}: {refused}", what()),
                Outcome::Accepted => {
                    assert!(schema.loads(version), "{}: version {version} is accepted", what());
                    placed.save();
                    placed = Placed::new(make());
                }
            }
        };
        for place in places(octets.len()) {
            let cut = octets.get(..place).unwrap_or_default();
            try_load(schema.version, cut, &|| format!("cut at {place}"));
            for change in CHANGES {
                let mut changed = octets.clone();
                if let Some(octet) = changed.get_mut(place) {
                    *octet ^= change;
                }
                try_load(schema.version, &changed, &|| format!("octet {place} xor {change:#04x}"));
            }
        }
        for version in (0..=schema.version.saturating_add(1)).rev().take(1 << 8) {
            try_load(version, &octets, &|| format!("as version {version}"));
        }
    }
}
