//! A field that nobody needs any more: its octets stay.

use super::{load, save};
use vmstate::{Migrate, Refused, Versions, VmState};

mod before {
    use vmstate::VmState;

    #[derive(VmState, Default)]
    #[vmstate(name = "dma", version = 1)]
    pub(super) struct DmaImage {
        pub(super) base: u32,
        pub(super) cache: u32,
        pub(super) count: u16,
    }
}

#[derive(VmState, Default)]
#[vmstate(name = "dma", version = 1)]
struct DmaImage {
    base: u32,
    #[vmstate(unused = 4)] // was `cache`: sent as zeros, skipped on load
    cache: (),
    count: u16,
}

#[derive(Default, Debug, PartialEq)]
struct Dma {
    base: u32,
    count: u16,
}

impl Migrate for Dma {
    type Image = DmaImage;
    type Props = ();

    fn props(&self) {}

    fn snapshot(&self) -> Result<DmaImage, Refused> {
        let Self { base, count } = self;
        Ok(DmaImage { base: *base, cache: (), count: *count })
    }

    fn template(&self) -> Result<DmaImage, Refused> {
        Ok(DmaImage::default())
    }

    fn restore(&mut self, image: DmaImage, _: &Versions) -> Result<(), Refused> {
        let DmaImage { base, cache: (), count } = image;
        *self = Self { base, count };
        Ok(())
    }
}

#[test]
fn the_octets_keep_their_place() {
    let mut old = Vec::new();
    before::DmaImage { base: 0x1000, cache: 0xdead_beef, count: 7 }.encode(&(), &mut old).unwrap();
    let dma = Dma { base: 0x1000, count: 7 };
    assert_eq!(old, [0, 0, 0x10, 0, 0xde, 0xad, 0xbe, 0xef, 0, 7]); // before
    assert_eq!(save(&dma), [0, 0, 0x10, 0, 0, 0, 0, 0, 0, 7]); // after: old releases load it
    let mut receiver = Dma::default();
    load(&mut receiver, 1, &old).unwrap();
    assert_eq!(receiver, dma);
}
