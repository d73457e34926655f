//! Values whose meaning our specification, or the manual of the hardware, tells, for people.
//!
//! | device | field | source |
//! |---|---|---|
//! | `globalstate` | `runstate`: text padded by NUL | `docs/spec/stream.md` section 9 |
//! | any | `config_vector`, `vector`, `queue_vector`: 0xffff is none | `docs/spec/virtio-state.md` section 1 |
//! | `cpu_common` | `halted` | `docs/spec/virtio-state.md` section 8 |
//! | `cpu` | `env.priv`: RISC-V's privilege modes; `env.misa_mxl`: width of a register | the privileged architecture, 1.2 and 3.1.1 |
//! | `i8254` | `mode` of a counter, `rw_mode` | data sheet of Intel's 8254, control word |
//! | `dirty-bitmap` | `granularity`: the unit | `docs/spec/dirty-bitmaps.md` section 2.2 |

/// Vector of an interrupt that is not to be sent.
const NO_VECTOR: u64 = 0xffff;

/// What an integer means.
pub(crate) fn meaning(device: &str, field: &str, value: u64) -> Option<&'static str> {
    match (device, field, value) {
        (_, "config_vector" | "vector" | "queue_vector", NO_VECTOR) => Some("none"),
        ("dirty-bitmap", "granularity", _) => Some("bytes"),
        ("cpu_common", "halted", 0) => Some("runs"),
        ("cpu_common", "halted", 1) => Some("halted"),
        ("cpu", "env.priv", 0) => Some("user"),
        ("cpu", "env.priv", 1) => Some("supervisor"),
        ("cpu", "env.priv", 3) => Some("machine"),
        ("cpu", "env.misa_mxl", 1) => Some("32 bits"),
        ("cpu", "env.misa_mxl", 2) => Some("64 bits"),
        ("cpu", "env.misa_mxl", 3) => Some("128 bits"),
        ("i8254", "mode", 0) => Some("interrupt on terminal count"),
        ("i8254", "mode", 1) => Some("hardware retriggerable one-shot"),
        ("i8254", "mode", 2) => Some("rate generator"),
        ("i8254", "mode", 3) => Some("square wave"),
        ("i8254", "mode", 4) => Some("software triggered strobe"),
        ("i8254", "mode", 5) => Some("hardware triggered strobe"),
        ("i8254", "rw_mode", 1) => Some("low octet"),
        ("i8254", "rw_mode", 2) => Some("high octet"),
        ("i8254", "rw_mode", 3) => Some("low octet, then high"),
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
        assert_eq!(meaning("i8254", "mode", 3), Some("square wave"));
        assert_eq!((meaning("i8254", "mode", 6), meaning("serial", "mode", 3)), (None, None));
        assert_eq!(meaning("cpu", "env.priv", 2), None, "reserved");
        assert_eq!(text("globalstate", "runstate", b"finish-migrate\0\0").as_deref(), Some("finish-migrate"));
        assert_eq!(text("globalstate", "runstate", b"\x1b[31m"), None, "no control character reaches a terminal");
        assert_eq!(text("serial", "runstate", b"running"), None);
    }
}
