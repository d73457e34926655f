//! What an image that cannot exist must look like.

use vmstate::VmState;

#[derive(VmState)]
#[vmstate(name = "nvme", version = 1, unmigratable = "its queues are in the controller")]
struct NvmeImage {
    queues: u32,
}

#[derive(VmState)]
#[vmstate(name = "vfio", unmigratable = "why", early)]
enum EarlyImage {}

#[derive(VmState)]
#[vmstate(name = "vfio", unmigratable = "")]
enum WithoutReasonImage {}

#[derive(VmState)]
#[vmstate(unmigratable = "why")]
enum WithoutNameImage {}

fn main() {}
