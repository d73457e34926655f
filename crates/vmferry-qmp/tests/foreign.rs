//! An ordinary client, written by others: `qemu.qmp` of PyPI.
//!
//! Runs where `VMFERRY_QMP_PYTHON` names a Python that can import it, or `python3` can.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod kit;

use std::process::{Command, Stdio};

use kit::{PATIENCE, serve};
use vmferry::control::{Event, Status};

const SCRIPT: &str = r#"
import asyncio, os, sys
from qemu.qmp import QMPClient, ExecuteError, EventListener

async def main():
    qmp = QMPClient('foreign')
    await qmp.connect(sys.argv[1])
    assert await qmp.execute('query-status') == {'status': 'prelaunch', 'running': False}
    with qmp.listener(('RESUME', 'MIGRATION')) as listener:
        await qmp.execute('cont')
        assert (await listener.get())['event'] == 'RESUME'
        await qmp.execute('migrate-set-capabilities',
                          {'capabilities': [{'capability': 'events', 'state': True}]})
        print('events on', flush=True)
        event = await listener.get()
        assert event['data'] == {'status': 'active'}, event
    try:
        await qmp.execute('migrate', {'uri': 'smtp:x'})
    except ExecuteError as error:
        assert error.error_class == 'GenericError', error
    else:
        raise AssertionError('migrate to smtp:x was accepted')
    fd = os.open('/dev/null', os.O_RDONLY)
    qmp.send_fd_scm(fd)
    await qmp.execute('getfd', {'fdname': 'null'})
    await qmp.execute('migrate', {'uri': 'fd:null'})
    await qmp.execute('quit')
    try:
        await qmp.disconnect()
    except EOFError:
        pass  # The server closes after 'quit'.
    print('done', flush=True)

asyncio.run(main())
"#;

#[test]
fn the_client_of_pypi_gets_what_it_expects() {
    let python = std::env::var("VMFERRY_QMP_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let import = Command::new(&python).args(["-c", "import qemu.qmp"]).stderr(Stdio::null()).status();
    if !import.is_ok_and(|status| status.success()) {
        println!("skipped: {python} cannot import qemu.qmp");
        return;
    }
    let served = serve();
    let mut child = Command::new(&python)
        .args(["-c", SCRIPT])
        .arg(served.server.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    assert_eq!(lines.next().unwrap().unwrap(), "events on");
    served.mock.events.emit(Event::Migration(Status::Active));
    assert_eq!(lines.next().unwrap().unwrap(), "done");
    assert!(child.wait().unwrap().success());
    served.has_quit.recv_timeout(PATIENCE).unwrap();
}
