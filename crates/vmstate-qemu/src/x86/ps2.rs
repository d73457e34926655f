//! The PS/2 keyboard and mouse.
//!
//! | image | section, version | fields |
//! |---|---|---|
//! | [`Ps2KeyboardImage`] | `ps2kbd` 3 | `parent_obj`; `scan_enabled`, `translate`, `scancode_set` (since 3) i32 |
//! | [`Ps2MouseImage`] | `ps2mouse` 2 | `parent_obj`; `mouse_status`, `mouse_resolution`, `mouse_sample_rate`, `mouse_wrap`, `mouse_type`, `mouse_detect_state` u8; `mouse_dx`, `mouse_dy`, `mouse_dz` i32; `mouse_buttons` u8 |
//! | [`Ps2StateImage`] | `PS2 Common State` 3, in both | `write_cmd`, `queue.rptr`, `queue.wptr`, `queue.count` i32; `queue.data` 256 octets |
//!
//! QEMU 5.2 calls `parent_obj` `common`.
//!
//! | subsection, version | fields | sent |
//! |---|---|---|
//! | `ps2kbd/ledstate` 3 | `ledstate` i32 | a LED is on |
//! | `ps2kbd/need_high_bit` 1 | `need_high_bit` bool | between the two octets of a released key; not seen, its width is from the schema dumps |
//! | `ps2kbd/command_reply_queue` 0 | `parent_obj.queue.cwptr` i32 | answers to a command stand before the keys; not in 5.2 |
//!
//! Source: streams of QEMU 5.2, 7.2, 10.0 and 11.1 (`pc`, `q35`), and their schema dumps.

use vmstate::VmState;

use crate::arrays::Octets;

/// The keyboard.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "ps2kbd", version = 3, min = 2)]
pub struct Ps2KeyboardImage {
    /// What it has in common with the mouse.
    pub parent_obj: Ps2StateImage,
    /// Whether keys are reported.
    pub scan_enabled: i32,
    /// Whether the controller translates them to those of set 1.
    pub translate: i32,
    /// Set of codes, 1 to 3.
    #[vmstate(since = 3)]
    pub scancode_set: i32,
    /// LEDs.
    #[vmstate(subsection)]
    pub ledstate: Option<LedstateImage>,
    /// A released key of which the first octet was translated.
    #[vmstate(subsection)]
    pub need_high_bit: Option<NeedHighBitImage>,
    /// Answers to a command.
    #[vmstate(subsection)]
    pub command_reply_queue: Option<CommandReplyQueueImage>,
}

/// The mouse.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "ps2mouse", version = 2)]
pub struct Ps2MouseImage {
    /// What it has in common with the keyboard.
    pub parent_obj: Ps2StateImage,
    /// Scaling, reporting, remote mode.
    pub mouse_status: u8,
    /// Resolution as the guest set it.
    pub mouse_resolution: u8,
    /// Samples in a second.
    pub mouse_sample_rate: u8,
    /// Whether what is written comes back.
    pub mouse_wrap: u8,
    /// Model that it pretends to be.
    pub mouse_type: u8,
    /// How much of the sequence that asks for another model was seen.
    pub mouse_detect_state: u8,
    /// Movement that was not reported yet, to the right.
    pub mouse_dx: i32,
    /// Upwards.
    pub mouse_dy: i32,
    /// Of the wheel.
    pub mouse_dz: i32,
    /// Buttons that are down.
    pub mouse_buttons: u8,
}

/// What both have.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "PS2 Common State", version = 3, min = 2)]
pub struct Ps2StateImage {
    /// Command whose data is awaited; −1 for none.
    pub write_cmd: i32,
    /// Position in the queue of the octet that is read next.
    #[vmstate(name = "queue.rptr")]
    pub rptr: i32,
    /// Position of the one that comes next.
    #[vmstate(name = "queue.wptr")]
    pub wptr: i32,
    /// Octets in the queue.
    #[vmstate(name = "queue.count")]
    pub count: i32,
    /// The queue, a ring.
    #[vmstate(name = "queue.data")]
    pub data: Octets<256>,
}

/// LEDs.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "ps2kbd/ledstate", version = 3, min = 2)]
pub struct LedstateImage {
    /// Those that are on, a bit for each.
    pub ledstate: i32,
}

/// A released key of which the first octet was translated.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "ps2kbd/need_high_bit", version = 1)]
pub struct NeedHighBitImage {
    /// Whether the next code is that of a released key.
    pub need_high_bit: bool,
}

/// Answers to a command.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "ps2kbd/command_reply_queue", version = 0)]
pub struct CommandReplyQueueImage {
    /// Position in the queue behind the last answer.
    #[vmstate(name = "parent_obj.queue.cwptr")]
    pub cwptr: i32,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyboard() -> Ps2KeyboardImage {
        Ps2KeyboardImage {
            parent_obj: Ps2StateImage { write_cmd: -1, wptr: 2, count: 2, ..Default::default() },
            scancode_set: 2,
            ledstate: Some(LedstateImage { ledstate: 2 }),
            need_high_bit: Some(NeedHighBitImage { need_high_bit: true }),
            command_reply_queue: Some(CommandReplyQueueImage { cwptr: 2 }),
            ..Default::default()
        }
    }

    vmstate::vmstate_tests! {
        mod ps2_keyboard_image: Ps2KeyboardImage {
            props: (),
            template: Ps2KeyboardImage::default(),
            samples: [keyboard()],
            allow: [("nested-version at ps2kbd.parent_obj", "QEMU's own: both versions have the same fields")],
        }
    }

    vmstate::vmstate_tests! {
        mod ps2_mouse_image: Ps2MouseImage {
            props: (),
            template: Ps2MouseImage::default(),
            samples: [Ps2MouseImage { mouse_dx: -1, mouse_buttons: 4, ..Default::default() }],
            allow: [("nested-version at ps2mouse.parent_obj", "QEMU's own: both versions have the same fields")],
        }
    }
}
