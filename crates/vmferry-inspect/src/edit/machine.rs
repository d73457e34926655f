//! Edits in the configuration section: the machine type, and its subsections.

use std::io::{Read as _, SeekFrom};

use vmferry_wire::configuration::Configuration;
use vmferry_wire::header::HEADER_BYTES;
use vmferry_wire::limits::MACHINE_NAME_LIMIT;
use vmferry_wire::{Decoded, Name};

use crate::edit::Draft;
use crate::edit::error::EditError;

/// Longest configuration section: [`MACHINE_NAME_LIMIT`], capabilities, and the octet behind it.
const CONFIGURATION_BYTES_LIMIT: u64 = 128 << 10;

impl Draft<'_> {
    pub(super) fn set_machine(&mut self, name: &str) -> Result<(), EditError> {
        let what = format!("--machine {name}");
        let machine =
            Name::new(name, "machine type").map_err(|reason| EditError::unfit(what.clone(), reason.to_string()))?;
        if machine.len() > usize::try_from(MACHINE_NAME_LIMIT).unwrap_or(usize::MAX) {
            return Err(EditError::unfit(what, format!("a name of up to {MACHINE_NAME_LIMIT} octets is expected")));
        }
        let Some(configuration) = &mut self.configuration else {
            return Err(EditError::unfit(what, "the stream has no configuration section"));
        };
        if configuration.machine != machine {
            configuration.machine = machine;
            self.is_configuration_changed = true;
        }
        Ok(())
    }

    pub(super) fn drop_from_configuration(&mut self, name: &str, what: &str) -> Result<(), EditError> {
        let Some(configuration) = &mut self.configuration else {
            return Err(EditError::unfit(what, "the stream has no configuration section"));
        };
        let is_dropped = match name {
            "configuration/uuid" => configuration.uuid.take().is_some(),
            "configuration/capabilities" | "configuration/target-page-bits" => {
                return Err(EditError::refused(what, "it says how the stream itself is read"));
            }
            _ => false,
        };
        if !is_dropped {
            return Err(EditError::unfit(what, "no such subsection in the configuration"));
        }
        self.is_configuration_changed = true;
        Ok(())
    }

    /// Puts the configuration into the stream, if it changed.
    pub(super) fn splice_configuration(&mut self) -> Result<(), EditError> {
        let Some(configuration) = self.configuration.as_ref().filter(|_| self.is_configuration_changed) else {
            return Ok(());
        };
        let start = u64::try_from(HEADER_BYTES).unwrap_or(u64::MAX);
        let file = &mut self.stream.file;
        let mut octets = Vec::new();
        file.seek(SeekFrom::Start(start)).map_err(EditError::Read)?;
        file.take(CONFIGURATION_BYTES_LIMIT).read_to_end(&mut octets).map_err(EditError::Read)?;
        let Ok(Decoded::Complete { used, .. }) = Configuration::decode(&octets) else {
            return Err(EditError::refused("the configuration", "it cannot be read again"));
        };
        let used = u64::try_from(used).unwrap_or(u64::MAX);
        let mut encoded = Vec::new();
        configuration.encode(&mut encoded);
        self.splices.replace(start..start.saturating_add(used), encoded);
        if let Some(description) = &mut self.description
            && description.configuration.is_some()
        {
            description.configuration = Some(configuration.description());
            self.is_description_stale = true;
        }
        Ok(())
    }
}
