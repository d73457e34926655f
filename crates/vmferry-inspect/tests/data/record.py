#!/usr/bin/env python3
"""Records the streams in this folder.

    ./record.py FOLDER_WITH_QEMUS

The folder has executables `qemu-VERSION-TARGET`. Each machine is stopped at reset and has no firmware: `-bios` is a file of
zeros, and pages of ROM blocks (tables and start-up code that QEMU makes) are overwritten with zeros, so that no third-party
code gets into the streams.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent

PC = ["-M", "pc", "-m", "1M", "-bios", "{zeros}"]
VIRT = ["-M", "virt", "-m", "2M", "-bios", "none"]

LOADER = "loader,addr=0x20000000,data=0x1122334455667788,data-len=8"

STREAMS = {
    "pc-5.2": ("5.2", "x86_64", PC),
    "pc-7.2": ("7.2", "x86_64", PC + ["-device", "e1000,romfile=", "-smp", "2"]),
    "pc-10.0": ("10.0", "x86_64", PC + ["-device", "virtio-rng-pci", "-device", "piix3-usb-uhci"]),
    "pc-11.1": ("11.1", "x86_64", PC),
    "virt-riscv64-10.0": ("10.0", "riscv64", VIRT),
    "virt-riscv64-11.1": ("11.1", "riscv64", VIRT),
    "virt-aarch64-7.2": ("7.2", "aarch64", ["-M", "virt", "-m", "2M"]),
    # Pages of 1 KiB, the smallest of the ARM family: the configuration does not tell them.
    "lm3s811evb-7.2": ("7.2", "aarch64", ["-M", "lm3s811evb", "-device", LOADER]),
    "none-10.0": ("10.0", "x86_64", ["-M", "none"]),
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


def erase_roms(stream, page):
    """Overwrites the pages of ROM blocks in place. docs/spec/ram.md part A."""
    at = stream.index(b"\x03ram" + bytes(7) + b"\x04") + 12
    left = int.from_bytes(stream[at : at + 8], "big") - 4
    at += 8
    while left:
        at += 1 + stream[at]
        left -= int.from_bytes(stream[at : at + 8], "big")
        at += 8
    block = section_ends = erased = 0
    while section_ends < 2 or stream[at] != 4:
        if stream[at] in (2, 3) and section_ends:  # PART or END of a section; START is behind us
            at += 5
        elif stream[at : at + 3] == b"\x08\0\x0b":
            at += 5
            continue
        while True:
            word = int.from_bytes(stream[at : at + 8], "big")
            at += 8
            if word & 0x10:
                break
            if word & 0x0A and not word & 0x20:
                block = bytes(stream[at + 1 : at + 1 + stream[at]])
                at += 1 + stream[at]
            if word & 0x08:
                if block.startswith(b"/rom@") or block.endswith(b"rom") or block.endswith(b"bios"):
                    stream[at : at + page] = bytes(page)
                    erased += 1
                at += page
            elif word & 0x02:
                at += 1
        at += 5
        section_ends += 1
    return erased


def record(qemus, folder, name, version, target, arguments):
    zeros = folder / "zeros.bin"
    zeros.write_bytes(bytes(65536))
    stream = folder / f"{name}.bin"
    argv = [str(qemus / f"qemu-{version}-{target}"), "-accel", "tcg", "-display", "none", "-nodefaults", "-S"]
    argv += ["-qmp", "stdio", *(argument.format(zeros=zeros) for argument in arguments)]
    qemu = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    command(qemu, "qmp_capabilities")
    command(qemu, "migrate", uri=f"exec:cat > {stream}")
    while True:
        status = command(qemu, "query-migrate").get("status")
        if status in ("completed", "failed"):
            break
    command(qemu, "quit")
    qemu.wait()
    if status == "failed":
        sys.exit(f"{name}: the migration failed")
    octets = bytearray(stream.read_bytes())
    print(name, len(octets), "octets,", erase_roms(octets, 1024 if "lm3s" in name else 4096), "pages erased")
    stream.write_bytes(octets)
    if len(octets) < 4096:
        (HERE / stream.name).write_bytes(octets)
    else:
        subprocess.run(["zstd", "-19", "-q", "-f", str(stream), "-o", str(HERE / f"{name}.bin.zst")], check=True)


with tempfile.TemporaryDirectory() as scratch:
    for name, spec in STREAMS.items():
        record(pathlib.Path(sys.argv[1]), pathlib.Path(scratch), name, *spec)
