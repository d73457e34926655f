//! Why a QEMU refused: its words, and what they usually mean.
//!
//! The words are those that QEMU 5.2 to 11.1 said to streams which they refused (`docs/spec/compat.md` section 7; the
//! tests have them). What is not known here is shown as it was said.

use vmferry_inspect::{Analysis, Object, Value};

/// A cause that was recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cause {
    /// What is the matter.
    pub(super) what: String,
    /// What to do.
    pub(super) recipe: String,
}

/// A phrase of QEMU's, and what it means.
struct Phrase {
    /// What the line has in it.
    words: &'static str,
    explain: fn(&str) -> Cause,
}

/// In the order of asking: the first phrase that a line has counts.
const PHRASES: &[Phrase] = &[
    Phrase { words: "Machine type received is", explain: machine_type },
    Phrase { words: "Unknown savevm section or instance", explain: unknown_section },
    Phrase { words: "Unknown section or instance", explain: unknown_section },
    Phrase { words: "Unknown ramblock", explain: unknown_block },
    Phrase { words: "Size mismatch:", explain: block_size },
    Phrase { words: "exceeds allocated max", explain: queue_size },
    Phrase { words: "State blocked by non-migratable device", explain: unmigratable },
    Phrase { words: "config data:", explain: configuration_octet },
    Phrase { words: "Missing section footer for", explain: footer },
    Phrase { words: "MIG_CMD 0x", explain: command },
    Phrase { words: "unsupported. Allowed features:", explain: features },
    Phrase { words: "is not a valid property of", explain: property },
    Phrase { words: "not found", explain: option_value },
    Phrase { words: "unsupported version", explain: version },
    Phrase { words: "incoming version_id", explain: version },
    Phrase { words: "error while loading state for instance", explain: device },
];

/// The causes that the lines show, each once, in the order in which they were said. `stream` is what was to be loaded.
pub(super) fn explain(said: &[String], stream: &Analysis) -> Vec<Cause> {
    let mut causes: Vec<Cause> = unknown_subsection(said, stream).into_iter().collect();
    for line in said.iter().filter(|line| !line.contains("warning:")) {
        let found = PHRASES.iter().find(|phrase| line.contains(phrase.words));
        if let Some(cause) = found.map(|phrase| (phrase.explain)(line))
            && !causes.contains(&cause)
        {
            causes.push(cause);
        }
    }
    // What says only which device it was adds nothing to a cause that is known.
    if causes.len() > 1 {
        causes.retain(|cause| !cause.recipe.is_empty());
    }
    causes
}

/// The cause that a capability or parameter was not taken, in the words of whoever refused it.
pub(super) fn of_objection(text: &str) -> Cause {
    cause(
        text,
        "the stream needs what the destination lacks: turn it off at the source, or use a destination that has it",
    )
}

/// QEMU's only word for a subsection that it does not know, up to 10.0, is the name of the error; the stream tells
/// which there are.
fn unknown_subsection(said: &[String], stream: &Analysis) -> Option<Cause> {
    said.iter().find(|line| line.contains("load of migration failed: No such file or directory"))?;
    let line = said.iter().find(|line| line.contains("of device '"))?;
    let device = between(line, "of device '", "'");
    let mut found = Vec::new();
    for section in stream.sections.iter().filter(|section| section.name == device) {
        subsections(&section.state, &format!("{}/{}", section.name, section.instance_id), &mut found);
    }
    let (what, drop) = match &*found {
        [] => (format!("the section of '{device}' has a subsection that the destination does not know"), String::new()),
        [Subsection { name, path }] => (
            format!("the section of '{device}' has the subsection '{name}', which the destination does not know"),
            format!(", or drop it from the stored stream: vmferry edit IN OUT --drop-subsection '{path}'"),
        ),
        several => {
            let names: Vec<&str> = several.iter().map(|subsection| subsection.name.as_str()).collect();
            let names = names.join(", ");
            let what = format!(
                "the section of '{device}' has a subsection that the destination does not know, one of {names}"
            );
            (what, String::new())
        }
    };
    let recipe = format!(
        "turn off the property at the source that has it sent (the machine type's compatibility entry is missing or \
         overridden){drop}"
    );
    Some(Cause { what, recipe })
}

/// A subsection in a stream.
struct Subsection {
    name: String,
    /// Where it is, as `vmferry edit` takes it.
    path: String,
}

/// All subsections of a state, at every depth.
fn subsections(state: &Object, place: &str, found: &mut Vec<Subsection>) {
    for (name, inner) in &state.subsections {
        let path = format!("{place}.{name}");
        subsections(inner, &path, found);
        found.push(Subsection { name: name.clone(), path });
    }
    for (name, value) in &state.fields {
        in_value(value, &format!("{place}.{name}"), found);
    }
}

fn in_value(value: &Value, place: &str, found: &mut Vec<Subsection>) {
    match value {
        Value::Object(inner) => subsections(inner, place, found),
        Value::List(elements) => {
            for (index, element) in elements.iter().enumerate() {
                in_value(element, &format!("{place}[{index}]"), found);
            }
        }
        _ => {}
    }
}

fn cause(what: impl Into<String>, recipe: impl Into<String>) -> Cause {
    Cause { what: what.into(), recipe: recipe.into() }
}

/// The part of a line between two marks; the whole rest if the second is not there.
fn between<'a>(line: &'a str, before: &str, after: &str) -> &'a str {
    let rest = line.split_once(before).map_or("", |(_, rest)| rest);
    rest.split_once(after).map_or(rest, |(part, _)| part).trim()
}

fn machine_type(line: &str) -> Cause {
    let (stream, here) = (between(line, "received is '", "'"), between(line, "local is '", "'"));
    cause(
        format!("the stream is of machine type '{stream}', the destination is a '{here}'"),
        format!("start the destination with -machine {stream}"),
    )
}

fn unknown_section(line: &str) -> Cause {
    let name = between(line, "instance '", "'");
    let instance = between(line, &format!("'{name}' "), ".");
    let recipe = match name {
        "cpu_common" | "cpu" | "apic" => "start the destination with as many CPUs as the source has (-smp)",
        _ => {
            "start the destination with the devices of the source, each at its address, hot-plugged ones included; or \
             with a QEMU and machine type that give the device this section"
        }
    };
    cause(
        format!("the stream has a section '{name}' instance {instance}, and nothing at the destination takes it"),
        recipe,
    )
}

fn unknown_block(line: &str) -> Cause {
    let block = between(line, "ramblock \"", "\"");
    let recipe = if block.ends_with(".rom") {
        "the device has an option ROM at the source: give it one (romfile=…) at the destination as well"
    } else {
        "start the destination with the devices and memory backends of the source, under the same names"
    };
    cause(format!("the stream has a RAM block '{block}' that the destination lacks"), recipe)
}

fn block_size(line: &str) -> Cause {
    let block = between(line, "Size mismatch: ", ":");
    let (stream, here) = (between(line, &format!("{block}: "), " !="), between(line, "!= ", ":"));
    let recipe = match block {
        block if block.ends_with(".ram") => "start the destination with the source's memory size (-m)",
        block if block.starts_with("/rom@") || block.ends_with(".rom") || block.ends_with(".bios") => {
            "the two ends have other firmware or option ROMs: give the destination the source's files"
        }
        _ => "give the destination's device or backend the size that it has at the source",
    };
    cause(format!("RAM block '{block}' has {stream} bytes in the stream and {here} at the destination"), recipe)
}

fn queue_size(line: &str) -> Cause {
    let (found, limit) = (between(line, "vring.num ", " "), between(line, "allocated max ", " "));
    let queue = between(line, "VQ ", " ");
    let recipe = if found == "1024" {
        "give the device a queue-size of 1024 at the destination, if its guest driver has set it; some 10.0 releases write \
         1024 for queues that no driver has set up, and then the stream must be mended or the source updated"
    } else {
        "start the destination with the source's queue-size for the device"
    };
    cause(
        format!("queue {queue} has a ring of {found} entries in the stream, the destination takes at most {limit}"),
        recipe,
    )
}

fn unmigratable(line: &str) -> Cause {
    let device = between(line, "device '", "'");
    cause(
        format!("the destination has a device '{device}' that cannot migrate in this release"),
        "start both ends without it, or use a release in which it can",
    )
}

fn configuration_octet(line: &str) -> Cause {
    let place = between(line, "i=", " ");
    cause(
        format!(
            "a PCI device's configuration space differs at offset {place}: its BARs, capabilities or vectors are others"
        ),
        "set the device's properties as at the source (vectors=, bus, a newer feature turned off): the machine type's \
         compatibility entry for it is missing on one side, or a -global overrides it",
    )
}

fn footer(line: &str) -> Cause {
    let device = between(line, "footer for ", " ");
    cause(
        format!("the state of '{device}' has another length than the destination reads"),
        "the two ends disagree about a field's presence: set the device's properties alike, or find the release that \
         changed the layout for this machine type",
    )
}

fn command(line: &str) -> Cause {
    let number = between(line, "MIG_CMD ", " ");
    let recipe = if number == "0xb" {
        "turn it off at the source: -global migration.send-switchover-start=off, which machine types up to 9.2 do themselves"
    } else {
        "turn the capability that sends it off at the source"
    };
    cause(format!("the stream has a command {number} that the destination does not know"), recipe)
}

fn features(line: &str) -> Cause {
    cause(
        format!(
            "the guest has accepted virtio features that the destination's device does not offer ({})",
            line.trim()
        ),
        "start the destination with the source's features for the device, or with a host that has them",
    )
}

fn property(line: &str) -> Cause {
    cause(
        line.trim(),
        "the destination's release lacks the property: start both ends with a machine type that both know",
    )
}

fn option_value(line: &str) -> Cause {
    cause(line.trim(), "the destination's release lacks what its command line asks for")
}

fn version(line: &str) -> Cause {
    cause(
        format!("a section's version is newer or older than the destination loads ({})", line.trim()),
        "no setting makes a release write another version: use a destination that loads it, or go by way of one that does",
    )
}

fn device(line: &str) -> Cause {
    cause(format!("the section of '{}' was not loaded", between(line, "of device '", "'")), "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(line: &str) -> Cause {
        let mut causes = explain(&[line.to_owned()], &Analysis::default());
        assert_eq!(causes.len(), 1, "{line}");
        causes.remove(0)
    }

    #[test]
    fn qemus_words_are_understood() {
        for (line, what) in [
            (
                "qemu-system-x86_64: Machine type received is 'pc-i440fx-7.2' and local is 'pc-i440fx-5.2'",
                "the stream is of machine type 'pc-i440fx-7.2', the destination is a 'pc-i440fx-5.2'",
            ),
            (
                "qemu-system-x86_64: Unknown savevm section or instance 'cpu_common' 1. Make sure that your current VM \
                 setup matches your saved VM setup, including any hotplugged devices",
                "the stream has a section 'cpu_common' instance 1, and nothing at the destination takes it",
            ),
            (
                "qemu-system-x86_64: load of migration failed: Invalid argument: Unknown section or instance 'apic' 3. Make \
                 sure that your current VM setup matches your saved VM setup, including any hotplugged devices",
                "the stream has a section 'apic' instance 3, and nothing at the destination takes it",
            ),
            (
                "qemu-system-x86_64: Unknown ramblock \"0000:00:02.0/virtio-net-pci.rom\", cannot accept migration",
                "the stream has a RAM block '0000:00:02.0/virtio-net-pci.rom' that the destination lacks",
            ),
            (
                "qemu-system-x86_64: Size mismatch: pc.ram: 0x2000000 != 0x4000000: Invalid argument",
                "RAM block 'pc.ram' has 0x2000000 bytes in the stream and 0x4000000 at the destination",
            ),
            (
                "qemu-system-x86_64: VQ 0 vring.num 1024 exceeds allocated max 256",
                "queue 0 has a ring of 1024 entries in the stream, the destination takes at most 256",
            ),
            (
                "qemu-system-x86_64: State blocked by non-migratable device '0000:00:02.0/nvme'",
                "the destination has a device '0000:00:02.0/nvme' that cannot migrate in this release",
            ),
            (
                "qemu-system-x86_64: Missing section footer for 0000:00:01.3/piix4_pm",
                "the state of '0000:00:01.3/piix4_pm' has another length than the destination reads",
            ),
        ] {
            let cause = explained(line);
            assert_eq!(cause.what, what);
            assert!(!cause.recipe.is_empty());
        }
    }

    #[test]
    fn what_only_names_the_device_stands_back_and_warnings_are_no_causes() {
        let said = [
            "qemu-system-x86_64: warning: nic net0 has no peer",
            "qemu-system-x86_64: Size mismatch: pc.ram: 0x2000000 != 0x4000000: Invalid argument",
            "qemu-system-x86_64: error while loading state for instance 0x0 of device 'ram'",
            "qemu-system-x86_64: load of migration failed: Invalid argument",
        ];
        let causes = explain(&said.map(str::to_owned), &Analysis::default());
        assert_eq!(causes.len(), 1);
        assert_eq!(
            causes.first().map(|cause| cause.recipe.as_str()),
            Some("start the destination with the source's memory size (-m)")
        );
        let alone = explained("qemu-system-x86_64: error while loading state for instance 0x0 of device 'serial'");
        assert_eq!(alone.what, "the section of 'serial' was not loaded");
    }

    #[test]
    fn any_words_are_taken() {
        for line in
            ["", "Size mismatch:", "VQ vring.num exceeds allocated max", "'", "Unknown ramblock \"", "é config data:"]
        {
            let _ = explain(&[line.to_owned()], &Analysis::default());
        }
    }
}
