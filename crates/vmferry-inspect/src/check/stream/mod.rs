//! Will this stream load there? What a stream really carries, against what is known of the destination.
//!
//! ```text
//!              ┌ schema NEW ─────────── schema.rs     sections, versions, fields, subsections    level "schema"
//!  stream S ───┼ and a machine type ─── schema.rs     what it makes of the properties            level "machine"
//!              └ reference R ────────── reference.rs  devices, RAM; shape.rs: fields and values  level "reference"
//!                                        pci.rs, virtio.rs, arm.rs: configuration space, queues, registers
//! ```
//!
//! Each level adds to the one before. Without a reference it is not known which devices and how much RAM the
//! destination has, so that the verdict is `depends` at best. A reference is a stream that the destination saved
//! itself, freshly started with the arguments that will be used, and paused.
//!
//! What a stream and a reference cannot show is what the guest agreed on with a device and the destination does not
//! offer (features of virtio): `vmferry rehearse` asks the destination itself.

mod arm;
mod pci;
mod recorded;
mod reference;
mod releases;
mod report;
mod rules;
mod schema;
mod shape;
mod text;
mod tree;
mod virtio;

pub use recorded::{ReadError, Recorded};
pub use report::{Level, StreamFinding, StreamReport};
pub use rules::StreamRule;
pub use text::text;

use self::reference::Reference;
use self::report::Found;
use self::schema::SchemaIndex;
use crate::check::{CheckError, Renames, Schema, Severity};

/// What is known of a destination.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Destination<'d> {
    /// Its schema.
    pub schema: Option<&'d Schema>,
    /// The machine type that it will be started with.
    pub machine: Option<&'d str>,
    /// A stream that it saved, freshly started and paused.
    pub reference: Option<&'d Recorded>,
}

/// Tells whether a destination will load a stream.
///
/// # Errors
///
/// The schema lists machine types, and that of the destination is not among them.
pub fn check_stream(
    stream: &Recorded,
    destination: &Destination<'_>,
    renames: &Renames,
) -> Result<StreamReport, CheckError> {
    let Destination { schema, machine, reference } = *destination;
    if let (Some(schema), Some(machine)) = (schema, machine)
        && !schema.machine_types.is_empty()
        && !schema.knows(machine)
    {
        let known = schema.machine_names().into_iter().map(str::to_owned).collect();
        return Err(CheckError::UnknownMachine { side: "NEW", machine: machine.to_owned(), known });
    }
    let mut found = Found::default();
    let index = schema.map(SchemaIndex::new);
    let level = match (reference, machine) {
        (Some(_), _) => Level::Reference,
        (None, Some(_)) => Level::Machine,
        (None, None) => Level::Schema,
    };
    if let (Some(sent), Some(machine)) = (stream.machine(), machine)
        && sent != machine
    {
        found.add(machine_finding(Severity::Break, StreamRule::MachineType, (sent, machine), None));
    }
    if let (Some(sent), Some(schema), None) = (stream.machine(), schema, machine)
        && !schema.machine_types.is_empty()
        && !schema.knows(sent)
    {
        let known = schema.machine_names().join(", ");
        found.add(machine_finding(Severity::Break, StreamRule::MachineType, (sent, &known), None));
    }
    if let Some(index) = &index {
        // Our schemas say what each machine type makes of the properties; the stream names its own.
        let machine = machine.or_else(|| stream.machine().filter(|sent| index.knows_machine(sent)));
        let mut by_schema = Found::default();
        schema::compare(stream, index, machine, renames, &mut by_schema);
        // What a schema leaves open a reference decides.
        found.take(by_schema, if reference.is_some() { Severity::Break } else { Severity::Info });
    }
    match reference {
        Some(own) => Reference { stream, own, schema: index.as_ref(), found: &mut found }.compare(),
        None => {
            let question = "does the destination have other devices, places of devices, RAM or values than the source?";
            let texts = ("the devices and RAM of the source", "not known without a reference");
            found.add(machine_finding(Severity::Risk, StreamRule::ConfigurationUnknown, texts, Some(question)));
        }
    }
    Ok(found.finish(level, stream.machine().map(str::to_owned), renames))
}

fn machine_finding(severity: Severity, rule: StreamRule, texts: (&str, &str), question: Option<&str>) -> StreamFinding {
    StreamFinding {
        severity,
        rule,
        path: "machine".to_owned(),
        offset: None,
        found: texts.0.to_owned(),
        expected: texts.1.to_owned(),
        question: question.map(str::to_owned),
        harmless: None,
    }
}
