//! What properties a type of device has, and what it had.
//!
//! | life of a property | is declared by | a setting of it |
//! |---|---|---|
//! | in use | `#[property(default = …)]` | is taken |
//! | has a second name | `alias = "…"` | is taken |
//! | was renamed | `old_name = "…"` | is taken, with a warning that names the new one |
//! | shall go | `deprecated = "text"` | is taken, with a warning that has the text |
//! | is gone | `removed("name", "reason")` on the struct | is refused with the reason |

use super::text::same;
use super::{PropertyKind, PropertyValue};

/// One property of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Property {
    /// Its name: in compatibility tables, on command lines and in schemas.
    pub name: &'static str,
    /// The field of the struct.
    pub field: &'static str,
    /// What values it has.
    pub kind: PropertyKind,
    /// Its value where nobody sets it.
    pub default: PropertyValue,
    /// Further names under which it can be set.
    pub aliases: &'static [&'static str],
    /// Names that it had.
    pub old_names: &'static [&'static str],
    /// Why nobody should set it any more, and what to do instead.
    pub deprecated: Option<&'static str>,
}

/// A property that a type of device had, so that whoever still sets it learns what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemovedProperty {
    /// Its name.
    pub name: &'static str,
    /// Since when it is gone, and what to do.
    pub reason: &'static str,
}

impl Property {
    /// A property called `name` in `field`.
    #[must_use]
    pub const fn new(name: &'static str, field: &'static str, kind: PropertyKind, default: PropertyValue) -> Self {
        Self { name, field, kind, default, aliases: &[], old_names: &[], deprecated: None }
    }

    /// The same, with further names.
    #[must_use]
    pub const fn with_names(mut self, aliases: &'static [&'static str], old_names: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self.old_names = old_names;
        self
    }

    /// The same, deprecated.
    #[must_use]
    pub const fn with_deprecated(mut self, deprecated: Option<&'static str>) -> Self {
        self.deprecated = deprecated;
        self
    }

    /// Whether it can be set under this name.
    #[must_use]
    pub const fn is_called(&self, name: &str) -> bool {
        same(self.name, name) || count_in(self.aliases, name) + count_in(self.old_names, name) > 0
    }

    const fn count(&self, name: &str) -> usize {
        same(self.name, name) as usize + count_in(self.aliases, name) + count_in(self.old_names, name)
    }
}

const fn count_in(mut names: &[&str], name: &str) -> usize {
    let mut count = 0;
    while let [one, rest @ ..] = names {
        count += same(one, name) as usize;
        names = rest;
    }
    count
}

/// The properties of a struct, and of those structs inside it that share its namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PropertyList {
    /// Those of its own fields, in declaration order.
    pub own: &'static [Property],
    /// Those of its `flatten` fields.
    pub flattened: &'static [PropertyList],
    /// Those that it had.
    pub gone: &'static [RemovedProperty],
}

impl PropertyList {
    /// A list; names are unique, those of the past included.
    ///
    /// # Panics
    ///
    /// Two properties have the same name; at compile time this is an error.
    #[must_use]
    #[track_caller]
    pub const fn new(
        own: &'static [Property],
        flattened: &'static [PropertyList],
        gone: &'static [RemovedProperty],
    ) -> Self {
        let list = Self { own, flattened, gone };
        assert!(list.has_unique_names(&list), "two properties have the same name");
        list
    }

    /// Whether each name of this part of the list occurs once in all of it.
    const fn has_unique_names(&self, all: &Self) -> bool {
        let mut own = self.own;
        while let [property, rest @ ..] = own {
            if all.count(property.name) != 1 {
                return false;
            }
            let mut lists: &[&[&str]] = &[property.aliases, property.old_names];
            while let [list, lists_rest @ ..] = lists {
                let mut names: &[&str] = list;
                while let [name, names_rest @ ..] = names {
                    if all.count(name) != 1 {
                        return false;
                    }
                    names = names_rest;
                }
                lists = lists_rest;
            }
            own = rest;
        }
        let mut gone = self.gone;
        while let [removed, rest @ ..] = gone {
            if all.count(removed.name) != 1 {
                return false;
            }
            gone = rest;
        }
        let mut flattened = self.flattened;
        while let [inner, rest @ ..] = flattened {
            if !inner.has_unique_names(all) {
                return false;
            }
            flattened = rest;
        }
        true
    }

    /// How often the name occurs.
    const fn count(&self, name: &str) -> usize {
        let mut count = 0;
        let mut own = self.own;
        while let [property, rest @ ..] = own {
            count += property.count(name);
            own = rest;
        }
        let mut gone = self.gone;
        while let [removed, rest @ ..] = gone {
            count += same(removed.name, name) as usize;
            gone = rest;
        }
        let mut flattened = self.flattened;
        while let [inner, rest @ ..] = flattened {
            count += inner.count(name);
            flattened = rest;
        }
        count
    }

    /// The property called `name`, or once called so.
    #[must_use]
    pub const fn find(&self, name: &str) -> Option<&'static Property> {
        let mut own = self.own;
        while let [property, rest @ ..] = own {
            if property.is_called(name) {
                return Some(property);
            }
            own = rest;
        }
        let mut flattened = self.flattened;
        while let [inner, rest @ ..] = flattened {
            if let Some(property) = inner.find(name) {
                return Some(property);
            }
            flattened = rest;
        }
        None
    }

    /// Whether there is a property called `name`, or once called so.
    #[must_use]
    pub const fn contains(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// The removed property that was called `name`.
    #[must_use]
    pub const fn removed(&self, name: &str) -> Option<&'static RemovedProperty> {
        let mut gone = self.gone;
        while let [removed, rest @ ..] = gone {
            if same(removed.name, name) {
                return Some(removed);
            }
            gone = rest;
        }
        let mut flattened = self.flattened;
        while let [inner, rest @ ..] = flattened {
            if let Some(removed) = inner.removed(name) {
                return Some(removed);
            }
            flattened = rest;
        }
        None
    }

    /// All properties that it had, in the same order as [`PropertyList::all`].
    #[must_use]
    pub fn all_removed(&self) -> Vec<&'static RemovedProperty> {
        let mut all: Vec<_> = self.gone.iter().collect();
        for inner in self.flattened {
            all.extend(inner.all_removed());
        }
        all
    }

    /// All properties: own ones first, then those of each `flatten` field.
    #[must_use]
    pub fn all(&self) -> Vec<&'static Property> {
        let mut all: Vec<_> = self.own.iter().collect();
        for inner in self.flattened {
            all.extend(inner.all());
        }
        all
    }
}
