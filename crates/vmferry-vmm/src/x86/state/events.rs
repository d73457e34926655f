//! Events that are pending or under way: exceptions, interrupts, non-maskable and management interrupts.

use kvm_bindings::{
    KVM_VCPUEVENT_VALID_NMI_PENDING, KVM_VCPUEVENT_VALID_PAYLOAD, KVM_VCPUEVENT_VALID_SHADOW,
    KVM_VCPUEVENT_VALID_SIPI_VECTOR, KVM_VCPUEVENT_VALID_SMM, KVM_VCPUEVENT_VALID_TRIPLE_FAULT, kvm_vcpu_events,
};
use vmstate::{Refused, VmState};

use super::{expect_at_most, expect_bits};

/// Which parts are meant; the sender says what its kernel gave.
const FLAGS: u32 = KVM_VCPUEVENT_VALID_NMI_PENDING
    | KVM_VCPUEVENT_VALID_SIPI_VECTOR
    | KVM_VCPUEVENT_VALID_SHADOW
    | KVM_VCPUEVENT_VALID_SMM
    | KVM_VCPUEVENT_VALID_PAYLOAD
    | KVM_VCPUEVENT_VALID_TRIPLE_FAULT;

/// Image of the events.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "x86_vcpu_events", version = 1)]
pub(crate) struct EventsImage {
    flags: u32,
    exception_injected: u8,
    exception_nr: u8,
    exception_has_error_code: u8,
    exception_pending: u8,
    exception_error_code: u32,
    exception_has_payload: u8,
    exception_payload: u64,
    interrupt_injected: u8,
    interrupt_nr: u8,
    interrupt_soft: u8,
    interrupt_shadow: u8,
    nmi_injected: u8,
    nmi_pending: u8,
    nmi_masked: u8,
    sipi_vector: u32,
    smi_smm: u8,
    smi_pending: u8,
    smi_inside_nmi: u8,
    smi_latched_init: u8,
    triple_fault_pending: u8,
}

impl From<kvm_vcpu_events> for EventsImage {
    fn from(events: kvm_vcpu_events) -> Self {
        let kvm_vcpu_events {
            exception,
            interrupt,
            nmi,
            sipi_vector,
            flags,
            smi,
            triple_fault,
            reserved: _,
            exception_has_payload,
            exception_payload,
        } = events;
        Self {
            flags,
            exception_injected: exception.injected,
            exception_nr: exception.nr,
            exception_has_error_code: exception.has_error_code,
            exception_pending: exception.pending,
            exception_error_code: exception.error_code,
            exception_has_payload,
            exception_payload,
            interrupt_injected: interrupt.injected,
            interrupt_nr: interrupt.nr,
            interrupt_soft: interrupt.soft,
            interrupt_shadow: interrupt.shadow,
            nmi_injected: nmi.injected,
            nmi_pending: nmi.pending,
            nmi_masked: nmi.masked,
            sipi_vector,
            smi_smm: smi.smm,
            smi_pending: smi.pending,
            smi_inside_nmi: smi.smm_inside_nmi,
            smi_latched_init: smi.latched_init,
            triple_fault_pending: triple_fault.pending,
        }
    }
}

impl EventsImage {
    /// The events, if there can be such.
    pub(crate) fn checked(self) -> Result<kvm_vcpu_events, Refused> {
        let Self {
            flags,
            exception_injected,
            exception_nr,
            exception_has_error_code,
            exception_pending,
            exception_error_code,
            exception_has_payload,
            exception_payload,
            interrupt_injected,
            interrupt_nr,
            interrupt_soft,
            interrupt_shadow,
            nmi_injected,
            nmi_pending,
            nmi_masked,
            sipi_vector,
            smi_smm,
            smi_pending,
            smi_inside_nmi,
            smi_latched_init,
            triple_fault_pending,
        } = self;
        expect_bits("events.flags", flags, FLAGS.into())?;
        let booleans = [
            ("exception_injected", exception_injected),
            ("exception_has_error_code", exception_has_error_code),
            ("exception_pending", exception_pending),
            ("exception_has_payload", exception_has_payload),
            ("interrupt_injected", interrupt_injected),
            ("interrupt_soft", interrupt_soft),
            ("nmi_injected", nmi_injected),
            ("nmi_masked", nmi_masked),
            ("smi_smm", smi_smm),
            ("smi_pending", smi_pending),
            ("smi_inside_nmi", smi_inside_nmi),
            ("smi_latched_init", smi_latched_init),
            ("triple_fault_pending", triple_fault_pending),
        ];
        for (field, value) in booleans {
            expect_at_most(&format!("events.{field}"), value, 1)?;
        }
        // The instruction after STI, and that after MOV SS, may both hold interrupts off; two NMIs may wait.
        expect_at_most("events.interrupt_shadow", interrupt_shadow, 3)?;
        expect_at_most("events.nmi_pending", nmi_pending, 2)?;
        expect_at_most("events.sipi_vector", sipi_vector, 0xff)?;
        if exception_injected != 0 || exception_pending != 0 {
            expect_at_most("events.exception_nr", exception_nr, 31)?;
        }
        let mut events = kvm_vcpu_events {
            sipi_vector,
            flags,
            exception_has_payload,
            exception_payload,
            ..kvm_vcpu_events::default()
        };
        events.exception.injected = exception_injected;
        events.exception.nr = exception_nr;
        events.exception.has_error_code = exception_has_error_code;
        events.exception.pending = exception_pending;
        events.exception.error_code = exception_error_code;
        events.interrupt.injected = interrupt_injected;
        events.interrupt.nr = interrupt_nr;
        events.interrupt.soft = interrupt_soft;
        events.interrupt.shadow = interrupt_shadow;
        events.nmi.injected = nmi_injected;
        events.nmi.pending = nmi_pending;
        events.nmi.masked = nmi_masked;
        events.smi.smm = smi_smm;
        events.smi.pending = smi_pending;
        events.smi.smm_inside_nmi = smi_inside_nmi;
        events.smi.latched_init = smi_latched_init;
        events.triple_fault.pending = triple_fault_pending;
        Ok(events)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    vmstate::vmstate_tests!(EventsImage);

    #[test]
    fn events_survive_the_image_and_wrong_ones_are_refused() {
        let image = EventsImage {
            flags: KVM_VCPUEVENT_VALID_SHADOW,
            exception_pending: 1,
            exception_nr: 14,
            exception_has_error_code: 1,
            exception_error_code: 7,
            interrupt_shadow: 2,
            nmi_masked: 1,
            sipi_vector: 0x9f,
            ..EventsImage::default()
        };
        assert_eq!(EventsImage::from(image.clone().checked().unwrap()), image);
        let wrong = [
            ("flags", EventsImage { flags: 1 << 20, ..image.clone() }),
            ("exception_nr", EventsImage { exception_nr: 32, ..image.clone() }),
            ("nmi_masked", EventsImage { nmi_masked: 2, ..image.clone() }),
            ("interrupt_shadow", EventsImage { interrupt_shadow: 4, ..image.clone() }),
            ("sipi_vector", EventsImage { sipi_vector: 0x100, ..image }),
        ];
        for (name, image) in wrong {
            assert!(image.checked().unwrap_err().to_string().contains(name), "{name}");
        }
    }
}
