//! `vmferry migrate`: asks a running machine, ours or QEMU's, to migrate.
//!
//! ```text
//!   connect -> capabilities -> parameters -> migrate -> [--follow: query-migrate until the status is final]
//! ```
//!
//! | ends with | when |
//! |---|---|
//! | 0 | the migration has started; with `--follow`: it has completed |
//! | 1 | with `--follow`: it failed or was cancelled |
//! | 4 | nobody answers at the socket, the machine refuses a command, or it went away |
//! | 130 | Ctrl-C with `--follow`; the migration goes on |

pub(in crate::commands) mod progress;
pub(in crate::commands) mod settings;
pub(in crate::commands) mod snapshot;

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use serde_json::{Value, json};
use vmferry_qmp::{Client, ClientError, SocketPath};

use self::progress::Progress;
use self::settings::{Capability, Setting};
use self::snapshot::Snapshot;
use crate::exit::{ExitCode, Failure, OrExit as _, Outcome};
use crate::interrupt::Interrupt;
use crate::output::Output;

/// Time between two looks at a migration that is followed; events lead to further ones.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Ask a running machine, ours or QEMU's, to migrate
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// QMP socket of the machine
    #[arg(long, value_name = "unix:PATH")]
    qmp: SocketPath,
    /// Where to: unix:PATH, tcp:HOST:PORT, file:PATH[,offset=N], fd:NAME or exec:COMMAND, as the machine sees it
    uri: String,
    /// Switch a capability before the start, such as return-path=on; may be repeated
    #[arg(long = "cap", value_name = "NAME=on|off")]
    capabilities: Vec<Capability>,
    /// Set a parameter before the start, such as max-bandwidth=1G or downtime-limit=100; may be repeated
    #[arg(long = "param", value_name = "NAME=VALUE")]
    parameters: Vec<Setting>,
    /// Show the progress and wait for the end
    #[arg(long)]
    follow: bool,
}

const EXAMPLES: &str = "\
Examples:
  vmferry migrate --qmp unix:/run/vm.sock tcp:host2:4444 --follow
  vmferry migrate --qmp unix:/run/vm.sock unix:/run/m.sock --cap return-path=on
  vmferry migrate --qmp unix:/run/vm.sock 'exec:zstd > vm.zst' --param max-bandwidth=1G

Ctrl-C ends the following, not the migration.";

pub(crate) fn run(args: &Args, output: Output) -> Outcome {
    let mut client = Client::connect(args.qmp.path()).or_environment()?;
    output.detail(&format!("connected to {}: {}", args.qmp, client.version()));
    settings::apply(&mut client, &args.capabilities, &args.parameters)?;

    // Before the start, so that there is no moment in which Ctrl-C would leave a migration without a word.
    let interrupt =
        args.follow.then(Interrupt::take_over).transpose().context("cannot take over Ctrl-C").or_environment()?;
    client.execute("migrate", json!({ "uri": args.uri })).or_environment()?;

    match interrupt {
        None => started(&mut client, args, output),
        Some(interrupt) => match follow(&mut client, &interrupt, output)? {
            Followed::ToTheEnd(snapshot) => ended(&snapshot, output),
            Followed::Interrupted(snapshot) => {
                output.note(&format!("interrupted; the migration goes on: 'migrate_cancel' at {} ends it", args.qmp));
                output.result(&snapshot.document(), "")?;
                Ok(ExitCode::Interrupted)
            }
        },
    }
}

fn started(client: &mut Client, args: &Args, output: Output) -> Outcome {
    let snapshot = look(client)?;
    output.result(&snapshot.document(), &format!("the migration to {} has started\n", args.uri))?;
    Ok(ExitCode::Done)
}

enum Followed {
    ToTheEnd(Snapshot),
    Interrupted(Snapshot),
}

fn follow(client: &mut Client, interrupt: &Interrupt, output: Output) -> Result<Followed, Failure> {
    let mut progress = Progress::new(output);
    loop {
        let snapshot = look(client)?;
        progress.show(&snapshot);
        if snapshot.is_final() {
            return Ok(Followed::ToTheEnd(snapshot));
        }
        if interrupt.is_pressed() {
            return Ok(Followed::Interrupted(snapshot));
        }
        client.next_event(LOOK_EVERY).map_err(lost)?;
    }
}

fn look(client: &mut Client) -> Result<Snapshot, Failure> {
    client.execute("query-migrate", Value::Null).map(Snapshot::new).map_err(lost)
}

/// The migration may go on, or not: nobody here knows.
fn lost(error: ClientError) -> Failure {
    let error = anyhow::Error::new(error).context("lost the machine after the migration had started");
    Failure { code: ExitCode::Environment, error }
}

fn ended(snapshot: &Snapshot, output: Output) -> Outcome {
    if snapshot.status() == "completed" {
        output.result(&snapshot.document(), &snapshot.summary())?;
        return Ok(ExitCode::Done);
    }
    output.result(&snapshot.document(), "")?;
    let what = match snapshot.status() {
        "cancelled" => anyhow!("the migration was cancelled"),
        _ => anyhow!("the migration failed"),
    };
    // The cause goes below what it caused.
    Err(Failure::no(match snapshot.error() {
        Some(cause) => anyhow!("{cause}").context(what),
        None => what,
    }))
}
