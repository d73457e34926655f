//! `vmferry run`: one reference machine, with its control plane.
//!
//! | ends with | when |
//! |---|---|
//! | 0 | a client said `quit`, or the guest powered itself off and was content |
//! | 1 | the guest powered itself off with another verdict, or the awaited guest did not arrive |
//! | 2 | the machine type, a property, the vCPUs or the memory are not to be had |
//! | 4 | a socket or file cannot be opened, or the host lacks something: KVM, for one |

use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use serde_json::json;
use vmferry::control::RestoreMode;
use vmferry_qmp::SocketPath;
use vmferry_vmm::accel::Accel;
use vmferry_vmm::families::Family;
use vmferry_vmm::guest::GuestParameters;
use vmferry_vmm::instance::{End, Instance, Options, Origin, Serial, StartError};
use vmferry_vmm::machine::ConfigError;
use vmstate::machine::Global;

use super::migrate::settings::{self, Capability, Setting};
use crate::exit::{ExitCode, Failure, OrExit as _, Outcome};
use crate::output::Output;
use crate::size::Size;
use crate::values::{IncomingFrom, bytes_per_second};

/// Run one reference machine
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Machine type, as `vmferry machines` lists them; the newest that the accelerator runs if not given
    #[arg(long, value_name = "TYPE")]
    machine: Option<String>,
    /// Size of guest RAM
    #[arg(long, value_name = "SIZE", default_value = "64M")]
    memory: Size,
    /// Have guest RAM in a file that the destination maps as well (x-ignore-shared): a new one to boot in, with
    /// --incoming the source's
    #[arg(long, value_name = "FILE")]
    memory_file: Option<PathBuf>,
    /// What runs the guest: soft, the embedded RISC-V CPU, anywhere; or kvm, x86-64 at full speed
    #[arg(long, value_name = "soft|kvm[,dirty-ring-size=N][,device=PATH]", default_value = "soft")]
    accel: Accel,
    /// Number of vCPUs; more than one with kvm only
    #[arg(long, value_name = "N", default_value_t = 1)]
    vcpus: u32,
    /// Serve QMP at this socket
    #[arg(long, value_name = "unix:PATH")]
    qmp: Option<SocketPath>,
    /// Wait for a guest at this address, or, with defer, for migrate-incoming over QMP
    #[arg(long, value_name = "URI|defer", conflicts_with_all = ["guest", "dirty_rate"])]
    incoming: Option<IncomingFrom>,
    /// The guest that is awaited is on a file with capability mapped-ram: read all of it before the guest starts, map
    /// it so that pages come when they are touched, or map it and fill in all pages in the background
    #[arg(long, value_name = "read|mapped|fill", requires = "incoming", value_parser = restore_mode)]
    restore: Option<RestoreMode>,
    /// Append what the guest prints to a file, instead of printing it
    #[arg(long, value_name = "FILE")]
    serial: Option<PathBuf>,
    /// Do not start the guest; `cont` over QMP does
    #[arg(long)]
    paused: bool,
    /// Refuse devices that cannot migrate, and whatever would block a migration later
    #[arg(long)]
    only_migratable: bool,
    /// Raw guest image for the start of RAM; without it the self-checking guest
    #[arg(long, value_name = "FILE")]
    guest: Option<PathBuf>,
    /// How fast the self-checking guest dirties its memory; 0 is as fast as it can
    #[arg(long, value_name = "MB/S", conflicts_with = "guest")]
    dirty_rate: Option<u64>,
    /// Switch a capability of this machine's migrations, such as mapped-ram=on; may be repeated
    #[arg(long = "cap", value_name = "NAME=on|off")]
    capabilities: Vec<Capability>,
    /// Set a parameter of this machine's migrations, such as multifd-channels=4; may be repeated
    #[arg(long = "param", value_name = "NAME=VALUE")]
    parameters: Vec<Setting>,
    /// Set a property of every device of a type; may be repeated
    #[arg(long = "global", value_name = "TYPE.PROP=VALUE")]
    globals: Vec<Global>,
}

const EXAMPLES: &str = "\
Examples:
  vmferry run --qmp unix:/run/vm.sock --dirty-rate 50
  vmferry run --accel kvm --vcpus 2 --dirty-rate 1000
  vmferry run --memory 4G --incoming file:/srv/vm.image --restore mapped
  vmferry run --machine ferry-virt-1.1 --incoming unix:/run/m.sock --qmp unix:/run/vm2.sock
  vmferry run --incoming file:/var/guest --cap mapped-ram=on --cap multifd=on --param multifd-channels=4

Both ends of a migration need the same --machine, --memory and --vcpus.";

pub(crate) fn run(args: &Args, output: Output) -> Outcome {
    let family = Family::of(&args.accel).or_environment()?;
    let machine = family.select(args.machine.as_deref()).map_err(|error| Failure::usage(error.into()))?;
    let machine_settings =
        family.settings(machine, args.globals.clone()).map_err(|error| Failure::usage(error.into()))?;
    for warning in machine_settings.warnings() {
        output.note(&format!("warning: {warning}"));
    }
    let sticky: Vec<String> = machine_settings.sticky().iter().map(ToString::to_string).collect();
    for setting in &sticky {
        output
            .note(&format!("note: every destination of this guest needs --global {setting}, until it is powered off"));
    }
    let (capabilities, parameters) = settings::updates(&args.capabilities, &args.parameters).map_err(Failure::usage)?;
    let options = Options {
        accel: args.accel.clone(),
        settings: machine_settings,
        vcpus: args.vcpus,
        memory_bytes: args.memory.0,
        memory_file: args.memory_file.clone(),
        origin: origin(args, family)?,
        serial: match &args.serial {
            Some(path) => Serial::File(path.clone()),
            // Standard output belongs to the document.
            None if output.json => Serial::Null,
            None => Serial::Stdout,
        },
        qmp: args.qmp.as_ref().map(|socket| socket.path().to_owned()),
        paused: args.paused,
        only_migratable: args.only_migratable,
        restore: args.restore,
        capabilities,
        parameters,
    };
    let instance = Instance::start(options).map_err(start_failure)?;
    if let Some(uri) = instance.migration().listening() {
        output.note(&format!("waiting for a guest at {uri}"));
    }
    let (end, code) = match instance.wait() {
        End::Quit => ("quit", ExitCode::Done),
        End::Shutdown { code: 0 } => ("shutdown", ExitCode::Done),
        End::Shutdown { code } => {
            output.note(&format!("the guest powered itself off with code {code}"));
            ("shutdown", ExitCode::No)
        }
        End::IncomingFailed(error) => return Err(Failure::no(anyhow!(error))),
    };
    output.result(&json!({ "machine": machine.name(), "end": end, "sticky": sticky }), "")?;
    Ok(code)
}

fn restore_mode(text: &str) -> Result<RestoreMode, String> {
    RestoreMode::ALL
        .into_iter()
        .find(|mode| mode.name() == text)
        .ok_or_else(|| format!("accepted are {}", RestoreMode::ALL.map(RestoreMode::name).join(", ")))
}

fn origin(args: &Args, family: &Family) -> Result<Origin, Failure> {
    Ok(match (&args.incoming, &args.guest) {
        (Some(IncomingFrom::Defer), _) => Origin::Defer,
        (Some(IncomingFrom::Uri(uri)), _) => Origin::Incoming(uri.clone()),
        (None, Some(path)) => Origin::Image(
            std::fs::read(path).with_context(|| format!("the guest image {}", path.display())).or_environment()?,
        ),
        (None, None) => {
            let rate = args.dirty_rate.map_or(Some(50_000_000), bytes_per_second);
            Origin::Image(family.guest(&GuestParameters { dirty_rate_bytes_per_s: rate, ..GuestParameters::default() }))
        }
    })
}

fn start_failure(error: StartError) -> Failure {
    let is_usage = matches!(
        &error,
        StartError::MigrationSetting(_)
            | StartError::Machine(
                ConfigError::Memory { .. }
                    | ConfigError::MemoryFile { .. }
                    | ConfigError::Image { .. }
                    | ConfigError::Setting(_)
                    | ConfigError::Vcpus { .. }
                    | ConfigError::DirtyRing { .. }
            )
    );
    let error = anyhow::Error::from(error);
    if is_usage { Failure::usage(error) } else { Failure { code: ExitCode::Environment, error } }
}
