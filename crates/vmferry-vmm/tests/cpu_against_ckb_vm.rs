//! The CPU against `ckb-vm`, an interpreter of user-mode RV64IMAC that was written independently: random programs, all
//! registers and the whole data window equal after every program.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs,
    dead_code,
    reason = "tests"
)]
#![allow(clippy::cast_possible_wrap, clippy::cast_sign_loss, clippy::panic, unreachable_pub, reason = "tests")]

mod board;
mod program;

use board::Board;
use ckb_vm::machine::{DefaultCoreMachine, DefaultMachineBuilder, VERSION2};
use ckb_vm::{CoreMachine, FlatMemory, ISA_A, ISA_IMC, Memory, SupportMachine, decoder::build_decoder};
use program::Random;
use vm_memory::GuestAddress;
use vmferry_vmm::cpu::Hart;

const CODE: u64 = 0x1_0000;
const DATA: u64 = 0x8_0000;
const RAM_BYTES: usize = 0x10_0000;
const ITEMS: usize = 200;
const PROGRAMS: u64 = 5000;

#[test]
fn random_user_programs_leave_the_same_registers_and_memory() {
    for seed in 0..PROGRAMS {
        let mut random = Random(seed);
        let registers = program::registers(&mut random, DATA);
        let data = program::data(&mut random);
        let code = program::generate(&mut random, ITEMS);
        let end = CODE + code.len() as u64;

        let (theirs, their_data, steps) = run_on_ckb_vm(&code, &data, &registers, end);
        let (ours, our_data) = run_on_ours(&code, &data, &registers, end, steps);

        assert_eq!(ours, theirs, "registers differ after the program of seed {seed}");
        assert_eq!(our_data, their_data, "data differ after the program of seed {seed}");
    }
}

fn run_on_ckb_vm(code: &[u8], data: &[u8], registers: &[u64; 32], end: u64) -> ([u64; 32], Vec<u8>, u64) {
    type Core = DefaultCoreMachine<u64, FlatMemory<u64>>;
    let core = Core::new_with_memory(ISA_IMC | ISA_A, VERSION2, u64::MAX, RAM_BYTES);
    let mut machine = DefaultMachineBuilder::new(core).build();
    machine.memory_mut().store_bytes(CODE, code).unwrap();
    machine.memory_mut().store_bytes(DATA, data).unwrap();
    for (index, value) in registers.iter().enumerate().skip(1) {
        machine.set_register(index, *value);
    }
    machine.update_pc(CODE);
    machine.commit_pc();
    let mut decoder = build_decoder::<u64>(ISA_IMC | ISA_A, VERSION2);
    let mut steps = 0;
    while *machine.pc() != end {
        let pc = *machine.pc();
        machine.step(&mut decoder).unwrap_or_else(|error| {
            let bytes = machine.memory_mut().load_bytes(pc, 4).unwrap();
            panic!("{error} at {pc:#x}, instruction {bytes:02x?}, registers {:x?}", machine.registers());
        });
        steps += 1;
    }
    let data = machine.memory_mut().load_bytes(DATA, program::DATA_BYTES).unwrap().to_vec();
    (machine.registers().try_into().unwrap(), data, steps)
}

fn run_on_ours(code: &[u8], data: &[u8], registers: &[u64; 32], end: u64, steps: u64) -> ([u64; 32], Vec<u8>) {
    let mut board = Board::new(0, RAM_BYTES, &[]);
    board.ram[CODE as usize..][..code.len()].copy_from_slice(code);
    board.ram[DATA as usize..][..data.len()].copy_from_slice(data);
    let mut hart = Hart::new(0, GuestAddress(CODE), GuestAddress(0));
    *hart.registers_mut() = (*registers).into();
    hart.run(&mut board, steps);
    assert_eq!(hart.pc().0, end, "after {steps} instructions; mcause {:#x}", hart.csrs().mcause);
    assert_eq!(hart.csrs().minstret, steps);
    (*hart.registers().as_array(), board.ram[DATA as usize..][..data.len()].to_vec())
}
