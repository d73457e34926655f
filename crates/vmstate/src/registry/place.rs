//! Where a device stands, and what streams call it (`docs/spec/stream.md` section 4.5).

use crate::error::Refused;

/// Longest id string, in octets: it is a counted string with one length octet (`docs/spec/stream.md` section 4.5).
pub const IDSTR_MAX: usize = 255;

/// Where a device stands: its path on the buses, which of several equal ones it is, and what it was once called.
///
/// ```
/// use vmstate::Place;
///
/// let rng = Place::at("0000:00:03.0"); // id string `0000:00:03.0/virtio-rng`, instance 0
/// let apic = Place::default().instance(4).alias(1); // `apic` instance 4; old streams say instance 1
/// let ide = Place::at("0000:00:01.1").older_name("ide", 0); // releases without device paths say `ide`
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Place {
    /// Device path; the id string is `path/name`, or the name alone without a path.
    pub path: Option<String>,
    /// Instance id; the next free one of equal id strings if not given.
    pub instance: Option<u32>,
    /// Instance ids that older streams have for it, under the same id string.
    pub aliases: Vec<u32>,
    /// Id strings and instance ids that older streams have for it.
    pub older_names: Vec<(String, u32)>,
}

impl Place {
    /// A place at a device path, such as `0000:00:03.0`.
    #[must_use]
    pub fn at(path: impl Into<String>) -> Self {
        Self { path: Some(path.into()), ..Self::default() }
    }

    /// Sets the instance id: of devices without a path that are several, and may come in another order elsewhere (a
    /// CPU's number, an I/O address).
    #[must_use]
    pub fn instance(mut self, instance: u32) -> Self {
        self.instance = Some(instance);
        self
    }

    /// Has sections of another instance id loaded, too. Only the present id is written.
    #[must_use]
    pub fn alias(mut self, instance: u32) -> Self {
        self.aliases.push(instance);
        self
    }

    /// Has sections of another id string loaded, too. Only the present name is written.
    #[must_use]
    pub fn older_name(mut self, idstr: impl Into<String>, instance: u32) -> Self {
        self.older_names.push((idstr.into(), instance));
        self
    }

    /// The id string of a device whose description is called `name`.
    pub(super) fn idstr(&self, name: &str) -> Result<String, Refused> {
        let idstr = self.path.as_ref().map_or_else(|| name.to_owned(), |path| format!("{path}/{name}"));
        for idstr in std::iter::once(&idstr).chain(self.older_names.iter().map(|(older, _)| older)) {
            if idstr.is_empty() || idstr.len() > IDSTR_MAX {
                let octets = idstr.len();
                return Err(Refused::new(format!("id string '{idstr}' has {octets} octets, not 1 to {IDSTR_MAX}")));
            }
            if idstr.contains('\0') {
                let idstr = idstr.escape_debug();
                return Err(Refused::new(format!("id string '{idstr}' has a NUL, where a reader's string ends")));
            }
        }
        Ok(idstr)
    }

    /// The other names of a device whose id string is `idstr`.
    pub(super) fn other_names(&self, idstr: &str) -> Vec<(String, u32)> {
        let aliases = self.aliases.iter().map(|alias| (idstr.to_owned(), *alias));
        aliases.chain(self.older_names.iter().cloned()).collect()
    }
}
