//! The Internet checksum (RFC 1071), its pseudo headers, and its incremental update (RFC 1624).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A running one's complement sum. Pieces but the last must have an even number of octets.
#[derive(Debug, Default, Clone, Copy)]
#[must_use]
pub struct Sum(u64);

impl Sum {
    /// Nothing added yet.
    pub const fn new() -> Self {
        Self(0)
    }

    /// Adds octets, eight at a time.
    #[inline]
    #[expect(clippy::should_implement_trait, reason = "a sum of octets is built up, not added to another")]
    pub fn add(mut self, octets: &[u8]) -> Self {
        // Words of 32 bits in a 64-bit sum: it can't overflow before 2^32 words, more than any packet has.
        let (chunks, rest) = octets.as_chunks::<8>();
        for chunk in chunks {
            let word = u64::from_be_bytes(*chunk);
            self.0 += (word >> 32) + (word & 0xffff_ffff);
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        let word = u64::from_be_bytes(last);
        self.0 += (word >> 32) + (word & 0xffff_ffff);
        self
    }

    /// Adds a number of 16 bits.
    #[inline]
    pub const fn add_u16(mut self, word: u16) -> Self {
        self.0 += word as u64;
        self
    }

    /// Adds the pseudo header of an upper layer over IPv4 (RFC 768, RFC 9293 section 3.1).
    #[inline]
    pub fn pseudo_ipv4(self, source: Ipv4Addr, destination: Ipv4Addr, protocol: u8, length: u16) -> Self {
        self.add(&source.octets()).add(&destination.octets()).add_u16(u16::from(protocol)).add_u16(length)
    }

    /// Adds the pseudo header of an upper layer over IPv6 (RFC 8200, section 8.1).
    #[inline]
    pub fn pseudo_ipv6(self, source: Ipv6Addr, destination: Ipv6Addr, next_header: u8, length: u32) -> Self {
        self.add(&source.octets()).add(&destination.octets()).add(&length.to_be_bytes()).add_u16(u16::from(next_header))
    }

    /// Adds the pseudo header for either family; nothing if the two addresses are not of one.
    #[inline]
    pub fn pseudo(self, source: IpAddr, destination: IpAddr, protocol: u8, length: u16) -> Self {
        match (source, destination) {
            (IpAddr::V4(s), IpAddr::V4(d)) => self.pseudo_ipv4(s, d, protocol, length),
            (IpAddr::V6(s), IpAddr::V6(d)) => self.pseudo_ipv6(s, d, protocol, u32::from(length)),
            _ => self,
        }
    }

    /// The sum folded to 16 bits. Over data with a right checksum in it, it is `0xffff`.
    #[inline]
    pub const fn folded(self) -> u16 {
        let mut sum = self.0;
        sum = (sum & 0xffff_ffff) + (sum >> 32);
        sum = (sum & 0xffff) + (sum >> 16);
        sum = (sum & 0xffff) + (sum >> 16);
        sum = (sum & 0xffff) + (sum >> 16);
        #[allow(clippy::cast_possible_truncation, reason = "folded to 16 bits")]
        let folded = sum as u16;
        folded
    }

    /// The checksum: the complement of the folded sum.
    #[inline]
    pub const fn checksum(self) -> u16 {
        !self.folded()
    }

    /// The checksum of UDP, where 0 means "none" and is written as `0xffff` (RFC 768).
    #[inline]
    pub const fn udp_checksum(self) -> u16 {
        match self.checksum() {
            0 => 0xffff,
            sum => sum,
        }
    }
}

/// A checksum after one of the 16-bit words that it covers has changed (RFC 1624, equation 3).
#[inline]
pub const fn update(checksum: u16, old: u16, new: u16) -> u16 {
    Sum(!checksum as u64 + !old as u64 + new as u64).checksum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The sum of RFC 1071, section 4.1, word by word.
    fn plain(octets: &[u8]) -> u16 {
        let mut sum = 0_u32;
        for pair in octets.chunks(2) {
            sum += u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
            sum = (sum & 0xffff) + (sum >> 16);
        }
        u16::try_from(sum).unwrap()
    }

    #[test]
    fn it_is_that_of_rfc_1071_section_3() {
        assert_eq!(Sum::new().add(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]).folded(), 0xddf2);
    }

    #[test]
    fn the_update_is_that_of_rfc_1624_section_4() {
        // The example of the RFC: checksum dd2f, a word changes from 5555 to 3285, and the checksum becomes 0000.
        assert_eq!(update(0xdd2f, 0x5555, 0x3285), 0x0000);
    }

    proptest! {
        #[test]
        fn it_is_the_word_by_word_sum(octets in proptest::collection::vec(any::<u8>(), 0..400)) {
            prop_assert_eq!(Sum::new().add(&octets).folded(), plain(&octets));
        }

        #[test]
        fn an_update_is_a_new_sum(mut octets in proptest::collection::vec(any::<u8>(), 20), at in 0_usize..10, new: u16) {
            let before = Sum::new().add(&octets).checksum();
            let old = u16::from_be_bytes([octets[2 * at], octets[2 * at + 1]]);
            octets[2 * at..2 * at + 2].copy_from_slice(&new.to_be_bytes());
            let after = Sum::new().add(&octets).checksum();
            // +0 and -0 are the same sum; equation 3 keeps to one of them where the data are not all zero.
            let updated = update(before, old, new);
            prop_assert!(updated == after || (updated ^ after) == 0xffff && (after == 0 || after == 0xffff));
        }
    }
}
