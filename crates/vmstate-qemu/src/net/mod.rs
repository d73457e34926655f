//! Network cards.
//!
//! | image | section, version | what |
//! |---|---|---|
//! | [`e1000::E1000Image`] | `e1000` 2 | Intel's card for PCI |
//! | [`e1000e::E1000eImage`] | `e1000e` 1 | and that for PCI Express |

pub mod e1000;
pub mod e1000e;
