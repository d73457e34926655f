//! Migrations that broke in releases of QEMU (`docs/spec/compat.md` section 8), in devices of the same shape.
//!
//! Releases are called as QEMU's, machine types too; the devices are as small as the break allows.

use vmstate_lab::Lab;

mod b01_pcie_aer_mask;
mod b02_virtio_blk_queues;
mod b03_piix4_acpi_index;
mod b04_virtio_gpu_scanouts;
mod b05_reader_stricter_than_old_writers;
mod b06_css_switch;
mod b07_virtio_rng_vectors;
mod b08_virtio_balloon_vectors;
mod b09_virtio_net_vectors;
mod b10_e1000e_timer;
mod b12_hpet_offset;
mod b13_keyboard_extended_state;
mod b14_switchover_start;
mod b15_scsi_base_class;
mod b17_multifd_flush;
mod b18_vga_ram_name;
mod b19_memory_backend_ids;
mod b20_apic_instance_ids;
mod b21_pci_host_register;
mod b22_fw_cfg_regions;
mod b23_uart_clock;
mod b24_ramfb;
mod b25_split_irqchip;
mod b26_ats_alignment;
mod b27_virtio_mem_early;

/// Each with its name.
pub(crate) fn all() -> Vec<(&'static str, Lab)> {
    vec![
        ("b01_pcie_aer_mask", b01_pcie_aer_mask::lab()),
        ("b02_virtio_blk_queues", b02_virtio_blk_queues::lab()),
        ("b03_piix4_acpi_index", b03_piix4_acpi_index::lab()),
        ("b04_virtio_gpu_scanouts", b04_virtio_gpu_scanouts::lab()),
        ("b05_reader_stricter_than_old_writers", b05_reader_stricter_than_old_writers::lab()),
        ("b06_css_switch", b06_css_switch::lab()),
        ("b07_virtio_rng_vectors", b07_virtio_rng_vectors::lab()),
        ("b08_virtio_balloon_vectors", b08_virtio_balloon_vectors::lab()),
        ("b09_virtio_net_vectors", b09_virtio_net_vectors::lab()),
        ("b10_e1000e_timer", b10_e1000e_timer::lab()),
        ("b12_hpet_offset", b12_hpet_offset::lab()),
        ("b13_keyboard_extended_state", b13_keyboard_extended_state::lab()),
        ("b14_switchover_start", b14_switchover_start::lab()),
        ("b15_scsi_base_class", b15_scsi_base_class::lab()),
        ("b17_multifd_flush", b17_multifd_flush::lab()),
        ("b18_vga_ram_name", b18_vga_ram_name::lab()),
        ("b19_memory_backend_ids", b19_memory_backend_ids::lab()),
        ("b20_apic_instance_ids", b20_apic_instance_ids::lab()),
        ("b21_pci_host_register", b21_pci_host_register::lab()),
        ("b22_fw_cfg_regions", b22_fw_cfg_regions::lab()),
        ("b23_uart_clock", b23_uart_clock::lab()),
        ("b24_ramfb", b24_ramfb::lab()),
        ("b25_split_irqchip", b25_split_irqchip::lab()),
        ("b26_ats_alignment", b26_ats_alignment::lab()),
        ("b27_virtio_mem_early", b27_virtio_mem_early::lab()),
    ]
}
