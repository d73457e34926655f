//! An experiment: a guest writes a number of its own into each register of a RISC-V hart, and the images have it in the
//! field of the register's name.
//!
//! The program is made here, and `recordings/riscv-virt.json` has it as the image of `virt-registers`; a test compares
//! them. It sets a trap handler that steps over the instruction (releases differ in which registers they have), the
//! control and status registers below, the general registers, and then stays where it is.

use std::fs;
use std::path::Path;

use vmstate::{Input, VmState};
use vmstate_qemu::riscv::cpu::{v1, v5, v10, v12};

use crate::recorded::{Recording, recordings_of};
use crate::sections::Section;

/// Number of a control and status register, and what is written to it; in the order of writing. Those that a trap
/// changes come last.
const REGISTERS: [(u32, u32); 18] = [
    (0x340, 0x101), // mscratch
    (0x140, 0x202), // sscratch
    (0x105, 0x304), // stvec
    (0x141, 0x406), // sepc
    (0x142, 0x507), // scause
    (0x306, 0x005), // mcounteren
    (0x106, 0x002), // scounteren
    (0x304, 0x888), // mie
    (0x3b0, 0x777), // pmpaddr0
    (0x3a0, 0x01f), // pmpcfg0
    (0x240, 0x111), // vsscratch
    (0x205, 0x220), // vstvec
    (0x241, 0x332), // vsepc
    (0x242, 0x443), // vscause
    (0x34b, 0x554), // mtval2
    (0x341, 0x666), // mepc
    (0x342, 0x777), // mcause
    (0x343, 0x123), // mtval
];

/// What is written to general register `number`.
fn general(number: u32) -> u32 {
    3 * number + 1
}

/// `addi rd, rs1, immediate`, for immediates without a sign.
fn addi(rd: u32, rs1: u32, immediate: u32) -> u32 {
    assert!(immediate < 0x800, "the immediate has a sign");
    immediate << 20 | rs1 << 15 | rd << 7 | 0x13
}

/// Writes `value` to a control and status register, through `t0`.
fn write_register(number: u32, value: u32) -> [u32; 3] {
    let upper = (value + 0x800) & !0xfff;
    // lui t0; addiw t0, t0 (the low part may have a sign); csrrw zero, number, t0
    [
        upper | 5 << 7 | 0x37,
        (value.wrapping_sub(upper) & 0xfff) << 20 | 5 << 15 | 5 << 7 | 0x1b,
        number << 20 | 5 << 15 | 0x1073,
    ]
}

fn program() -> Vec<u8> {
    // auipc t0, 0; addi t0, t0, 12; jal zero, over the handler
    let handler = [
        0x341 << 20 | 0x2000 | 6 << 7 | 0x73, // csrr t1, mepc
        addi(6, 6, 4),
        0x341 << 20 | 6 << 15 | 0x1073, // csrw mepc, t1
        0x3020_0073,                    // mret
    ];
    let mut words = vec![0x297, addi(5, 5, 12), 0x0140_006f];
    words.extend(handler);
    words.push(0x305 << 20 | 5 << 15 | 0x1073); // csrw mtvec, t0
    words.extend(REGISTERS.iter().flat_map(|(number, value)| write_register(*number, *value)));
    words.extend((1..32).map(|number| addi(number, 0, general(number))));
    words.push(0x6f); // j .
    words.into_iter().flat_map(u32::to_le_bytes).collect()
}

#[test]
fn the_recorded_program_is_the_one_that_is_made_here() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/recordings/riscv-virt.json");
    let list: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let recordings = list.as_array().unwrap();
    let recording = recordings.iter().find(|recording| recording["name"] == "virt-registers").unwrap();
    let hex: String = program().iter().map(|octet| format!("{octet:02x}")).collect();
    assert_eq!(recording["image"], hex);
}

/// Decodes a hart and compares what every release's image has under the same names.
macro_rules! check_hart {
    ($image:ty, $section:expr) => {{
        let section: &Section = $section;
        let mut hart = <$image>::default();
        hart.decode(&(), section.version, &mut Input::from_slice(&section.body, 0)).unwrap();
        for number in 1..32 {
            assert_eq!(hart.gpr[number as usize], u64::from(general(number)), "x{number}");
        }
        let pmp = hart.pmp.unwrap();
        let found = [
            hart.mscratch,
            hart.sscratch,
            hart.stvec,
            hart.sepc,
            hart.scause,
            hart.mcounteren.into(),
            hart.scounteren.into(),
            hart.mie,
            pmp.pmp[0].addr_reg,
            pmp.pmp[0].cfg_reg.into(),
        ];
        let written: Vec<u64> = REGISTERS.iter().map(|(_, value)| u64::from(*value)).collect();
        assert_eq!(found[..], written[..found.len()]);
        if let Some(hyper) = hart.hyper {
            let found = [hyper.vsscratch, hyper.vstvec, hyper.vsepc, hyper.vscause, hyper.mtval2];
            assert_eq!(found[..], written[10..15]);
        }
        (hart.mepc, hart.mcause)
    }};
}

fn hart(recording: &Recording) -> &Section {
    recording.sections.iter().find(|section| section.device.idstr == "cpu").unwrap()
}

#[test]
fn each_register_is_in_the_field_of_its_name() {
    let of_program = recordings_of("virt-registers-");
    assert_eq!(of_program.len(), 4, "a recording of each release");
    for recording in of_program {
        println!("{}", recording.name);
        let section = hart(&recording);
        let (mepc, mcause) = match section.version {
            1 => check_hart!(v1::CpuImage, section),
            5 => check_hart!(v5::CpuImage, section),
            10 => check_hart!(v10::CpuImage, section),
            12 => check_hart!(v12::CpuImage, section),
            version => panic!("version {version}"),
        };
        assert_eq!((mepc, mcause), (0x666, 0x777));
    }
}
