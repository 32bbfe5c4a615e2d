//! First in, first out, of numbers of which each is in at most once.

/// A ring of numbers.
#[derive(Debug, Default)]
pub(super) struct Ring {
    slots: Box<[u32]>,
    first: u32,
    len: u32,
}

impl Ring {
    /// Makes room for so many in all; keeps what is in it. Only when the tree is changed.
    pub(super) fn reserve(&mut self, count: usize) {
        if count <= self.slots.len() {
            return;
        }
        let mut slots = vec![0; count.next_power_of_two()];
        for slot in &mut slots[..self.len as usize] {
            *slot = self.slots[self.first as usize & (self.slots.len() - 1)];
            self.first = self.first.wrapping_add(1);
        }
        (self.slots, self.first) = (slots.into(), 0);
    }

    /// Appends one for which there is room.
    #[inline]
    pub(super) fn push(&mut self, number: u32) {
        debug_assert!((self.len as usize) < self.slots.len());
        let mask = self.slots.len().wrapping_sub(1);
        if let Some(slot) = self.slots.get_mut(self.first.wrapping_add(self.len) as usize & mask) {
            *slot = number;
            self.len += 1;
        }
    }

    /// Takes the first one.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<u32> {
        if self.len == 0 {
            return None;
        }
        let number = *self.slots.get(self.first as usize & self.slots.len().wrapping_sub(1))?;
        self.first = self.first.wrapping_add(1);
        self.len -= 1;
        Some(number)
    }

    /// The first ones, as many as fit, without taking them.
    #[inline]
    pub(super) fn peek(&self, first: &mut [u32]) -> usize {
        let count = first.len().min(self.len as usize);
        let mask = self.slots.len().wrapping_sub(1);
        for (at, place) in (self.first as usize..).zip(&mut first[..count]) {
            *place = self.slots[at & mask];
        }
        count
    }

    /// Is there none?
    #[inline]
    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What it takes in memory, in octets.
    pub(super) fn octets(&self) -> usize {
        self.slots.len() * 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_it_outlives_growth_in_order() {
        let mut ring = Ring::default();
        ring.reserve(3);
        for number in [1, 2, 3, 4] {
            ring.push(number);
        }
        assert_eq!((ring.pop(), ring.pop()), (Some(1), Some(2)));
        ring.push(5);
        ring.reserve(9);
        ring.push(6);
        let mut first = [0; 8];
        assert_eq!((ring.peek(&mut first), first[3]), (4, 6));
        let left: Vec<_> = std::iter::from_fn(|| ring.pop()).collect();
        assert_eq!(left, [3, 4, 5, 6]);
        assert!(ring.is_empty());
    }
}
