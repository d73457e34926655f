//! Old releases sent wrong data: a marker says that a sender does not.

use super::{load, save};
use vmstate::{Migrate, Refused, Versions, VmState};

#[derive(VmState, Default)]
#[vmstate(name = "gic", version = 1)]
struct GicImage {
    enabled: u32, // releases before this one sent it shifted by one
    #[vmstate(subsection)]
    is_right: Option<MarkerImage>,
}

#[derive(VmState, Default)]
#[vmstate(name = "gic/is_right", version = 1)]
struct MarkerImage {}

struct Gic(u32);

impl Migrate for Gic {
    type Image = GicImage;
    type Props = ();

    fn props(&self) {}

    fn snapshot(&self) -> Result<GicImage, Refused> {
        Ok(GicImage { enabled: self.0, is_right: Some(MarkerImage {}) }) // always, so the next hop is right, too
    }

    fn template(&self) -> Result<GicImage, Refused> {
        Ok(GicImage::default())
    }

    fn restore(&mut self, image: GicImage, _: &Versions) -> Result<(), Refused> {
        let GicImage { enabled, is_right } = image;
        self.0 = if is_right.is_some() { enabled } else { enabled >> 1 };
        Ok(())
    }
}

#[test]
fn a_second_hop_is_not_repaired_again() {
    let mut first = Gic(0);
    load(&mut first, 1, &[0, 0, 0, 6]).unwrap(); // before: 3, shifted
    assert_eq!(first.0, 3);
    let after = save(&first);
    assert_eq!(after, b"\0\0\0\x03\x05\x0cgic/is_right\0\0\0\x01");
    let mut second = Gic(0);
    load(&mut second, 1, &after).unwrap();
    assert_eq!(second.0, 3);
}
