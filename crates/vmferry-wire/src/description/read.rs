//! Reads the text of a description, in every style that QEMU wrote it in.
//!
//! Accepted beyond the grammar, since real descriptions have it (`docs/spec/vmdesc.md` section A5): blanks anywhere
//! (QEMU 5.2), no `configuration`, keys that repeat in one object (an ordered multimap), an empty `struct`, members of
//! a description directly in a field, keys in another order, unknown keys. The text is hostile: its length, its nesting
//! and every number have limits, and the memory used is proportional to its length.

use std::fmt;

use serde_core::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::description::{Contents, Description, Device, DeviceBody, Field, Vmsd};
use crate::error::{Reason, WireError};
use crate::limits::{DESCRIPTION_BYTES_LIMIT, DESCRIPTION_DEPTH_LIMIT};

/// Reads a description.
///
/// # Errors
///
/// More than [`DESCRIPTION_BYTES_LIMIT`] octets, nesting beyond [`DESCRIPTION_DEPTH_LIMIT`], text that is not JSON, and
/// objects without the members that tell what and how long they are. The error's offset is inside `text`.
pub fn read(text: &[u8]) -> Result<Description, WireError> {
    if u32::try_from(text.len()).map_or(true, |length| length > DESCRIPTION_BYTES_LIMIT) {
        let found = u64::try_from(text.len()).unwrap_or(u64::MAX);
        let (what, max) = ("the length of the description", u64::from(DESCRIPTION_BYTES_LIMIT));
        return Err(WireError::new(0, Reason::OutOfRange { what, found, min: 0, max }));
    }
    let mut json = serde_json::Deserializer::from_slice(text);
    json.deserialize_map(DocumentVisitor).and_then(|description| json.end().map(|()| description)).map_err(|error| {
        // QEMU writes one line, in which the column is the offset.
        let column = u64::try_from(error.column()).unwrap_or(u64::MAX);
        let offset = if error.line() == 1 { column.saturating_sub(1) } else { 0 };
        WireError::new(offset, Reason::BadDescription { text: error.to_string() })
    })
}

struct DocumentVisitor;

impl<'de> Visitor<'de> for DocumentVisitor {
    type Value = Description;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with \"devices\"")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Description, A::Error> {
        let mut description = Description::default();
        let mut has_devices = false;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "configuration" => {
                    description.configuration =
                        Some(map.next_value_seed(ObjectSeed { depth: 1 })?.into_vmsd().map_err(Missing::into_error)?);
                }
                "page_size" => description.page_bytes = Some(map.next_value()?),
                "devices" => {
                    has_devices = true;
                    let list = ListSeed { depth: 1, convert: Object::into_device };
                    description.devices.extend(map.next_value_seed(list)?);
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        if has_devices { Ok(description) } else { Err(A::Error::missing_field("devices")) }
    }
}

/// Every member that a device, field, description or subsection can have: one visitor reads them all, and what must be
/// there is checked when the object becomes one of them.
#[derive(Default)]
struct Object {
    name: Option<String>,
    instance_id: Option<u32>,
    array_len: Option<u64>,
    index: Option<u64>,
    type_name: Option<String>,
    size: Option<u64>,
    embedded: Option<Box<Object>>,
    /// One for each `vmsd_name`, in order.
    vmsds: Vec<Vmsd>,
    /// Fields before any `vmsd_name`: those of a device with its own codec.
    has_bare_fields: bool,
}

impl Object {
    fn into_vmsd(self) -> Result<Vmsd, Missing> {
        self.vmsds.into_iter().next().ok_or(Missing("vmsd_name"))
    }

    fn into_device(self) -> Result<Device, Missing> {
        let idstr = self.name.ok_or(Missing("name"))?;
        let instance_id = self.instance_id.ok_or(Missing("instance_id"))?;
        let body = match (self.vmsds.into_iter().next(), self.size) {
            (Some(vmsd), _) => DeviceBody::Vmsd(vmsd),
            (None, Some(size)) => DeviceBody::Opaque(size),
            (None, None) if self.has_bare_fields => return Err(Missing("size")),
            (None, None) => return Err(Missing("vmsd_name")),
        };
        Ok(Device { idstr, instance_id, body })
    }

    fn into_field(self) -> Result<Field, Missing> {
        let contents = match self.embedded {
            Some(object) => match object.vmsds.into_iter().next() {
                Some(vmsd) => Contents::Struct(Box::new(vmsd)),
                None => Contents::EmptyStruct,
            },
            None if self.vmsds.is_empty() => Contents::Plain,
            None => Contents::Flat(self.vmsds),
        };
        Ok(Field {
            name: self.name.ok_or(Missing("name"))?,
            array_len: self.array_len,
            index: self.index,
            type_name: self.type_name.ok_or(Missing("type"))?,
            contents,
            size: self.size.ok_or(Missing("size"))?,
        })
    }

    /// The description whose members are being read.
    fn last_vmsd<E: Error>(&mut self) -> Result<&mut Vmsd, E> {
        self.vmsds.last_mut().ok_or_else(|| E::missing_field("vmsd_name"))
    }
}

#[derive(Clone, Copy)]
struct ObjectSeed {
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for ObjectSeed {
    type Value = Object;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Object, D::Error> {
        if self.depth > DESCRIPTION_DEPTH_LIMIT {
            return Err(D::Error::custom(format_args!("nested deeper than {DESCRIPTION_DEPTH_LIMIT} objects")));
        }
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ObjectSeed {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
        let depth = self.depth.saturating_add(1);
        let mut object = Object::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "name" => object.name = Some(map.next_value()?),
                "instance_id" => object.instance_id = Some(map.next_value()?),
                "array_len" => object.array_len = Some(map.next_value()?),
                "index" => object.index = Some(map.next_value()?),
                "type" => object.type_name = Some(map.next_value()?),
                "size" => object.size = Some(map.next_value()?),
                "struct" => object.embedded = Some(Box::new(map.next_value_seed(ObjectSeed { depth })?)),
                "vmsd_name" => {
                    object.vmsds.push(Vmsd { name: map.next_value()?, ..Vmsd::default() });
                }
                "version" => object.last_vmsd()?.version = map.next_value()?,
                "fields" => {
                    let fields = map.next_value_seed(ListSeed { depth, convert: Object::into_field })?;
                    match object.vmsds.last_mut() {
                        Some(vmsd) => vmsd.fields.extend(fields),
                        None => object.has_bare_fields = true,
                    }
                }
                "subsections" => {
                    let subsections = map.next_value_seed(ListSeed { depth, convert: Object::into_vmsd })?;
                    object.last_vmsd()?.subsections.extend(subsections);
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(object)
    }
}

/// A key that an object lacks.
struct Missing(&'static str);

impl Missing {
    fn into_error<E: Error>(self) -> E {
        E::missing_field(self.0)
    }
}

/// Reads an array of objects, each converted at once so that memory follows the result.
struct ListSeed<T> {
    depth: usize,
    convert: fn(Object) -> Result<T, Missing>,
}

impl<'de, T> DeserializeSeed<'de> for ListSeed<T> {
    type Value = Vec<T>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<T>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, T> Visitor<'de> for ListSeed<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
        let mut items = Vec::new();
        while let Some(object) = seq.next_element_seed(ObjectSeed { depth: self.depth })? {
            items.push((self.convert)(object).map_err(Missing::into_error)?);
        }
        Ok(items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        read(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn blanks_of_5_2_and_a_missing_configuration_are_accepted() {
        let text = r#"{ "page_size" : 4096 , "devices" : [
            { "name" : "timer" , "instance_id" : 0 , "vmsd_name" : "timer" ,
            "version" : 2 , "fields" : [ { "name" : "a" , "type" : "int64" , "size" : 8 } ] } ] }"#;
        let description = read(text.as_bytes()).unwrap();
        assert_eq!(description.page_bytes, Some(4096));
        assert_eq!(description.devices[0].encoded_bytes(), Some(8));
    }

    #[test]
    fn repeated_keys_of_a_list_are_all_kept() {
        let text = r#"{"devices": [{"name": "d", "instance_id": 0, "vmsd_name": "d", "version": 1, "fields": [
            {"name": "list", "type": "qtailq",
             "vmsd_name": "e", "version": 1, "fields": [{"name": "x", "type": "uint8", "size": 1}],
             "vmsd_name": "e", "version": 1, "fields": [{"name": "x", "type": "uint8", "size": 1}],
             "size": 5}]}]}"#;
        let description = read(text.as_bytes()).unwrap();
        let DeviceBody::Vmsd(vmsd) = &description.devices[0].body else { panic!("opaque") };
        let Contents::Flat(elements) = &vmsd.fields[0].contents else { panic!("not flat") };
        assert_eq!(elements.len(), 2);
        assert_eq!(description.devices[0].encoded_bytes(), Some(5));
    }

    #[test]
    fn a_device_with_its_own_codec_has_a_size_alone() {
        let text = r#"{"devices": [{"name": "old", "instance_id": 3, "size": 7,
            "fields": [{"name": "data", "size": 7, "type": "buffer"}]}]}"#;
        let device = read(text.as_bytes()).unwrap().devices.remove(0);
        assert_eq!(device, Device { idstr: "old".into(), instance_id: 3, body: DeviceBody::Opaque(7) });
    }

    #[test]
    fn an_empty_struct_is_kept_as_one() {
        let text = r#"{"devices": [{"name": "d", "instance_id": 0, "vmsd_name": "d", "version": 1, "fields": [
            {"name": "css", "array_len": 256, "type": "struct", "struct": {}, "size": 1}]}]}"#;
        let description = read(text.as_bytes()).unwrap();
        let DeviceBody::Vmsd(vmsd) = &description.devices[0].body else { panic!("opaque") };
        assert_eq!(vmsd.fields[0].contents, Contents::EmptyStruct);
    }

    #[test]
    fn what_is_missing_is_named() {
        assert!(refused("{}").contains("devices"));
        assert!(refused(r#"{"devices": [{"name": "d", "instance_id": 0}]}"#).contains("vmsd_name"));
        assert!(
            refused(r#"{"devices": [{"name": "d", "vmsd_name": "d", "version": 1, "fields": [{}]}]}"#).contains("name")
        );
        assert!(refused(r#"{"devices": [{"instance_id": -1}]}"#).contains("-1"));
        assert!(refused(r#"{"devices": []} x"#).contains("trailing"));
    }

    #[test]
    fn deep_nesting_is_refused() {
        let deep = |objects: usize| {
            // One device, then pairs of a field and the description in it.
            let mut text =
                r#"{"devices": [{"name": "d", "instance_id": 0, "vmsd_name": "d", "version": 1, "fields": ["#
                    .to_owned();
            for _ in 0..objects / 2 {
                text += r#"{"name": "s", "type": "struct", "size": 0, "#;
                text += r#""struct": {"vmsd_name": "s", "version": 1, "fields": ["#;
            }
            text += &"]}}".repeat(objects / 2);
            text + "]}]}"
        };
        let limit = DESCRIPTION_DEPTH_LIMIT;
        assert!(read(deep(limit - 2).as_bytes()).is_ok(), "{}", refused(&deep(limit - 2)));
        assert!(refused(&deep(limit + 2)).contains("nested deeper"), "{}", refused(&deep(limit + 2)));
        // The parser skips unknown members without recursion.
        let text = r#"{"devices": [], "x": "#.to_owned() + &"[".repeat(100_000);
        assert!(refused(&text).contains("EOF while parsing"), "{}", refused(&text));
    }

    #[test]
    fn the_offset_of_bad_text_is_told() {
        let error = read(br#"{"devices": [!"#).unwrap_err();
        assert_eq!(error.offset(), 13);
    }
}
