//! Ways to change a device and keep migration (`docs/spec/compat.md` section 6).
//!
//! | recipe | file |
//! |---|---|
//! | R1 new state, tied to machine types | `r01_new_state` |
//! | R2 new state, sent when it is needed | `r02_rare_state` |
//! | R3 dropping a field | `r03_dropping_a_field` |
//! | R4 changing a field's size or meaning | `r04_changing_a_size` |
//! | R5 raising the version | `r05_raising_the_version` |
//! | R6 failing explicitly | `r06_failing_explicitly` |
//! | R7 a section for a device that had none, or could not migrate | `r07_new_section` |
//! | R8 what a guest sees of the hardware | `r08_visible_configuration` |
//! | R9 a new element of the stream | `breaks::b14_switchover_start` |
//! | R10 renaming and moving | `r10_renaming`; to another section: `breaks::b27_virtio_mem_early` |
//! | R11 mending data that old releases sent wrong | `r11_fixing_wrong_data` |
//! | R12 two variants of one state | `r12_two_variants` |
//! | loading a form that no attribute can express | `r13_older_image` |

use vmstate_lab::Lab;

mod r01_new_state;
mod r02_rare_state;
mod r03_dropping_a_field;
mod r04_changing_a_size;
mod r05_raising_the_version;
mod r06_failing_explicitly;
mod r07_new_section;
mod r08_visible_configuration;
mod r10_renaming;
mod r11_fixing_wrong_data;
mod r12_two_variants;
mod r13_older_image;

/// Each with its name.
pub(crate) fn all() -> Vec<(&'static str, Lab)> {
    vec![
        ("r01_new_state", r01_new_state::lab()),
        ("r02_rare_state", r02_rare_state::lab()),
        ("r03_dropping_a_field", r03_dropping_a_field::lab()),
        ("r04_changing_a_size", r04_changing_a_size::lab()),
        ("r05_raising_the_version", r05_raising_the_version::lab()),
        ("r06_failing_explicitly", r06_failing_explicitly::lab()),
        ("r07_new_section", r07_new_section::lab()),
        ("r07_new_section, with sound", r07_new_section::lab_with_sound()),
        ("r08_visible_configuration", r08_visible_configuration::lab()),
        ("r10_renaming", r10_renaming::lab()),
        ("r11_fixing_wrong_data", r11_fixing_wrong_data::lab()),
        ("r11_fixing_wrong_data, without a property", r11_fixing_wrong_data::lab_without_a_property()),
        ("r12_two_variants", r12_two_variants::lab()),
        ("r13_older_image", r13_older_image::lab()),
    ]
}
