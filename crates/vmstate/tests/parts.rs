//! The images of parts that many devices have, each by its generated tests.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use vmstate::parts::{ClockImage, ClockMuldivImage, Fifo8Image, PtimerImage};

vmstate::vmstate_tests!(ClockImage);
vmstate::vmstate_tests!(ClockMuldivImage);
vmstate::vmstate_tests!(PtimerImage);

vmstate::vmstate_tests! {
    mod fifo8_image: Fifo8Image {
        template: Fifo8Image::holding(b"abc", 16).unwrap(),
        allow: [("since-at-minimum at Fifo8.data", "QEMU's own")],
    }
}
