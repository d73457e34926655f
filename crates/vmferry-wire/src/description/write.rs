//! The text of a description, octet for octet as QEMU 10.0 writes it: one line, `", "` and `": "` between, no blanks
//! inside brackets, ASCII with `\uXXXX` for the rest.

use crate::description::{Contents, Description, Device, DeviceBody, Field, TYPE_STRUCT, Vmsd};

impl Description {
    /// The JSON text.
    pub fn to_text(&self) -> String {
        let mut out = Text(String::new());
        let mut members = Members::open(&mut out);
        if let Some(configuration) = &self.configuration {
            let value = members.key("configuration");
            let mut inner = Members::open(value);
            write_vmsd(&mut inner, configuration);
            inner.close();
        }
        if let Some(page_bytes) = self.page_bytes {
            members.number("page_size", page_bytes);
        }
        members.list("devices", &self.devices, write_device);
        members.close();
        out.0
    }
}

fn write_device(members: &mut Members<'_>, device: &Device) {
    let Device { idstr, instance_id, body } = device;
    members.string("name", idstr);
    members.number("instance_id", u64::from(*instance_id));
    match body {
        DeviceBody::Vmsd(vmsd) => write_vmsd(members, vmsd),
        DeviceBody::Opaque(size) => {
            members.number("size", *size);
            members.list("fields", &[()], |members, ()| {
                members.string("name", "data");
                members.number("size", *size);
                members.string("type", "buffer");
            });
        }
    }
}

fn write_vmsd(members: &mut Members<'_>, vmsd: &Vmsd) {
    let Vmsd { name, version, fields, subsections } = vmsd;
    members.string("vmsd_name", name);
    members.number("version", u64::from(*version));
    members.list("fields", fields, write_field);
    if !subsections.is_empty() {
        members.list("subsections", subsections, write_vmsd);
    }
}

fn write_field(members: &mut Members<'_>, field: &Field) {
    let Field { name, array_len, index, type_name, contents, size } = field;
    members.string("name", name);
    if let Some(array_len) = array_len {
        members.number("array_len", *array_len);
    }
    if let Some(index) = index {
        members.number("index", *index);
    }
    members.string("type", type_name);
    match contents {
        Contents::Plain => {}
        Contents::EmptyStruct => Members::open(members.key(TYPE_STRUCT)).close(),
        Contents::Struct(vmsd) => {
            let mut inner = Members::open(members.key(TYPE_STRUCT));
            write_vmsd(&mut inner, vmsd);
            inner.close();
        }
        Contents::Flat(vmsds) => {
            for vmsd in vmsds {
                write_vmsd(members, vmsd);
            }
        }
    }
    members.number("size", *size);
}

struct Text(String);

/// An object while its members are written.
struct Members<'a> {
    out: &'a mut Text,
    is_first: bool,
}

impl<'a> Members<'a> {
    fn open(out: &'a mut Text) -> Members<'a> {
        out.0.push('{');
        Members { out, is_first: true }
    }

    fn close(self) {
        self.out.0.push('}');
    }

    fn key(&mut self, key: &str) -> &mut Text {
        if !self.is_first {
            self.out.0.push_str(", ");
        }
        self.is_first = false;
        self.out.string(key);
        self.out.0.push_str(": ");
        self.out
    }

    fn string(&mut self, key: &str, value: &str) {
        self.key(key).string(value);
    }

    fn number(&mut self, key: &str, value: u64) {
        self.key(key).0.push_str(&value.to_string());
    }

    fn list<T>(&mut self, key: &str, items: &[T], write: impl Fn(&mut Members<'_>, &T)) {
        let out = self.key(key);
        out.0.push('[');
        for (i, item) in items.iter().enumerate() {
            if i > 0 {
                out.0.push_str(", ");
            }
            let mut members = Members::open(out);
            write(&mut members, item);
            members.close();
        }
        out.0.push(']');
    }
}

impl Text {
    fn string(&mut self, text: &str) {
        self.0.push('"');
        for c in text.chars() {
            match c {
                '"' => self.0.push_str("\\\""),
                '\\' => self.0.push_str("\\\\"),
                '\u{8}' => self.0.push_str("\\b"),
                '\u{c}' => self.0.push_str("\\f"),
                '\n' => self.0.push_str("\\n"),
                '\r' => self.0.push_str("\\r"),
                '\t' => self.0.push_str("\\t"),
                ' '..='~' => self.0.push(c),
                _ => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        self.0.push_str(&format!("\\u{unit:04X}"));
                    }
                }
            }
        }
        self.0.push('"');
    }
}
