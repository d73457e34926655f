//! Segments, tables and control registers.

use kvm_bindings::{kvm_dtable, kvm_segment, kvm_sregs};
use vmstate::{Refused, VmState};

use super::{expect_at_most, expect_bits};

/// Image of a segment register with its hidden part.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "x86_vcpu_segment", version = 1)]
pub(crate) struct SegmentImage {
    base: u64,
    limit: u32,
    selector: u16,
    #[vmstate(name = "type")]
    kind: u8,
    present: u8,
    dpl: u8,
    db: u8,
    s: u8,
    l: u8,
    g: u8,
    avl: u8,
    unusable: u8,
}

impl From<kvm_segment> for SegmentImage {
    fn from(segment: kvm_segment) -> Self {
        let kvm_segment { base, limit, selector, type_: kind, present, dpl, db, s, l, g, avl, unusable, padding: _ } =
            segment;
        Self { base, limit, selector, kind, present, dpl, db, s, l, g, avl, unusable }
    }
}

impl SegmentImage {
    fn checked(&self, name: &str) -> Result<kvm_segment, Refused> {
        let Self { base, limit, selector, kind, present, dpl, db, s, l, g, avl, unusable } = *self;
        expect_at_most(&format!("sregs.{name}.type"), kind, 15)?;
        expect_at_most(&format!("sregs.{name}.dpl"), dpl, 3)?;
        let bits =
            [("present", present), ("db", db), ("s", s), ("l", l), ("g", g), ("avl", avl), ("unusable", unusable)];
        for (field, value) in bits {
            expect_at_most(&format!("sregs.{name}.{field}"), value, 1)?;
        }
        Ok(kvm_segment { base, limit, selector, type_: kind, present, dpl, db, s, l, g, avl, unusable, padding: 0 })
    }
}

/// Image of a descriptor table's register.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "x86_vcpu_table", version = 1)]
pub(crate) struct TableImage {
    base: u64,
    limit: u16,
}

impl From<kvm_dtable> for TableImage {
    fn from(table: kvm_dtable) -> Self {
        let kvm_dtable { base, limit, padding: _ } = table;
        Self { base, limit }
    }
}

impl From<&TableImage> for kvm_dtable {
    fn from(image: &TableImage) -> Self {
        let TableImage { base, limit } = *image;
        Self { base, limit, ..Self::default() }
    }
}

/// Image of the special registers.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "x86_vcpu_sregs", version = 1)]
pub(crate) struct SpecialRegistersImage {
    cs: SegmentImage,
    ds: SegmentImage,
    es: SegmentImage,
    fs: SegmentImage,
    gs: SegmentImage,
    ss: SegmentImage,
    tr: SegmentImage,
    ldt: SegmentImage,
    gdt: TableImage,
    idt: TableImage,
    cr0: u64,
    cr2: u64,
    cr3: u64,
    cr4: u64,
    cr8: u64,
    efer: u64,
    apic_base: u64,
    /// The interrupt that was acknowledged and not delivered yet: a bit a vector.
    interrupt_bitmap: [u64; 4],
}

impl From<kvm_sregs> for SpecialRegistersImage {
    fn from(sregs: kvm_sregs) -> Self {
        let kvm_sregs {
            cs,
            ds,
            es,
            fs,
            gs,
            ss,
            tr,
            ldt,
            gdt,
            idt,
            cr0,
            cr2,
            cr3,
            cr4,
            cr8,
            efer,
            apic_base,
            interrupt_bitmap,
        } = sregs;
        Self {
            cs: cs.into(),
            ds: ds.into(),
            es: es.into(),
            fs: fs.into(),
            gs: gs.into(),
            ss: ss.into(),
            tr: tr.into(),
            ldt: ldt.into(),
            gdt: gdt.into(),
            idt: idt.into(),
            cr0,
            cr2,
            cr3,
            cr4,
            cr8,
            efer,
            apic_base,
            interrupt_bitmap,
        }
    }
}

const CR0_PG: u64 = 1 << 31;
const CR0_PE: u64 = 1;
const CR4_PAE: u64 = 1 << 5;
const EFER_LME: u64 = 1 << 8;
const EFER_LMA: u64 = 1 << 10;
/// Bits of CR0 that exist (manual, volume 3, section 2.5).
const CR0: u64 = 0xe005_003f;
/// Flags of the local APIC's base: first processor, x2APIC, enabled.
const APIC_BASE_FLAGS: u64 = 0xd00;
const APIC_BASE: u64 = 0xfee0_0000;

impl SpecialRegistersImage {
    /// The registers, if a processor can hold them together. What depends on the host's features, the kernel checks.
    pub(crate) fn checked(self) -> Result<kvm_sregs, Refused> {
        let Self {
            cs,
            ds,
            es,
            fs,
            gs,
            ss,
            tr,
            ldt,
            gdt,
            idt,
            cr0,
            cr2,
            cr3,
            cr4,
            cr8,
            efer,
            apic_base,
            interrupt_bitmap,
        } = self;
        expect_bits("sregs.cr0", cr0, CR0)?;
        expect_at_most("sregs.cr8", cr8, 15)?;
        expect_bits("sregs.apic_base", apic_base, APIC_BASE | APIC_BASE_FLAGS)?;
        let pending: u32 = interrupt_bitmap.iter().map(|word| word.count_ones()).sum();
        expect_at_most("the number of bits in sregs.interrupt_bitmap", pending, 1)?;
        let wrong = |reason: &str| {
            Err(Refused::new(format!(
                "sregs.cr0 {cr0:#x}, cr4 {cr4:#x} and efer {efer:#x} do not go together: {reason}"
            )))
        };
        let is_long = efer & EFER_LME != 0 && cr0 & CR0_PG != 0;
        if cr0 & CR0_PG != 0 && cr0 & CR0_PE == 0 {
            return wrong("paging needs protection");
        }
        if is_long && cr4 & CR4_PAE == 0 {
            return wrong("long mode needs physical address extension");
        }
        if is_long != (efer & EFER_LMA != 0) {
            return wrong("long mode is active if it is enabled and paging is on");
        }
        Ok(kvm_sregs {
            cs: cs.checked("cs")?,
            ds: ds.checked("ds")?,
            es: es.checked("es")?,
            fs: fs.checked("fs")?,
            gs: gs.checked("gs")?,
            ss: ss.checked("ss")?,
            tr: tr.checked("tr")?,
            ldt: ldt.checked("ldt")?,
            gdt: (&gdt).into(),
            idt: (&idt).into(),
            cr0,
            cr2,
            cr3,
            cr4,
            cr8,
            efer,
            apic_base,
            interrupt_bitmap,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    vmstate::vmstate_tests!(SpecialRegistersImage);

    fn long_mode() -> SpecialRegistersImage {
        SpecialRegistersImage { cr0: CR0_PG | CR0_PE, cr4: CR4_PAE, efer: 0x500, ..SpecialRegistersImage::default() }
    }

    #[test]
    fn modes_that_no_processor_has_are_refused() {
        assert!(long_mode().checked().is_ok());
        assert!(SpecialRegistersImage::default().checked().is_ok(), "16-bit mode");
        let wrong = [
            ("protection", SpecialRegistersImage { cr0: CR0_PG, efer: 0, ..long_mode() }),
            ("extension", SpecialRegistersImage { cr4: 0, ..long_mode() }),
            ("active", SpecialRegistersImage { efer: EFER_LME, ..long_mode() }),
            ("active", SpecialRegistersImage { cr0: CR0_PE, ..long_mode() }),
            ("cr0", SpecialRegistersImage { cr0: 1 << 40, ..long_mode() }),
            ("cr8", SpecialRegistersImage { cr8: 16, ..long_mode() }),
            ("apic_base", SpecialRegistersImage { apic_base: 0x1_fee0_0800, ..long_mode() }),
            ("interrupt_bitmap", SpecialRegistersImage { interrupt_bitmap: [0, 3, 0, 0], ..long_mode() }),
            (
                "sregs.tr.type",
                SpecialRegistersImage { tr: SegmentImage { kind: 16, ..SegmentImage::default() }, ..long_mode() },
            ),
            (
                "sregs.gs.l",
                SpecialRegistersImage { gs: SegmentImage { l: 2, ..SegmentImage::default() }, ..long_mode() },
            ),
            (
                "sregs.ss.dpl",
                SpecialRegistersImage { ss: SegmentImage { dpl: 4, ..SegmentImage::default() }, ..long_mode() },
            ),
        ];
        for (name, image) in wrong {
            let refused = image.checked().unwrap_err().to_string();
            assert!(refused.contains(name), "{name}: {refused}");
        }
    }
}
