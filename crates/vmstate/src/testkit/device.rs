//! Rule: a device that refuses a load is what it was, and one that accepts it can be saved (`docs/spec/vmstate.md`
//! sections 7, H7, and 12).
//!
//! ```text
//! device ── save ──> octets ── cut or change one ──> load ──> decoded? ── commit ──> accepted? ── save: no error
//!                                                     │ no               │ no
//!                                                     └──> snapshot as before <──┘
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};

use super::places;
use super::record::{Recorded, try_record};
use crate::error::Refused;
use crate::image::VmState;
use crate::input::Input;
use crate::migrate::{Migrate, Versions};
use crate::registry::{Entry, Place, Registry};
use crate::schema::Kind;

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
///
/// With `; drops: […]` behind, a field is found, too, that a load accepts and drops, unless it is named there with the
/// reason: `device_tests!(mod rtc_device: || Rtc::new(0); drops: [("rtc.irq", "follows from the alarm")])`.
#[macro_export]
macro_rules! device_tests {
    (mod $module:ident: $($make:expr),+ $(,)?) => {
        #[cfg(test)]
        mod $module {
            $crate::device_tests!(@always $($make),+);
        }
    };
    (mod $module:ident: $($make:expr),+; drops: [$($drop:expr),* $(,)?]) => {
        #[cfg(test)]
        mod $module {
            $crate::device_tests!(@always $($make),+);

            #[test]
            fn what_is_loaded_is_saved() {
                let makes = [$(&$make as &dyn ::std::ops::Fn() -> _),+];
                $crate::testkit::what_is_loaded_is_saved(&makes, &[$($drop),*]);
            }
        }
    };
    (@always $($make:expr),+) => {
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

/// How an octet is changed.
const CHANGES: [u8; 3] = [0x01, 0x80, 0xff];

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

    fn record(&self) -> Recorded {
        let device = self.device.lock().unwrap_or_else(PoisonError::into_inner);
        let image = device.snapshot().expect("the device can be saved");
        try_record(&device.props(), &image).expect("what the device saves agrees with its description")
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

/// Changes each field of what each of these devices saves, and loads it: what is accepted is in what the device saves
/// then, in the same field. A field of `drops`, which names each with a reason, is not.
///
/// # Panics
///
/// A field is dropped whatever it holds, in all of the devices, and `drops` does not have it; or it has one that is
/// kept.
pub fn what_is_loaded_is_saved<M: Migrate>(makes: &[&dyn Fn() -> M], drops: &[(&str, &str)]) {
    /// Whether a change of a field was accepted, and whether it was to be seen.
    #[derive(Default)]
    struct Fate {
        is_accepted: bool,
        is_kept: bool,
    }
    let mut fates: BTreeMap<String, Fate> = BTreeMap::new();
    for make in makes {
        let recorded = Placed::new(make()).record();
        // What it makes of its own octets, which a device that swaps fields changes.
        let unchanged = Placed::new(make());
        if let Outcome::Refused(refused) = unchanged.load(M::Image::SCHEMA.version, &recorded.octets) {
            panic!("a device refuses what it saved: {refused}");
        }
        let unchanged = unchanged.record();
        let is_tried: BTreeSet<usize> = places(recorded.octets.len()).collect();
        for (index, span) in recorded.spans.iter().enumerate() {
            let is_no_value = matches!(span.field.kind, Kind::Unused { .. } | Kind::Check { .. });
            if is_no_value || recorded.has_images(span) {
                continue;
            }
            let fate = fates.entry(recorded.path(span)).or_default();
            if fate.is_kept {
                continue;
            }
            let tried = span.octets.clone().filter(|at| is_tried.contains(at));
            for (at, change) in tried.flat_map(|at| CHANGES.map(|change| (at, change))) {
                let mut changed = recorded.octets.clone();
                if let Some(octet) = changed.get_mut(at) {
                    *octet ^= change;
                }
                let placed = Placed::new(make());
                if let Outcome::Refused(_) = placed.load(M::Image::SCHEMA.version, &changed) {
                    continue;
                }
                fate.is_accepted = true;
                let saved = placed.record();
                // Of another length, what is behind the field followed it.
                fate.is_kept = saved.octets.len() != unchanged.octets.len()
                    || saved.spans.get(index).map(|span| &span.bytes)
                        != unchanged.spans.get(index).map(|span| &span.bytes);
                if fate.is_kept {
                    break;
                }
            }
        }
    }
    let dropped = fates.iter().filter(|(_, fate)| fate.is_accepted && !fate.is_kept).map(|(path, _)| path);
    let unknown: Vec<_> = dropped.clone().filter(|path| !drops.iter().any(|(drop, _)| drop == path)).collect();
    assert!(
        unknown.is_empty(),
        "loads drop what is in {unknown:?}, or put it into another field: mend `restore` or `snapshot`, or give `drops` \
         with the reason"
    );
    for (drop, reason) in drops {
        assert!(dropped.clone().any(|path| path == drop), "'{drop}' is said to be dropped, and is not");
        assert!(!reason.is_empty(), "'{drop}' is dropped without a reason");
    }
}
