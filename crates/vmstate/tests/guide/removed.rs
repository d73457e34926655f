//! A field whose octets are to go: it is there for old machine types only.

use super::{load, save};
use vmstate::{Migrate, Properties, Refused, Versions, VmState};

#[derive(Properties, Clone, Debug)]
#[properties(device = "dma")]
struct DmaProps {
    #[property(default = false)] // `compat![("dma", "x-migrate-cache", "on")]` for machine types that have it
    x_migrate_cache: bool,
}

#[derive(VmState, Default)]
#[vmstate(name = "dma", version = 1, props = DmaProps)]
struct DmaImage {
    base: u32,
    #[vmstate(gate = x_migrate_cache)] // filled with what an old destination expects
    cache: u32,
    count: u16,
}

struct Dma {
    props: DmaProps,
    base: u32,
    count: u16,
}

impl Migrate for Dma {
    type Image = DmaImage;
    type Props = DmaProps;

    fn props(&self) -> DmaProps {
        self.props.clone()
    }

    fn snapshot(&self) -> Result<DmaImage, Refused> {
        let Self { props: _, base, count } = self;
        Ok(DmaImage { base: *base, cache: base & !0xfff, count: *count })
    }

    fn template(&self) -> Result<DmaImage, Refused> {
        Ok(DmaImage::default())
    }

    fn restore(&mut self, image: DmaImage, _: &Versions) -> Result<(), Refused> {
        let DmaImage { base, cache: _, count } = image;
        *self = Self { props: self.props.clone(), base, count };
        Ok(())
    }
}

fn dma(x_migrate_cache: bool) -> Dma {
    Dma { props: DmaProps { x_migrate_cache }, base: 0x1234, count: 7 }
}

#[test]
fn old_machine_types_keep_the_octets() {
    assert_eq!(save(&dma(true)), [0, 0, 0x12, 0x34, 0, 0, 0x10, 0, 0, 7]); // before, and old machine types
    assert_eq!(save(&dma(false)), [0, 0, 0x12, 0x34, 0, 7]); // after, new machine types
    for machine in [true, false] {
        load(&mut dma(machine), 1, &save(&dma(machine))).unwrap();
    }
    // The two sides decide for themselves: with the property set by hand at one end only, both directions break.
    let missing = load(&mut dma(true), 1, &save(&dma(false))).unwrap_err();
    assert_eq!(missing, "cache at byte 0x4: stream ends: needs 4 bytes, 2 left");
    let shifted = load(&mut dma(false), 1, &save(&dma(true))).unwrap_err();
    assert_eq!(shifted, "missing section footer: 4 octets are left");
}
