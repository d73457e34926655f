//! Rules of the run loop that no comparison with another CPU shows.

use vm_memory::GuestAddress;

use vmstate::{Input, Migrate, Versions, VmState};

use super::{Bus, BusFault, Exit, Hart, HartImage, HartProps, Lines, Reservation, Width};

const WFI: u32 = 0x1050_0073;
const NOP: u32 = 0x0000_0013;
const BASE: u64 = 0x1000;

/// A page of RAM at [`BASE`] and one device register that asks the hart to leave.
#[derive(Default)]
struct Machine {
    ram: Vec<u8>,
    lines: Lines,
}

impl Machine {
    fn new(words: &[u32]) -> (Self, Hart) {
        let mut ram: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        ram.resize(4096, 0);
        (Self { ram, lines: Lines::default() }, Hart::new(0, GuestAddress(BASE), GuestAddress(0)))
    }

    fn slice(&mut self, address: GuestAddress, bytes: u64) -> Option<&mut [u8]> {
        let at = usize::try_from(address.0.checked_sub(BASE)?).unwrap();
        self.ram.get_mut(at..at + usize::try_from(bytes).unwrap())
    }
}

impl Bus for Machine {
    fn ram_load(&mut self, address: GuestAddress, width: Width) -> Option<u64> {
        self.slice(address, width.bytes())
            .map(|bytes| bytes.iter().rfold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    fn ram_store(&mut self, address: GuestAddress, width: Width, value: u64) -> bool {
        let Some(bytes) = self.slice(address, width.bytes()) else { return false };
        let count = bytes.len();
        bytes.copy_from_slice(&value.to_le_bytes()[..count]);
        true
    }

    fn device_load(&mut self, _: GuestAddress, _: Width) -> Result<u64, BusFault> {
        Err(BusFault)
    }

    fn device_store(&mut self, address: GuestAddress, _: Width, _: u64) -> Result<(), BusFault> {
        self.lines.leave = address.0 == 0;
        if self.lines.leave { Ok(()) } else { Err(BusFault) }
    }

    fn fetch(&mut self, address: GuestAddress) -> Option<u16> {
        self.ram_load(address, Width::Half).map(|parcel| (parcel & 0xffff) as u16)
    }

    fn lines(&mut self) -> Lines {
        self.lines
    }
}

const PROPS: HartProps = HartProps { migrate_counters: true };

#[test]
fn the_budget_is_the_number_of_instructions() {
    let (mut machine, mut hart) = Machine::new(&[NOP; 100]);
    assert_eq!(hart.run(&mut machine, 7), Exit::Budget);
    assert_eq!(hart.pc().0, BASE + 28);
    assert_eq!((hart.csrs().minstret, hart.csrs().mcycle), (7, 7));
    assert_eq!(hart.run(&mut machine, 0), Exit::Budget);
    assert_eq!(hart.pc().0, BASE + 28);
}

#[test]
fn a_wait_ends_with_an_enabled_interrupt_only_and_is_taken_behind_the_wfi() {
    let (mut machine, mut hart) = Machine::new(&[WFI, NOP, NOP]);
    hart.csrs.mtvec = BASE + 0x40;
    hart.csrs.mie = 1 << 7;
    hart.csrs.mstatus = 1 << 3;
    assert_eq!(hart.run(&mut machine, 10), Exit::Wfi);
    machine.lines.software = true;
    assert_eq!(hart.run(&mut machine, 10), Exit::Wfi, "software interrupts are not enabled");
    assert!(hart.is_waiting());
    machine.lines.timer = true;
    assert_eq!(hart.run(&mut machine, 0), Exit::Budget);
    assert_eq!(hart.pc().0, BASE + 0x40);
    assert_eq!((hart.csrs().mepc, hart.csrs().mcause), (BASE + 4, 1 << 63 | 7));
}

#[test]
fn a_device_that_asks_for_it_ends_the_run_behind_the_store() {
    // sw x0, 0(x0); the next instruction must not run.
    let (mut machine, mut hart) = Machine::new(&[0x0000_2023, NOP, NOP]);
    assert_eq!(hart.run(&mut machine, 10), Exit::Requested);
    assert_eq!(hart.pc().0, BASE + 4);
    assert_eq!(hart.csrs().minstret, 1);
}

#[test]
fn a_handler_that_cannot_be_fetched_is_reported_instead_of_trapping_for_ever() {
    // ecall with mtvec at 0, where nothing is.
    let (mut machine, mut hart) = Machine::new(&[0x0000_0073]);
    assert_eq!(hart.run(&mut machine, u64::MAX), Exit::Stuck);
    assert_eq!(hart.csrs().minstret, 0, "nothing retired");
}

#[test]
fn counters_that_the_guest_writes_go_on_from_there() {
    // csrrwi x0, minstret, 9; csrrs x5, minstret, x0; csrrs x6, minstret, x0.
    let (mut machine, mut hart) = Machine::new(&[NOP, 0xb024_d073, 0xb020_22f3, 0xb020_2373, NOP]);
    hart.run(&mut machine, 5);
    assert_eq!((hart.registers().read(5), hart.registers().read(6)), (9, 10));
    assert_eq!(hart.csrs().minstret, 12);
}

#[test]
fn a_copy_made_between_two_instructions_goes_on_alike() {
    // addi x5, x5, 3; mul x6, x6, x5; sw x6, 64(x7); jal x0, -12, with x7 at the code's page.
    let (mut machine, mut hart) = Machine::new(&[0x0032_8293, 0x0253_0333, 0x0463_a023, 0xff5f_f06f]);
    hart.registers_mut().write(6, 7);
    hart.registers_mut().write(7, BASE);
    hart.run(&mut machine, 1001);
    hart.reservation = Some(Reservation { address: 8, value: 9, is_double: true });
    let mut octets = Vec::new();
    hart.snapshot().unwrap().encode(&PROPS, &mut octets).unwrap();
    let mut copy = Hart::new(0, GuestAddress(0), GuestAddress(0));
    // Something to be dropped: other code at the same addresses.
    copy.set_pc(GuestAddress(BASE));
    copy.run(&mut Machine::new(&[NOP; 100]).0, 10);
    let mut image = copy.template().unwrap();
    image.decode(&PROPS, 1, &mut Input::from_slice(&octets, 0)).unwrap();
    copy.restore(image, &Versions::new(1)).unwrap();
    assert_eq!(copy.snapshot(), hart.snapshot());
    let mut other = Machine { ram: machine.ram.clone(), lines: machine.lines };
    hart.run(&mut machine, 1002);
    copy.run(&mut other, 1002);
    assert_eq!((hart.registers, hart.pc, hart.csrs), (copy.registers, copy.pc, copy.csrs));
    assert_eq!(machine.ram, other.ram);
}

#[test]
fn state_that_no_hart_can_be_in_is_refused_and_changes_nothing() {
    let (mut machine, mut hart) = Machine::new(&[NOP; 10]);
    hart.run(&mut machine, 3);
    let before = hart.snapshot().unwrap();
    let mut octets = Vec::new();
    before.encode(&PROPS, &mut octets).unwrap();
    // x0, pc, mstatus, mie, mtvec and mepc, at the low octet of each.
    for index in [0, 32, 33, 34, 35, 37] {
        let mut damaged = octets.clone();
        damaged[8 * index + 7] |= 0x03;
        let mut image = HartImage::default();
        image.decode(&PROPS, 1, &mut Input::from_slice(&damaged, 0)).unwrap();
        hart.restore(image, &Versions::new(1)).unwrap_err();
        assert_eq!(hart.snapshot().unwrap(), before, "field {index}");
    }
    // Another hart's state is refused while it is decoded.
    octets[8 * 40 + 7] = 1;
    hart.template().unwrap().decode(&PROPS, 1, &mut Input::from_slice(&octets, 0)).unwrap_err();
}

vmstate::vmstate_tests!(HartImage);
vmstate::device_tests!(mod hart_device: || Machine::new(&[]).1, || {
    let mut hart = Machine::new(&[]).1;
    hart.reservation = Some(Reservation { address: 8, value: 5, is_double: true });
    hart
});
