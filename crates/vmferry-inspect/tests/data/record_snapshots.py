#!/usr/bin/env python3
"""Records the images in this folder: machines without devices that `savevm` left inside qcow2.

    ./record_snapshots.py FOLDER_WITH_QEMUS

The folder has executables `qemu-VERSION-TARGET`; `qemu-img` is that of the system.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent

# Name: version, options of the image, names of the snapshots.
IMAGES = {
    "savevm-10.0": ("10.0", "cluster_size=512", ["first", "second"]),
    "savevm-11.1": ("11.1", "cluster_size=16384,extended_l2=on", ["ext"]),
}


def command(qemu, name, **arguments):
    qemu.stdin.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
    qemu.stdin.flush()
    while True:
        answer = json.loads(qemu.stdout.readline())
        if "error" in answer:
            sys.exit(f"{name}: {answer['error']['desc']}")
        if "return" in answer:
            return answer["return"]


def record(qemus, folder, name, version, options, snapshots):
    image = folder / f"{name}.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-o", options, str(image), "64K"], check=True)
    argv = [str(qemus / f"qemu-{version}-x86_64"), "-accel", "tcg", "-display", "none", "-nodefaults", "-S"]
    drive = f"if=none,id=drive0,driver=qcow2,node-name=d,file.driver=file,file.filename={image}"
    argv += ["-M", "none", "-qmp", "stdio", "-drive", drive]
    qemu = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    command(qemu, "qmp_capabilities")
    for snapshot in snapshots:
        said = command(qemu, "human-monitor-command", **{"command-line": f"savevm {snapshot}"})
        if said:
            sys.exit(said)
    command(qemu, "quit")
    qemu.wait()
    subprocess.run(["zstd", "-19", "-q", "-f", str(image), "-o", str(HERE / f"{name}.qcow2.zst")], check=True)


with tempfile.TemporaryDirectory() as scratch:
    for name, spec in IMAGES.items():
        record(pathlib.Path(sys.argv[1]), pathlib.Path(scratch), name, *spec)
