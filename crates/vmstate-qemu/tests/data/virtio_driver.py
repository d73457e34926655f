"""A driver of virtio devices that works from outside of the guest, by the protocol of QEMU's device tests.

A step of a recording {"virtio": {…}} has

    pci        place on the bus, "03.0", or behind a bridge, "04.0:00.0"; or
    mmio       address of the registers
    legacy     true: by the interface of before version 1
    features   what is acknowledged; hexadecimal
    msix       true: interrupts by vectors, 0 for the configuration, 1 for all queues
    queues     {NUMBER: size}; 0: as the device offers
    packed     true: the rings are packed ones
    status     the status at the end, if not that of a driver that works
    send       requests, each {"queue": n, "out": [hexadecimal, …], "in": [octets, …]}; all of a queue are made available at once

Rings and buffers are at the start of the guest's memory, 512 KiB for each device that has been driven.
"""

MEMORY = {"x86_64": 0x10_0000, "riscv64": 0x8000_0000, "aarch64": 0x4000_0000}
DEVICE_OCTETS = 0x8_0000
ACKNOWLEDGE, DRIVER, DRIVER_OK, FEATURES_OK = 1, 2, 4, 8
NEXT, WRITE, AVAILABLE = 1, 2, 1 << 7


class Driver:
    def __init__(self, machine, target, number, step):
        self.machine, self.step = machine, step
        self.free = MEMORY[target] + number * DEVICE_OCTETS
        self.rings = {}
        if "mmio" in step:
            self.device = Mmio(machine, int(step["mmio"], 16))
        elif step.get("legacy"):
            self.device = LegacyPci(machine, Function(machine, step["pci"], number))
        else:
            self.device = ModernPci(machine, Function(machine, step["pci"], number))

    def run(self):
        step, legacy = self.step, self.step.get("legacy", False)
        self.device.status(ACKNOWLEDGE)
        self.device.status(ACKNOWLEDGE | DRIVER)
        self.device.features(int(step.get("features", "0"), 16), legacy)
        working = ACKNOWLEDGE | DRIVER | DRIVER_OK
        if not legacy:
            self.device.status(ACKNOWLEDGE | DRIVER | FEATURES_OK)
            working |= FEATURES_OK
        if step.get("msix"):
            self.device.config_vector(0)
        for queue, size in step.get("queues", {}).items():
            self.set_up(int(queue), size, legacy)
        self.device.status(int(step["status"], 16) if "status" in step else working)
        for queue in sorted({request["queue"] for request in step.get("send", [])}):
            self.send(queue, [request for request in step["send"] if request["queue"] == queue])

    def set_up(self, queue, size, legacy):
        desc = self.free
        size = self.device.select(queue, size)
        avail = desc + 16 * size
        used = (avail + 6 + 2 * size + 4095) & ~4095 if legacy else (avail + 6 + 2 * size + 7) & ~7
        self.device.enable(desc, avail, used, legacy, 1 if self.step.get("msix") else None)
        self.rings[queue] = [desc, avail]
        self.free = (used + 6 + 8 * size + 4095) & ~4095

    def send(self, queue, requests):
        desc, avail = self.rings[queue]
        packed = self.step.get("packed")
        slot, heads = 0, []
        for request in requests:
            parts = [(bytes.fromhex(part), 0) for part in request.get("out", [])]
            parts += [(bytes(octets), WRITE) for octets in request.get("in", [])]
            heads.append(slot)
            for index, (octets, flags) in enumerate(parts):
                flags |= NEXT if index + 1 < len(parts) else 0
                self.machine.write(self.free, octets)
                entry = self.free.to_bytes(8, "little") + len(octets).to_bytes(4, "little")
                if packed:
                    entry += heads[-1].to_bytes(2, "little") + (flags | AVAILABLE).to_bytes(2, "little")
                else:
                    entry += flags.to_bytes(2, "little") + (slot + 1).to_bytes(2, "little")
                self.machine.write(desc + 16 * slot, entry)
                self.free += (len(octets) + 15) & ~15
                slot += 1
        if not packed:
            ring = b"".join(head.to_bytes(2, "little") for head in heads)
            self.machine.write(avail, bytes(2) + len(heads).to_bytes(2, "little") + ring)
        self.device.notify(queue)


class Mmio:
    def __init__(self, machine, base):
        self.machine, self.base = machine, base

    def put(self, register, value):
        self.machine.qtest(f"writel {self.base + register:#x} {value:#x}")

    def put_address(self, register, address):
        self.put(register, address & 0xFFFF_FFFF)
        self.put(register + 4, address >> 32)

    def status(self, value):
        self.put(0x70, value)

    def features(self, value, legacy):
        for word in range(1 if legacy else 2):
            self.put(0x24, word)
            self.put(0x20, value >> (32 * word) & 0xFFFF_FFFF)

    def select(self, queue, size):
        self.put(0x30, queue)
        size = size or int(self.machine.qtest(f"readl {self.base + 0x34:#x}"), 16)
        self.put(0x38, size)
        return size

    def enable(self, desc, avail, used, legacy, _vector):
        if legacy:
            self.put(0x28, 4096)
            self.put(0x3C, 4096)
            self.put(0x40, desc >> 12)
        else:
            self.put_address(0x80, desc)
            self.put_address(0x90, avail)
            self.put_address(0xA0, used)
            self.put(0x44, 1)

    def notify(self, queue):
        self.put(0x50, queue)


class Function:
    """A function of a PCI bus, with its registers mapped."""

    WINDOW = 0xFD00_0000

    def __init__(self, machine, place, number):
        self.machine = machine
        self.memory = self.WINDOW + number * 0x10_0000
        self.ports = 0xC000 + number * 0x100
        *bridges, place = place.split(":")
        self.bus = 0
        for level, bridge in enumerate(bridges):
            self.at = self.address(bridge)
            child = 1 + number * 4 + level
            self.write(0x18, self.bus | child << 8 | child << 16)
            # Windows of memory, plain and prefetchable: both have the same 1 MiB, of which each register takes its own.
            window = self.memory >> 16 & 0xFFF0
            self.write(0x20, 0x0000_FFF0)
            self.write(0x24, window | window << 16)
            self.write(0x28, 0)
            self.write(0x2C, 0)
            self.write(0x04, 6)
            self.bus = child
        self.at = self.address(place)
        self.map()

    def address(self, place):
        device, function = place.split(".")
        return 1 << 31 | self.bus << 16 | int(device, 16) << 11 | int(function, 16) << 8

    def map(self):
        for bar, octets in ((0, 0x80), (1, 0x4000), (4, 0x1_0000)):
            self.write(0x10 + 4 * bar, 0xFFFF_FFFF)
            found = self.read(0x10 + 4 * bar)
            if found & 1:
                self.write(0x10 + 4 * bar, self.ports)
            elif found:
                self.write(0x10 + 4 * bar, self.memory + bar * 0x2_0000)
                if found & 4:
                    self.write(0x14 + 4 * bar, 0)
        self.write(0x04, 7)

    def read(self, register):
        self.machine.qtest(f"outl 0xcf8 {self.at | register & 0xFC:#x}")
        return int(self.machine.qtest("inl 0xcfc"), 16)

    def write(self, register, value):
        self.machine.qtest(f"outl 0xcf8 {self.at | register:#x}")
        self.machine.qtest(f"outl 0xcfc {value:#x}")

    def capabilities(self):
        at = self.read(0x34) & 0xFC
        while at:
            yield at, self.read(at)
            at = self.read(at) >> 8 & 0xFC

    def enable_msix(self):
        for at, header in self.capabilities():
            if header & 0xFF == 0x11:
                self.write(at, header | 1 << 31)


class ModernPci:
    COMMON, NOTIFY = 1, 2

    def __init__(self, machine, function):
        self.machine, self.function = machine, function
        for at, header in function.capabilities():
            if header & 0xFF == 9:
                bar = function.memory + (function.read(at + 4) & 0xFF) * 0x2_0000
                place = bar + function.read(at + 8)
                if header >> 24 == self.COMMON:
                    self.common = place
                elif header >> 24 == self.NOTIFY:
                    self.doorbell, self.stride = place, function.read(at + 16)

    def put(self, register, value, width="l"):
        self.machine.qtest(f"write{width} {self.common + register:#x} {value:#x}")

    def put_address(self, register, address):
        self.put(register, address & 0xFFFF_FFFF)
        self.put(register + 4, address >> 32)

    def status(self, value):
        self.put(20, value, "b")

    def features(self, value, _legacy):
        for word in range(max(2, (value.bit_length() + 31) // 32)):
            self.put(8, word)
            self.put(12, value >> (32 * word) & 0xFFFF_FFFF)

    def config_vector(self, vector):
        self.function.enable_msix()
        self.put(16, vector, "w")

    def select(self, queue, size):
        self.put(22, queue, "w")
        if size:
            self.put(24, size, "w")
            return size
        return int(self.machine.qtest(f"readw {self.common + 24:#x}"), 16)

    def enable(self, desc, avail, used, _legacy, vector):
        if vector is not None:
            self.put(26, vector, "w")
        self.put_address(32, desc)
        self.put_address(40, avail)
        self.put_address(48, used)
        self.put(28, 1, "w")

    def notify(self, queue):
        self.put(22, queue, "w")
        offset = int(self.machine.qtest(f"readw {self.common + 30:#x}"), 16)
        self.machine.qtest(f"writew {self.doorbell + offset * self.stride:#x} {queue:#x}")


class LegacyPci:
    def __init__(self, machine, function):
        self.machine, self.function, self.ports = machine, function, function.ports

    def put(self, register, value, width="l"):
        self.machine.qtest(f"out{width} {self.ports + register:#x} {value:#x}")

    def status(self, value):
        self.put(18, value, "b")

    def features(self, value, _legacy):
        self.put(4, value)

    def config_vector(self, vector):
        self.function.enable_msix()
        self.put(20, vector, "w")

    def select(self, queue, _size):
        self.put(14, queue, "w")
        return int(self.machine.qtest(f"inw {self.ports + 12:#x}"), 16)

    def enable(self, desc, _avail, _used, _legacy, vector):
        if vector is not None:
            self.put(22, vector, "w")
        self.put(8, desc >> 12)

    def notify(self, queue):
        self.put(16, queue, "w")
