//! Values whose meaning our specification tells, for people.
//!
//! | device | field | source |
//! |---|---|---|
//! | `globalstate` | `runstate`: text padded by NUL | `docs/spec/stream.md` section 9 |
//! | any | `config_vector`, `vector`, `queue_vector`: 0xffff is none | `docs/spec/virtio-state.md` section 1 |
//! | `dirty-bitmap` | `granularity`: the unit | `docs/spec/dirty-bitmaps.md` section 2.2 |

/// Vector of an interrupt that is not to be sent.
const NO_VECTOR: u64 = 0xffff;

/// What an integer means.
pub(crate) fn meaning(device: &str, field: &str, value: u64) -> Option<&'static str> {
    match (device, field, value) {
        (_, "config_vector" | "vector" | "queue_vector", NO_VECTOR) => Some("none"),
        ("dirty-bitmap", "granularity", _) => Some("bytes"),
        _ => None,
    }
}

/// The text that a buffer holds.
pub(crate) fn text(device: &str, field: &str, octets: &[u8]) -> Option<String> {
    if (device, field) != ("globalstate", "runstate") {
        return None;
    }
    let text = octets.split(|octet| *octet == 0).next().unwrap_or_default();
    let is_name = !text.is_empty() && text.iter().all(|octet| octet.is_ascii_lowercase() || *octet == b'-');
    is_name.then(|| String::from_utf8_lossy(text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_has_a_meaning() {
        assert_eq!(meaning("virtio-net", "config_vector", 0xffff), Some("none"));
        assert_eq!(meaning("virtio-net", "config_vector", 1), None);
        assert_eq!(text("globalstate", "runstate", b"finish-migrate\0\0").as_deref(), Some("finish-migrate"));
        assert_eq!(text("globalstate", "runstate", b"\x1b[31m"), None, "no control character reaches a terminal");
        assert_eq!(text("serial", "runstate", b"running"), None);
    }
}
