//! Registers of an Arm CPU, which are sent as a list of ids and a list of values.
//!
//! The ids are the kernel's (`Documentation/virt/kvm/api.rst`, KVM_GET_ONE_REG). A destination refuses another value of
//! a register that identifies the CPU, those with CRn 0: found by loading streams of a Cortex-A53 and of one without
//! performance counters into a Cortex-A57, and those of one release into another, for QEMU 5.2 to 11.1.

use std::collections::BTreeMap;

use super::tree::{Content, Node};

const IDS: &str = "cpreg_vmstate_indexes";
const VALUES: &str = "cpreg_vmstate_values";

/// A register that the two ends have differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Difference {
    /// One that identifies the CPU.
    Identity { id: u64, sent: u64, own: u64 },
    /// The stream alone has it.
    Lacking { id: u64 },
}

/// The registers that a destination may refuse; nothing for an image without such lists.
pub(super) fn compare(stream: &Node, own: &Node) -> Vec<Difference> {
    let (Some(sent), Some(own)) = (registers(stream), registers(own)) else { return Vec::new() };
    let difference = |(id, sent): (u64, u64)| match own.get(&id) {
        Some(own) if *own != sent && identifies(id) => Some(Difference::Identity { id, sent, own: *own }),
        Some(_) => None,
        None => Some(Difference::Lacking { id }),
    };
    sent.into_iter().filter_map(difference).collect()
}

fn registers(node: &Node) -> Option<BTreeMap<u64, u64>> {
    let list = |name: &str| -> Option<Vec<u64>> {
        let entry = node.entries.iter().find(|entry| entry.name == name && entry.size == 8)?;
        let Content::Octets(octets) = &entry.content else { return None };
        Some(octets.as_chunks().0.iter().map(|word| u64::from_be_bytes(*word)).collect())
    };
    Some(list(IDS)?.into_iter().zip(list(VALUES)?).collect())
}

/// Whether a register's number has CRn 0.
fn identifies(id: u64) -> bool {
    let is_system_register = id >> 60 == 6 && id >> 16 & 0xfff == 0x013;
    let is_coprocessor_register = id >> 60 == 4 && id >> 16 & 0xf == 0xf;
    (is_system_register && id >> 7 & 0xf == 0) || (is_coprocessor_register && id >> 11 & 0xf == 0)
}

#[cfg(test)]
mod tests {
    use super::super::tree::Entry;
    use super::*;

    const MIDR: u64 = 0x6030_0000_0013_c000;
    const CTR: u64 = 0x6030_0000_0013_d801;
    const SCTLR: u64 = 0x6030_0000_0013_c080;
    const ID_DFR0: u64 = 0x4020_0000_200f_0082;
    const PMCEID: u64 = 0x4020_0000_200f_4e06;

    fn cpu(registers: &[(u64, u64)]) -> Node {
        let list = |name: &str, words: Vec<u64>| Entry {
            name: name.to_owned(),
            type_name: "uint64".to_owned(),
            size: 8,
            count: words.len() as u64,
            is_element: false,
            content: Content::Octets(words.into_iter().flat_map(u64::to_be_bytes).collect()),
        };
        let (ids, values) = registers.iter().copied().unzip();
        let entries = vec![list(IDS, ids), list(VALUES, values)];
        Node { name: "cpu".to_owned(), version: 22, entries, subsections: vec![] }
    }

    #[test]
    fn what_identifies_a_cpu_must_be_the_same() {
        let own = cpu(&[(ID_DFR0, 1), (PMCEID, 1), (MIDR, 1), (SCTLR, 1), (CTR, 1)]);
        assert_eq!(compare(&own, &own), []);
        let found = compare(&cpu(&[(ID_DFR0, 2), (PMCEID, 2), (MIDR, 2), (SCTLR, 2), (CTR, 2)]), &own);
        let ids: Vec<_> = found
            .into_iter()
            .map(|difference| match difference {
                Difference::Identity { id, sent: 2, own: 1 } => id,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(ids, [ID_DFR0, MIDR, CTR]);
    }

    #[test]
    fn a_register_that_the_destination_lacks_is_told() {
        assert_eq!(compare(&cpu(&[(MIDR, 1), (SCTLR, 1)]), &cpu(&[(MIDR, 1)])), [Difference::Lacking { id: SCTLR }]);
        assert_eq!(compare(&cpu(&[(MIDR, 1)]), &cpu(&[(MIDR, 1), (SCTLR, 1)])), []);
    }
}
