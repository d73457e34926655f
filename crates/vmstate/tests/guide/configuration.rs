//! What the guest sees and nothing may change under it: compared on load, set by a property.

use super::{load, save};
use vmstate::{Migrate, Properties, Refused, Versions, VmState};

#[derive(Properties, Clone, Debug)]
#[properties(device = "blk")]
struct BlkProps {
    #[property(default = 4)] // `compat![("blk", "queues", "1")]` for the machine types of before
    queues: u16,
}

/// Most queues that a device may have.
const QUEUES_MAX: usize = 64;

#[derive(VmState, Default)]
#[vmstate(name = "blk", version = 1, props = BlkProps)]
struct BlkImage {
    #[vmstate(equal, hint = "start the destination with the source's blk.queues")]
    queues: u16,
    #[vmstate(len = queues, max = QUEUES_MAX)]
    heads: Vec<u16>,
}

struct Blk {
    props: BlkProps,
    heads: Vec<u16>,
}

impl Migrate for Blk {
    type Image = BlkImage;
    type Props = BlkProps;

    fn props(&self) -> BlkProps {
        self.props.clone()
    }

    fn snapshot(&self) -> Result<BlkImage, Refused> {
        Ok(BlkImage { queues: self.props.queues, heads: self.heads.clone() })
    }

    fn template(&self) -> Result<BlkImage, Refused> {
        self.snapshot() // what `queues` is compared with
    }

    fn restore(&mut self, image: BlkImage, _: &Versions) -> Result<(), Refused> {
        let BlkImage { queues: _, heads } = image;
        self.heads = heads;
        Ok(())
    }
}

fn blk(queues: u16) -> Blk {
    Blk { props: BlkProps { queues }, heads: vec![9; usize::from(queues)] }
}

#[test]
fn another_configuration_is_refused_by_name() {
    assert_eq!(save(&blk(1)), [0, 1, 0, 9]); // before, and old machine types
    assert_eq!(save(&blk(2)), [0, 2, 0, 9, 0, 9]);
    load(&mut blk(2), 1, &save(&blk(2))).unwrap();
    let refused = load(&mut blk(1), 1, &save(&blk(2))).unwrap_err();
    assert_eq!(
        refused,
        "queues at byte 0x0: value 0x2 does not equal 0x1 here (start the destination with the source's blk.queues)"
    );
}
