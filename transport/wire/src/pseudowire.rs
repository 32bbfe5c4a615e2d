//! Ethernet pseudowires over MPLS (RFC 4448): the control word before the frame (RFC 4385, section 3).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-------+-----------------------+-------------------------------+
//! |0 0 0 0|       Reserved        |        Sequence number        |
//! +-------+-----------------------+-------------------------------+
//! |                        Ethernet frame …                       |
//! ```
//!
//! Whether there is one, both ends have agreed on: the packet does not say it. Its first four bits are 0, so that no
//! router takes the frame for an IP packet; 1 are those of the associated channel, which carries OAM and no frames.

use crate::octets::be16;
use crate::{Layer, Problem, WireError};

/// A view of what a pseudowire carries behind its label.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    control_word: Option<ControlWord>,
    frame: &'a [u8],
}

impl<'a> Packet<'a> {
    /// On a pseudowire with control words. The first four bits must be 0; what is reserved is ignored (RFC 4448,
    /// section 4.6).
    #[inline]
    pub fn new(octets: &'a [u8]) -> Result<Self, WireError> {
        let (word, frame) = octets
            .split_first_chunk::<CONTROL_WORD_OCTETS>()
            .ok_or(Layer::Pseudowire.truncated(CONTROL_WORD_OCTETS, octets.len()))?;
        match word[0] >> 4 {
            0 => Ok(Self { control_word: Some(ControlWord { sequence: be16(word, SEQUENCE) }), frame }),
            CHANNEL_NIBBLE => {
                Err(WireError { layer: Layer::Pseudowire, offset: 0, problem: Problem::AssociatedChannel })
            }
            nibble => Err(Layer::Pseudowire.value(0, u32::from(nibble), 0)),
        }
    }

    /// On a pseudowire without control words: the frame stands behind the label.
    #[inline]
    pub const fn without_control_word(octets: &'a [u8]) -> Self {
        Self { control_word: None, frame: octets }
    }

    /// The control word, on a pseudowire that has them.
    #[inline]
    pub const fn control_word(&self) -> Option<ControlWord> {
        self.control_word
    }

    /// The Ethernet frame.
    #[inline]
    pub const fn frame(&self) -> &'a [u8] {
        self.frame
    }
}

/// A control word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct ControlWord {
    /// The sequence number; 0 says that the sender does not count.
    pub sequence: u16,
}

impl ControlWord {
    /// Its octets.
    #[inline]
    pub const fn octets(self) -> [u8; CONTROL_WORD_OCTETS] {
        let [high, low] = self.sequence.to_be_bytes();
        [0, 0, high, low]
    }

    /// The one that follows: after 65,535 comes 1, for 0 does not count (RFC 4385, section 4.1).
    #[inline]
    #[must_use]
    pub const fn next(self) -> Self {
        Self { sequence: if self.sequence == u16::MAX { 1 } else { self.sequence + 1 } }
    }
}

/// The length of a control word.
pub const CONTROL_WORD_OCTETS: usize = 4;

const CHANNEL_NIBBLE: u8 = 1;
const SEQUENCE: usize = 2;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `EoMCW(zero=0, reserved=0, seq=0x1234)` of scapy 2.8, and two octets of a frame.
    const GOLDEN: [u8; 6] = [0x00, 0x00, 0x12, 0x34, 0x02, 0xff];

    #[test]
    fn a_control_word_reads_and_writes_both_ways() {
        let packet = Packet::new(&GOLDEN).unwrap();
        assert_eq!(packet.control_word(), Some(ControlWord { sequence: 0x1234 }));
        assert_eq!(packet.frame(), [0x02, 0xff]);
        assert_eq!(ControlWord { sequence: 0x1234 }.octets(), GOLDEN[..4]);
        // Reserved bits are for others: flags, fragmentation and length (RFC 4385, section 3).
        assert!(Packet::new(&[0x0f, 0xff, 0, 0]).is_ok());
    }

    #[test]
    fn without_control_words_all_of_it_is_the_frame() {
        let packet = Packet::without_control_word(&GOLDEN);
        assert_eq!((packet.control_word(), packet.frame()), (None, &GOLDEN[..]));
    }

    #[test]
    fn other_first_bits_and_cut_words_are_refused() {
        for length in 0..CONTROL_WORD_OCTETS {
            assert_eq!(Packet::new(&GOLDEN[..length]).unwrap_err(), Layer::Pseudowire.truncated(4, length));
        }
        // The header of an associated channel (RFC 4385, section 5), then IPv4 and IPv6.
        let refused = |first: u8| Packet::new(&[first, 0, 0, 0x21]).unwrap_err();
        assert_eq!(refused(0x10).problem, Problem::AssociatedChannel);
        assert_eq!(refused(0x45), Layer::Pseudowire.value(0, 4, 0));
        assert_eq!(refused(0x60), Layer::Pseudowire.value(0, 6, 0));
    }

    #[test]
    fn sequence_numbers_go_round_without_0() {
        let next = |sequence| ControlWord { sequence }.next().sequence;
        assert_eq!((next(0), next(1), next(u16::MAX)), (1, 2, 1));
    }

    proptest! {
        #[test]
        fn every_control_word_survives(sequence: u16) {
            let word = ControlWord { sequence };
            prop_assert_eq!(Packet::new(&word.octets()).unwrap().control_word(), Some(word));
        }

        #[test]
        fn random_octets_never_panic(octets in prop::collection::vec(any::<u8>(), 0..20)) {
            if let Ok(packet) = Packet::new(&octets) {
                prop_assert_eq!(packet.frame().len() + CONTROL_WORD_OCTETS, octets.len());
            }
        }
    }
}
