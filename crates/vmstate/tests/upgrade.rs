//! Older versions that are loaded with an image of their own.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use vmstate::{Input, LoadError, Reason, Refused, Upgrade, VmState};

/// Version 1 counts seconds.
#[derive(VmState, Debug, Default)]
#[vmstate(name = "clock", version = 1)]
struct ClockImageV1 {
    seconds: u32,
}

/// Versions 3 and 4 count seconds and milliseconds; 2 was never released.
#[derive(VmState, Debug, Default)]
#[vmstate(name = "clock", version = 4, min = 3, older = ClockImageV1)]
struct ClockImageV4 {
    seconds: u64,
    ms: u16,
    #[vmstate(since = 4)]
    is_set: bool,
    #[vmstate(subsection)]
    alarm: Option<AlarmImage>,
}

/// Version 5 counts nanoseconds.
#[derive(VmState, Debug, Default, PartialEq)]
#[vmstate(name = "clock", version = 5, older = ClockImageV4)]
struct ClockImage {
    ns: u64,
    zone: u8,
    #[vmstate(subsection)]
    alarm: Option<AlarmImage>,
}

#[derive(VmState, Debug, Default, PartialEq)]
#[vmstate(name = "clock/alarm", version = 1)]
struct AlarmImage {
    at: u64,
}

impl Upgrade<ClockImageV1> for ClockImageV4 {
    fn older(&self) -> ClockImageV1 {
        ClockImageV1::default()
    }

    fn upgrade(&mut self, old: ClockImageV1, version: u32) -> Result<(), Refused> {
        assert_eq!(version, 1);
        let ClockImageV1 { seconds } = old;
        *self = Self { seconds: u64::from(seconds), ms: 0, is_set: true, alarm: None };
        Ok(())
    }
}

impl Upgrade<ClockImageV4> for ClockImage {
    fn older(&self) -> ClockImageV4 {
        ClockImageV4::default()
    }

    fn upgrade(&mut self, old: ClockImageV4, _: u32) -> Result<(), Refused> {
        let ClockImageV4 { seconds, ms, is_set: _, alarm } = old;
        if ms > 999 {
            return Err(Refused::new(format!("ms is {ms}, not 0 to 999")));
        }
        self.ns = seconds * 1_000_000_000 + u64::from(ms) * 1_000_000;
        self.alarm = alarm;
        Ok(())
    }
}

fn load(version: u32, octets: &[u8]) -> Result<ClockImage, LoadError> {
    // The shape of a subsection is none that came.
    let mut image = ClockImage { ns: 77, zone: 9, alarm: Some(AlarmImage { at: 1 }) };
    let mut input = Input::from_slice(octets, 0x100);
    image.decode(&(), version, &mut input)?;
    assert!(input.buffered().is_empty());
    Ok(image)
}

#[test]
fn every_version_ends_as_the_newest_image() {
    let expected = |ns| ClockImage { ns, zone: 9, alarm: None };
    assert_eq!(load(1, &[0, 0, 0, 2]).unwrap(), expected(2_000_000_000));
    assert_eq!(load(3, &[0, 0, 0, 0, 0, 0, 0, 2, 0, 5]).unwrap(), expected(2_005_000_000));
    assert_eq!(load(4, &[0, 0, 0, 0, 0, 0, 0, 2, 0, 5, 1]).unwrap(), expected(2_005_000_000));
    let newest = ClockImage { zone: 4, ..expected(6) };
    assert_eq!(load(5, &[0, 0, 0, 0, 0, 0, 0, 6, 4]).unwrap(), newest);
}

#[test]
fn an_older_image_has_its_own_subsections() {
    let octets = [&[0, 0, 0, 0, 0, 0, 0, 2, 0, 5][..], b"\x05\x0bclock/alarm\0\0\0\x01", &[0, 0, 0, 0, 0, 0, 0, 8]];
    assert_eq!(load(3, &octets.concat()).unwrap().alarm, Some(AlarmImage { at: 8 }));
}

#[test]
fn versions_that_nobody_knows_and_images_that_cannot_be_upgraded_are_refused() {
    assert!(matches!(load(0, &[]).unwrap_err().reason(), Reason::VersionTooOld { found: 0, oldest: 1 }));
    assert!(matches!(load(6, &[]).unwrap_err().reason(), Reason::VersionTooNew { found: 6, newest: 5 }));
    let gap = load(2, &[]).unwrap_err();
    assert_eq!(gap.to_string(), "at byte 0x100: version 2 is not known to this release");
    let cut = load(3, &[0; 9]).unwrap_err();
    assert_eq!(cut.to_string(), "ms at byte 0x108: stream ends: needs 2 bytes, 1 left");
    let refused = load(3, &[0, 0, 0, 0, 0, 0, 0, 2, 3, 232]).unwrap_err();
    assert_eq!(refused.to_string(), "at byte 0x10a: ms is 1000, not 0 to 999");
}

#[test]
fn the_schema_says_what_is_loaded() {
    let schema = ClockImage::SCHEMA;
    assert_eq!((schema.oldest_version(), schema.minimum_version), (1, 5));
    let loaded: Vec<u32> = (0..8).filter(|version| schema.loads(*version)).collect();
    assert_eq!(loaded, [1, 3, 4, 5]);
}
