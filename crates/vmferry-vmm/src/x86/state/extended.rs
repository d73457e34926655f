//! Extended state: extended control registers, and the XSAVE area with everything from the x87 stack on.

use kvm_bindings::{kvm_xcr, kvm_xcrs};
use vmstate::{Refused, VmState};

use super::{expect_at_most, expect_bits};

/// Most extended control registers, as many as the kernel's structure has.
pub(crate) const XCRS_MAX: usize = 16;
/// Most bytes of an XSAVE area: AMX, the largest component so far, needs 11 008.
pub(crate) const XSAVE_BYTES_MAX: usize = 64 << 10;

/// Offsets in the area: components that are not in their initial state, and those of a compacted area.
const XSTATE_BV: usize = 512;
const XCOMP_BV: usize = 520;
/// Bytes of the oldest area: x87, SSE and the header.
const XSAVE_BYTES_MIN: usize = 576;

/// Image of an extended control register.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "x86_vcpu_xcr", version = 1)]
pub(crate) struct XcrImage {
    xcr: u32,
    value: u64,
}

/// The images of `xcrs`.
pub(crate) fn xcr_images(xcrs: &kvm_xcrs) -> Vec<XcrImage> {
    let count = usize::try_from(xcrs.nr_xcrs).unwrap_or(usize::MAX);
    xcrs.xcrs
        .iter()
        .take(count)
        .map(|kvm_xcr { xcr, value, reserved: _ }| XcrImage { xcr: *xcr, value: *value })
        .collect()
}

/// The extended control registers of `images`, with components of `supported` only.
pub(crate) fn checked_xcrs(images: &[XcrImage], supported: u64) -> Result<kvm_xcrs, Refused> {
    let mut xcrs = kvm_xcrs::default();
    expect_at_most("the number of xcrs", images.len() as u64, XCRS_MAX as u64)?;
    for (XcrImage { xcr, value }, to) in images.iter().zip(&mut xcrs.xcrs) {
        expect_at_most("xcrs.xcr", *xcr, 0)?;
        expect_bits("xcrs.value of XCR0", *value, supported)?;
        if value & 1 == 0 {
            return Err(Refused::new(format!("xcrs.value of XCR0 is {value:#x}; bit 0, the x87 state, must be 1")));
        }
        *to = kvm_xcr { xcr: *xcr, value: *value, reserved: 0 };
        xcrs.nr_xcrs += 1;
    }
    Ok(xcrs)
}

/// Checks an XSAVE area against what this host can hold: `bytes` and the components of `supported`.
pub(crate) fn check_xsave(area: &[u8], bytes: usize, supported: u64) -> Result<(), Refused> {
    if !(XSAVE_BYTES_MIN..=bytes).contains(&area.len()) || !area.len().is_multiple_of(4) {
        return Err(Refused::new(format!(
            "xsave has {} bytes; accepted here are multiples of 4 from {XSAVE_BYTES_MIN} to {bytes}",
            area.len()
        )));
    }
    let word =
        |at: usize| area.get(at..).and_then(|bytes| bytes.first_chunk()).map_or(0, |word| u64::from_le_bytes(*word));
    expect_bits("xsave's XSTATE_BV", word(XSTATE_BV), supported)?;
    expect_bits("xsave's XCOMP_BV", word(XCOMP_BV), 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    vmstate::vmstate_tests!(XcrImage);

    #[test]
    fn components_that_the_host_lacks_are_refused() {
        let of = |value| checked_xcrs(&[XcrImage { xcr: 0, value }], 7);
        assert_eq!(xcr_images(&of(7).unwrap()), [XcrImage { xcr: 0, value: 7 }]);
        assert!(of(0xf).unwrap_err().to_string().contains("0x7"));
        assert!(of(6).is_err());
        assert!(checked_xcrs(&[XcrImage { xcr: 1, value: 7 }], 7).is_err());

        let mut area = vec![0; 4096];
        area[XSTATE_BV] = 3;
        assert!(check_xsave(&area, 4096, 7).is_ok());
        assert!(check_xsave(&area[..572], 4096, 7).is_err());
        assert!(check_xsave(&area, 2048, 7).is_err());
        area[XSTATE_BV + 1] = 2;
        assert!(check_xsave(&area, 4096, 7).unwrap_err().to_string().contains("XSTATE_BV"));
        area[XSTATE_BV + 1] = 0;
        area[XCOMP_BV + 7] = 0x80;
        assert!(check_xsave(&area, 4096, 7).unwrap_err().to_string().contains("XCOMP_BV"));
    }
}
