//! Reference virtual machine of vmferry.
