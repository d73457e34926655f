//! Migrations that broke in releases of QEMU (`docs/spec/compat.md` section 8), in devices of the same shape.
//!
//! Releases are called as QEMU's, machine types too; the devices are as small as the break allows.

mod b01_pcie_aer_mask;
mod b02_virtio_blk_queues;
mod b03_piix4_acpi_index;
mod b04_virtio_gpu_scanouts;
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
