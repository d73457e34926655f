//! A field that became too small: the old one stays, the whole value travels in a subsection.

use super::{load, save};
use vmstate::{Migrate, Properties, Refused, Versions, VmState};

#[derive(Properties, Clone, Debug)]
#[properties(device = "net")]
struct NetProps {
    #[property(default = true)] // off in the machine types of before
    migrate_long_count: bool,
}

#[derive(VmState, Default)]
#[vmstate(name = "net", version = 1, props = NetProps)]
struct NetImage {
    count: u16, // as much of it as fits
    #[vmstate(subsection, gate = migrate_long_count)]
    long_count: Option<LongCountImage>,
}

#[derive(VmState, Default)]
#[vmstate(name = "net/long_count", version = 1)]
struct LongCountImage {
    count: u32,
}

struct Net {
    props: NetProps,
    count: u32,
}

impl Migrate for Net {
    type Image = NetImage;
    type Props = NetProps;

    fn props(&self) -> NetProps {
        self.props.clone()
    }

    fn snapshot(&self) -> Result<NetImage, Refused> {
        let Self { props: _, count } = self;
        let short = u16::try_from(*count).unwrap_or(u16::MAX);
        let long_count = (*count != u32::from(short)).then_some(LongCountImage { count: *count });
        Ok(NetImage { count: short, long_count })
    }

    fn template(&self) -> Result<NetImage, Refused> {
        Ok(NetImage::default())
    }

    fn restore(&mut self, image: NetImage, _: &Versions) -> Result<(), Refused> {
        let NetImage { count, long_count } = image;
        self.count = long_count.map_or(u32::from(count), |long| long.count);
        Ok(())
    }
}

fn net(migrate_long_count: bool, count: u32) -> Net {
    Net { props: NetProps { migrate_long_count }, count }
}

#[test]
fn the_subsection_wins_where_it_is_sent() {
    assert_eq!(save(&net(true, 7)), [0, 7]); // before, and after while the value fits
    assert_eq!(save(&net(true, 0x1_0000)), b"\xff\xff\x05\x0enet/long_count\0\0\0\x01\0\x01\0\0");
    assert_eq!(save(&net(false, 0x1_0000)), [0xff, 0xff]); // an old machine type: the best that it can hold
    for (sent, arrived) in [(7, 7), (0x1_0000, 0x1_0000)] {
        let mut receiver = net(true, 1);
        load(&mut receiver, 1, &save(&net(true, sent))).unwrap();
        assert_eq!(receiver.count, arrived);
    }
}
