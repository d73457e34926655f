//! What an older image must be.

use vmstate::{Refused, Upgrade, VmState};

#[derive(VmState, Default)]
#[vmstate(name = "clock", version = 1)]
struct ClockImageV1 {
    seconds: u32,
}

#[derive(VmState, Default)]
#[vmstate(name = "clock", version = 2, min = 1, older = ClockImageV1)]
struct OverlappingImage {
    ns: u64,
}

impl Upgrade<ClockImageV1> for OverlappingImage {
    fn older(&self) -> ClockImageV1 {
        ClockImageV1::default()
    }

    fn upgrade(&mut self, _: ClockImageV1, _: u32) -> Result<(), Refused> {
        Ok(())
    }
}

#[derive(VmState, Default)]
#[vmstate(name = "watch", version = 2, older = ClockImageV1)]
struct RenamedImage {
    ns: u64,
}

impl Upgrade<ClockImageV1> for RenamedImage {
    fn older(&self) -> ClockImageV1 {
        ClockImageV1::default()
    }

    fn upgrade(&mut self, _: ClockImageV1, _: u32) -> Result<(), Refused> {
        Ok(())
    }
}

#[derive(VmState, Default)]
#[vmstate(name = "clock", version = 2, older = ClockImageV1)]
struct WithoutUpgradeImage {
    ns: u64,
}

fn main() {}
