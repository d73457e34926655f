//! Rules of the serial port.

use std::sync::{Arc, Mutex};

use vmstate::{Input, Migrate, Properties, Versions, VmState};

use super::super::clock::ManualClock;
use super::*;

struct Line {
    uart: Uart,
    clock: Arc<ManualClock>,
    sent: Arc<Mutex<Vec<u8>>>,
    /// Bytes that the sink takes before it is busy.
    room: Arc<Mutex<usize>>,
}

fn line() -> Line {
    let clock = Arc::new(ManualClock::default());
    let sent = Arc::new(Mutex::new(Vec::new()));
    let room = Arc::new(Mutex::new(usize::MAX));
    let (bytes, left) = (sent.clone(), room.clone());
    let sink = move |byte| {
        let mut left = left.lock().unwrap();
        if *left == 0 {
            return false;
        }
        *left -= 1;
        bytes.lock().unwrap().push(byte);
        true
    };
    Line { uart: Uart::new(clock.clone(), Box::new(sink), SerialProps::defaults()), clock, sent, room }
}

impl Line {
    fn read(&mut self, offset: u64) -> u8 {
        low8(self.uart.read(offset, Width::Byte).unwrap())
    }

    fn write(&mut self, offset: u64, value: u8) {
        self.uart.write(offset, Width::Byte, u64::from(value)).unwrap();
    }

    fn sent(&self) -> Vec<u8> {
        self.sent.lock().unwrap().clone()
    }
}

#[test]
fn bytes_go_out_in_order_and_the_transmitter_is_empty_again() {
    for fcr in [0, 1] {
        let mut line = line();
        line.write(2, fcr);
        for byte in b"ferry" {
            line.write(0, *byte);
            assert_eq!(line.read(5), 0x60);
        }
        assert_eq!(line.sent(), b"ferry");
    }
}

#[test]
fn a_busy_sink_holds_bytes_back_until_pumped() {
    let mut line = line();
    line.write(2, 1);
    *line.room.lock().unwrap() = 1;
    for byte in b"abcd" {
        line.write(0, *byte);
    }
    assert_eq!((line.sent(), line.read(5) & 0x60, line.uart.is_blocked()), (b"a".to_vec(), 0, true));
    *line.room.lock().unwrap() = 2;
    line.uart.pump();
    assert_eq!((line.sent(), line.read(5) & 0x60), (b"abc".to_vec(), 0x20), "the last byte is in the shift register");
    *line.room.lock().unwrap() = 9;
    line.uart.pump();
    assert_eq!((line.sent(), line.read(5) & 0x60, line.uart.is_blocked()), (b"abcd".to_vec(), 0x60, false));
}

#[test]
fn received_bytes_interrupt_at_the_trigger_and_time_out_below_it() {
    let mut line = line();
    line.write(2, 0x41);
    line.write(1, 1);
    for byte in b"abc" {
        line.uart.receive(*byte);
    }
    assert!(!line.uart.level(), "three bytes, trigger four");
    let due = line.uart.due_in_ns().unwrap();
    // 5 data bits, one stop bit and the start bit at 19200 baud.
    assert_eq!(due, 4 * (7 * 1_000_000_000 / 19_200));
    line.clock.advance(due - 1);
    line.uart.poll();
    assert!(!line.uart.level());
    line.clock.advance(1);
    line.uart.poll();
    assert_eq!((line.uart.level(), line.read(2)), (true, 0xcc));
    assert_eq!((line.read(0), line.uart.level()), (b'a', false));
    line.uart.receive(b'd');
    line.uart.receive(b'e');
    assert_eq!((line.uart.level(), line.read(2)), (true, 0xc4));
    assert_eq!([(); 4].map(|()| line.read(0)), *b"bcde");
    assert_eq!((line.uart.level(), line.read(5) & 1, line.uart.due_in_ns()), (false, 0, None));
}

#[test]
fn an_overrun_is_seen_once_and_keeps_the_older_bytes() {
    let mut line = line();
    line.write(2, 1);
    line.write(1, 4);
    for byte in 0..17 {
        line.uart.receive(byte);
    }
    assert!(!line.uart.can_receive());
    assert_eq!((line.read(2), line.read(5), line.read(5)), (0xc6, 0x63, 0x61));
    assert_eq!((0..16).map(|_| line.read(0)).collect::<Vec<_>>(), (0..16).collect::<Vec<_>>());
}

#[test]
fn the_empty_transmitter_interrupts_until_iir_is_read_or_a_byte_written() {
    let mut line = line();
    line.write(1, 2);
    assert_eq!((line.uart.level(), line.read(2), line.uart.level()), (true, 0x02, false));
    line.write(0, b'x');
    assert!(line.uart.level());
    line.write(1, 0);
    assert!(!line.uart.level());
}

#[test]
fn loopback_brings_bytes_and_modem_lines_back() {
    let mut line = line();
    line.write(4, 0x1f);
    line.write(0, b'x');
    assert_eq!((line.read(5) & 1, line.read(0)), (1, b'x'));
    assert_eq!(line.read(6), 0xf0);
    line.write(4, 0x11);
    assert_eq!(line.read(6), 0x20);
    assert!(line.sent().is_empty());
}

#[test]
fn the_divisor_is_behind_dlab() {
    let mut line = line();
    assert_eq!(line.read(1), 0);
    line.write(3, 0x83);
    line.write(0, 0x34);
    line.write(1, 0x12);
    assert_eq!((line.read(0), line.read(1), line.uart.divider), (0x34, 0x12, 0x1234));
    line.write(3, 0x03);
    line.write(7, 0x5a);
    assert_eq!((line.read(3), line.read(7), line.read(1)), (0x03, 0x5a, 0));
}

/// A port with bytes both ways, a busy sink, and a running timeout.
fn busy() -> Line {
    let mut line = line();
    line.write(2, 0x81);
    line.write(1, 0x0f);
    line.write(3, 0x1b);
    *line.room.lock().unwrap() = 0;
    for byte in b"out" {
        line.write(0, *byte);
    }
    for byte in b"in" {
        line.uart.receive(*byte);
    }
    line
}

#[test]
fn a_port_in_use_moves_and_goes_on() {
    let source = busy();
    let image = source.uart.snapshot().unwrap();
    let mut octets = Vec::new();
    image.encode(&source.uart.props(), &mut octets).unwrap();

    let mut other = line();
    other.clock.advance(source.clock.virtual_ns());
    let mut arrived = other.uart.template().unwrap();
    arrived.decode(&other.uart.props(), 3, &mut Input::from_slice(&octets, 0)).unwrap();
    assert_eq!(arrived, image);
    other.uart.restore(arrived, &Versions::new(3)).unwrap();
    assert_eq!(other.uart.snapshot().unwrap(), image);
    other.uart.pump();
    assert_eq!(other.sent(), b"out");
    assert_eq!((other.read(0), other.read(0)), (b'i', b'n'));
}

#[test]
fn a_port_at_rest_sends_the_eleven_octets_of_qemu() {
    let line = line();
    let mut octets = Vec::new();
    line.uart.snapshot().unwrap().encode(&line.uart.props(), &mut octets).unwrap();
    assert_eq!(octets, [0, 12, 0, 0, 1, 0, 8, 0x60, 0xb0, 0, 0]);
}

#[test]
fn without_the_property_the_timeout_starts_anew_at_the_destination() {
    let mut source = busy();
    source.uart.props.migrate_fifo_timeout = false;
    source.clock.advance(1000);
    let mut octets = Vec::new();
    source.uart.snapshot().unwrap().encode(&source.uart.props(), &mut octets).unwrap();
    assert!(!String::from_utf8_lossy(&octets).contains("fifo_timeout_timer"));

    let mut other = line();
    let mut arrived = other.uart.template().unwrap();
    arrived.decode(&other.uart.props(), 3, &mut Input::from_slice(&octets, 0)).unwrap();
    other.uart.restore(arrived, &Versions::new(3)).unwrap();
    assert_eq!(other.uart.due_in_ns(), Some(4 * other.uart.character_ns()));
}

#[test]
fn inconsistent_state_is_refused_and_changes_nothing() {
    let mut victim = busy();
    let before = victim.uart.snapshot().unwrap();
    let mut octets = Vec::new();
    before.encode(&victim.uart.props(), &mut octets).unwrap();
    let lsr = 7;
    // LSR with the transmitter empty, without the received byte, with the transmit FIFO empty; FCR with FIFOs off; MCR
    // and IER with bits that do not exist.
    for (at, value) in [(lsr, 0x41), (lsr, 0x00), (lsr, 0x21), (10, 0x80), (6, 0x88), (3, 0xff)] {
        let mut damaged = octets.clone();
        damaged[at] = value;
        let mut image = victim.uart.template().unwrap();
        image.decode(&victim.uart.props(), 3, &mut Input::from_slice(&damaged, 0)).unwrap();
        victim.uart.restore(image, &Versions::new(3)).unwrap_err();
        assert_eq!(victim.uart.snapshot().unwrap(), before);
    }
    // Head of the receive FIFO.
    let name = b"serial/recv_fifo";
    let at = octets.windows(name.len()).position(|window| window == name).unwrap() + name.len() + 4 + 16;
    octets[at] = 1;
    let mut image = victim.uart.template().unwrap();
    image.decode(&victim.uart.props(), 3, &mut Input::from_slice(&octets, 0)).unwrap();
    let refused = victim.uart.restore(image, &Versions::new(3)).unwrap_err();
    assert!(refused.to_string().starts_with("recv_fifo has head 16777216"), "{refused}");
}

vmstate::vmstate_tests!(SerialImage);
vmstate::device_tests!(mod uart_device: || line().uart, || busy().uart);
