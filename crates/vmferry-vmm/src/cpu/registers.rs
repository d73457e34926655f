//! The 32 integer registers, and the width conversions that instructions do on them.

/// `x0` to `x31`; `x0` is always 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Registers([u64; 32]);

impl Registers {
    /// Value of register `index`, of which the low five bits count.
    #[must_use]
    #[inline(always)]
    pub fn read(&self, index: u8) -> u64 {
        // The mask lets the compiler drop the check; there is no panic to reach.
        self.0.get(usize::from(index & 31)).copied().unwrap_or(0)
    }

    /// Sets register `index`, of which the low five bits count; a write to `x0` is lost.
    #[inline(always)]
    pub fn write(&mut self, index: u8, value: u64) {
        if let Some(register) = self.0.get_mut(usize::from(index & 31)) {
            *register = value;
        }
        self.0[0] = 0;
    }

    /// All registers in order.
    #[must_use]
    pub const fn as_array(&self) -> &[u64; 32] {
        &self.0
    }
}

impl From<[u64; 32]> for Registers {
    /// Takes the values over; `x0` becomes 0.
    fn from(mut values: [u64; 32]) -> Self {
        values[0] = 0;
        Self(values)
    }
}

/// The low 32 bits.
#[inline(always)]
pub(super) const fn low32(value: u64) -> u32 {
    (value & 0xffff_ffff) as u32
}

/// The low 32 bits, sign-extended: what every `W` instruction leaves in its register.
#[inline(always)]
pub(super) const fn sign_extend32(value: u64) -> u64 {
    (low32(value).cast_signed() as i64).cast_unsigned()
}

/// The low `bits` bits, sign-extended.
#[inline(always)]
pub(super) const fn sign_extend(value: u64, bits: u32) -> u64 {
    let shift = 64 - bits;
    ((value << shift).cast_signed() >> shift).cast_unsigned()
}
