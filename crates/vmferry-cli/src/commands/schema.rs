//! `vmferry schema`: what the devices of a machine put on the wire.
//!
//! | ends with | when |
//! |---|---|
//! | 0 | printed |
//! | 2 | there is no such machine type |
//! | 4 | the host lacks what a machine needs; KVM, for a machine that runs on it |

use std::sync::Arc;

use vmferry_inspect::schema_dump::{SchemaDump, SectionSchema};
use vmferry_vmm::accel::{Accel, KvmOptions};
use vmferry_vmm::families::Family;
use vmferry_vmm::instance::bare_machine;
use vmferry_vmm::machine::{Config, MEMORY_MIN};
use vmstate::machine::Settings;
use vmstate::props::NamedValue;
use vmstate::registry::Entry;

use crate::exit::{ExitCode, Failure, OrExit as _, Outcome};
use crate::output::Output;

/// Print the schema of the devices, in the format of QEMU's -dump-vmstate
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Say what the properties of this machine type make of each gate
    #[arg(long, value_name = "TYPE")]
    machine: Option<String>,
    /// Without --machine: the newest machine that this runs, and what each machine type makes of its properties
    #[arg(long, value_name = "soft|kvm", default_value = "soft", conflicts_with = "machine")]
    accel: Accel,
}

const EXAMPLES: &str = "\
Examples:
  vmferry schema > ferry-virt.json
  vmferry schema --machine ferry-virt-1.0 > ferry-virt-1.0.json";

pub(crate) fn run(args: &Args, output: Output) -> Outcome {
    let selected = match &args.machine {
        Some(name) => Family::find(name),
        None => Family::of(&args.accel).and_then(|family| Ok((family, family.select(None)?))),
    };
    let (family, machine_type) = selected.map_err(|error| Failure::usage(error.into()))?;
    let settings = family.settings(machine_type, Vec::new()).or_environment()?;
    let accel = match family.accel {
        "kvm" if args.accel == Accel::Soft => Accel::Kvm(KvmOptions::default()),
        _ => args.accel.clone(),
    };
    // The sections are those of a machine; its least memory is never touched.
    let config = Config {
        settings: settings.clone(),
        memory_bytes: MEMORY_MIN,
        memory_file: None,
        image: None,
        serial: Box::new(|_| true),
        events: Box::new(|_| {}),
        incoming: false,
        only_migratable: false,
    };
    let machine = bare_machine(accel, 1, config).or_environment()?;
    let entries = machine.registry().entries();
    let dump = match &args.machine {
        Some(_) => {
            let evaluated = |entry: &Arc<Entry>| properties(family, entry.section().schema().device, &settings);
            let values: Vec<_> = entries.iter().map(evaluated).collect::<Result<_, _>>()?;
            let sections = entries
                .iter()
                .zip(values)
                .map(|(entry, values)| SectionSchema { properties: Some(values), ..SectionSchema::of_entry(entry) });
            SchemaDump::new(&machine_type.name(), sections)
        }
        None => SchemaDump::of_registry(&machine_type.name(), machine.registry())
            .with_machine_types(family.machines, family.device_types)
            .or_environment()?,
    };
    // Text or not, the result is this document.
    output.document(|out| dump.write_json(out))?;
    Ok(ExitCode::Done)
}

/// The properties of the type of device whose properties the gates of a section name; none for one without gates.
fn properties(family: &Family, device: Option<&str>, settings: &Settings) -> Result<Vec<NamedValue>, Failure> {
    match family.device_types.iter().find(|known| Some(known.name) == device) {
        Some(device) => device.values(settings).or_environment(),
        None => Ok(Vec::new()),
    }
}
