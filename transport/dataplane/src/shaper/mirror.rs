//! Ceilings that several trees share: what one has sent, the others count as if they had.

use super::Shaper;
use crate::meter::Nanos;

impl Shaper {
    /// A frame of a segment has left by another tree that has the same segment, with ceilings that are meant once for both. It
    /// takes its time from the ceilings of segment and slice here; guarantees and shares are each tree's own. A ceiling that is
    /// not below the port's rate limits nothing here and is charged with nothing, and none is charged with more than a second
    /// ahead: a slower port is not to pay for long for what a faster one could send. A segment that is not here is none.
    #[inline]
    pub fn charge_ceilings(&mut self, now: Nanos, segment: u32, octets: u32) {
        let now = self.time.at(now);
        let octets = octets.saturating_add(self.port.overhead).clamp(1, super::FRAME_OCTETS_MOST);
        let Some(place) = self.segments.get_mut(segment as usize).filter(|place| place.is_live()) else { return };
        // Where it stands among those that may send it is found out when its turn comes.
        place.share.charge_ceiling_of_others(now, octets, self.port.pace);
        if let Some(slice) = self.slices.get_mut(usize::from(place.share.own.slice)) {
            slice.share.charge_ceiling_of_others(now, octets, self.port.pace);
        }
    }
}
