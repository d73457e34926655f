#!/usr/bin/env python3
"""Records the sections in this folder.

    ./record.py FOLDER_WITH_QEMUS [REGULAR_EXPRESSION]

The folder has executables `qemu-VERSION-TARGET`. What is recorded stands in `recordings/*.json`, a list of objects each:

    name       of the files: NAME-VERSION.jsonl.zst
    versions   of QEMU
    target     of QEMU
    args       the machine; `{zeros}` is a file of 64 KiB of zeros, `{image}` one with the octets of `image`, `{rom}` one of
               64 KiB that an x86 CPU starts with them, `{disk}` an empty disk of 1 MiB, `{pipe}` for `-serial pipe:{pipe}` a
               pipe that takes nothing any more, `{tty}` a terminal, `{folder}` the one of all these
    image      octets in hexadecimal: a program
    accel      instead of `tcg`
    steps      what is done before the migration, in order:
               {"qtest": "writel 0x10000000 0x41"}  an access by the protocol of QEMU's device tests; the guest sees no difference
               {"qmp": "device_add", "with": {…}}   a command
               {"hmp": "…"}                         a command of the human monitor
               {"run": 200}                         the guest runs for so many milliseconds, or until it stops itself
               {"pipe": "text"}, {"tty": "text"}    what QEMU reads from the pipe, or from the terminal
               {"wait": 50}                         milliseconds in which nothing is done
               {"virtio": {…}}                      a driver takes a virtio device, see virtio_driver.py
    keep       part of the id string of the sections to keep, or a list of such; without it all are kept

A machine is stopped all the time if no step runs it. With a REGULAR_EXPRESSION only names that match it are recorded. The streams
themselves are not kept: `cargo run --example sections` cuts the sections of devices out of them.
"""

import fcntl
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time

import virtio_driver

HERE = pathlib.Path(__file__).parent


class Files:
    """What the arguments of a machine may name."""

    def __init__(self, folder, image):
        octets = bytes.fromhex(image)
        (folder / "image").write_bytes(octets)
        # The first instruction is 16 octets below the end: a jump to F000:0000, where the program is.
        (folder / "rom").write_bytes(octets.ljust(0xFFF0, b"\0") + bytes.fromhex("ea000000f0").ljust(16, b"\0"))
        (folder / "zeros").write_bytes(bytes(65536))
        (folder / "disk").write_bytes(bytes(1 << 20))
        self.names = {name: str(folder / name) for name in ("zeros", "image", "rom", "disk", "pipe")}
        self.names["folder"] = str(folder)
        for end in ("in", "out"):
            path = folder / f"pipe.{end}"
            path.unlink(missing_ok=True)
            os.mkfifo(path)
        self.pipe_in = os.open(folder / "pipe.in", os.O_RDWR | os.O_NONBLOCK)
        self.pipe_out = os.open(folder / "pipe.out", os.O_RDWR | os.O_NONBLOCK)
        fcntl.fcntl(self.pipe_out, fcntl.F_SETPIPE_SZ, 4096)
        os.write(self.pipe_out, bytes(4096))
        self.terminal, slave = os.openpty()
        self.names["tty"] = os.ttyname(slave)
        self.slave = slave

    def close(self):
        for descriptor in (self.pipe_in, self.pipe_out, self.terminal, self.slave):
            os.close(descriptor)


class Machine:
    def __init__(self, qemu, accel, arguments, folder, files, target):
        self.files, self.target, self.driven = files, target, 0
        path = folder / "qtest"
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen()
        argv = [str(qemu), "-accel", accel, "-display", "none", "-nodefaults", "-S", "-qmp", "stdio"]
        argv += ["-qtest", f"unix:{path}", "-qtest-log", "none", *arguments]
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        listener.settimeout(20)
        connection = listener.accept()[0]
        connection.settimeout(20)
        self.tester = connection.makefile("rw")
        self.qmp("qmp_capabilities")

    def qmp(self, name, **arguments):
        self.process.stdin.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
        self.process.stdin.flush()
        while True:
            line = self.process.stdout.readline()
            if not line:
                sys.exit(f"{name}: QEMU is gone")
            answer = json.loads(line)
            if "error" in answer:
                sys.exit(f"{name}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]

    def qtest(self, text):
        self.tester.write(text + "\n")
        self.tester.flush()
        while not (answer := self.tester.readline()).startswith("OK"):
            if not answer or answer.startswith(("FAIL", "ERR")):
                sys.exit(f"{text}: {answer}")
        return answer.removeprefix("OK").strip()

    def write(self, address, octets):
        if octets:
            self.qtest(f"write {address:#x} {len(octets):#x} 0x{octets.hex()}")

    def step(self, step):
        if "qtest" in step:
            self.qtest(step["qtest"])
        elif "qmp" in step:
            self.qmp(step["qmp"], **step.get("with", {}))
        elif "hmp" in step:
            self.qmp("human-monitor-command", **{"command-line": step["hmp"]})
        elif "pipe" in step:
            os.write(self.files.pipe_in, step["pipe"].encode())
        elif "tty" in step:
            os.write(self.files.terminal, step["tty"].encode())
        elif "virtio" in step:
            virtio_driver.Driver(self, self.target, self.driven, step["virtio"]).run()
            self.driven += 1
        elif "wait" in step:
            time.sleep(step["wait"] / 1000)
        else:
            self.qmp("cont")
            end = time.monotonic() + step["run"] / 1000
            while time.monotonic() < end and self.qmp("query-status")["running"]:
                time.sleep(0.005)
            self.qmp("stop")

    def save(self, path):
        self.qmp("migrate", uri=f"exec:cat > {path}")
        while (status := self.qmp("query-migrate").get("status")) not in ("completed", "failed"):
            time.sleep(0.01)
        self.qmp("quit")
        self.process.wait()
        return status == "completed"


def main():
    qemus = pathlib.Path(sys.argv[1])
    wanted = re.compile(sys.argv[2] if len(sys.argv) > 2 else "")
    cut = ["cargo", "run", "-q", "-p", "vmstate-qemu", "--example", "sections", "--"]
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        for listed in sorted(HERE.glob("recordings/*.json")):
            for recording in json.loads(listed.read_text()):
                for version in recording["versions"]:
                    name = f"{recording['name']}-{version}"
                    if not wanted.search(name):
                        continue
                    files = Files(folder, recording.get("image", ""))
                    arguments = [argument.format(**files.names) for argument in recording["args"]]
                    qemu = qemus / f"qemu-{version}-{recording['target']}"
                    machine = Machine(qemu, recording.get("accel", "tcg"), arguments, folder, files, recording["target"])
                    stream = folder / f"{name}.bin"
                    try:
                        for step in recording.get("steps", []):
                            machine.step(step)
                        if not machine.save(stream):
                            sys.exit(f"{name}: the migration failed")
                    finally:
                        machine.process.kill()
                    files.close()
                    print(name, stream.stat().st_size, "octets", flush=True)
                    keep = recording.get("keep", "")
                    keep = keep if isinstance(keep, str) else ",".join(keep)
                    cut += [str(stream), str(HERE / f"{name}.jsonl.zst"), keep]
        subprocess.run(cut, check=True, cwd=HERE)


main()
