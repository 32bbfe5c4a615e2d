//! Fields at fixed places of a header whose length is known.
//!
//! Views hold `&[u8; N]` for their fixed part, so the compiler sees that a constant place is inside it and leaves no
//! check behind.

/// `N` octets at a place.
#[inline]
pub(crate) const fn at<const N: usize>(octets: &[u8], place: usize) -> [u8; N] {
    let mut out = [0; N];
    let mut i = 0;
    while i < N {
        out[i] = octets[place + i];
        i += 1;
    }
    out
}

/// Two octets, most significant first.
#[inline]
pub(crate) const fn be16(octets: &[u8], place: usize) -> u16 {
    u16::from_be_bytes(at(octets, place))
}

/// Four octets, most significant first.
#[inline]
pub(crate) const fn be32(octets: &[u8], place: usize) -> u32 {
    u32::from_be_bytes(at(octets, place))
}

/// Writes octets at a place.
#[inline]
pub(crate) fn put<const N: usize>(octets: &mut [u8], place: usize, value: [u8; N]) {
    octets[place..place + N].copy_from_slice(&value);
}
