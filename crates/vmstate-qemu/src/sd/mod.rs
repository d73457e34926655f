//! SD cards and what they are plugged into.
//!
//! | image | section, version |
//! |---|---|
//! | [`card`] | `sd-card` 2, in four layouts |
//! | [`sdhci::SdhciImage`] | `sdhci` 1 |
//! | [`ssi_sd::SsiSdImage`] | `ssi_sd` 7 |

pub mod card;
pub mod sdhci;
pub mod ssi_sd;
