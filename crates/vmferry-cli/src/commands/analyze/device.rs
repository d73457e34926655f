//! `--device NAME[/INSTANCE]`.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

/// Which device to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Device {
    /// Id string, or its last component.
    pub(super) name: String,
    /// Instance; any if absent.
    pub(super) instance_id: Option<u32>,
}

impl FromStr for Device {
    type Err = Infallible;

    /// Names hold slashes themselves; only a number behind the last one is an instance.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        let split = text.rsplit_once('/').and_then(|(name, id)| Some((name, id.parse().ok()?)));
        Ok(match split {
            Some((name, instance_id)) => Self { name: name.to_owned(), instance_id: Some(instance_id) },
            None => Self { name: text.to_owned(), instance_id: None },
        })
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.instance_id {
            Some(id) => write!(f, "{}/{id}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_number_behind_the_last_slash_is_an_instance() {
        for (text, name, instance_id) in [
            ("serial", "serial", None),
            ("serial/0", "serial", Some(0)),
            ("0000:00:04.0/virtio-net", "0000:00:04.0/virtio-net", None),
            ("0000:00:04.0/virtio-net/1", "0000:00:04.0/virtio-net", Some(1)),
            ("pl011/x", "pl011/x", None),
        ] {
            let device: Device = text.parse().unwrap();
            assert_eq!((device.name.as_str(), device.instance_id), (name, instance_id));
            assert_eq!(device.to_string(), text);
        }
    }
}
