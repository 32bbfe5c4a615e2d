//! First in, first out, of numbers of which each is in at most once.

/// A ring of numbers.
#[derive(Debug, Default)]
pub(super) struct Ring {
    /// As many as a power of two, or none.
    slots: Box<[u32]>,
    /// Taken out, and put in, since the beginning.
    first: u32,
    end: u32,
}

impl Ring {
    /// Makes room for so many in all; keeps what is in it. Only when the tree is changed.
    pub(super) fn reserve(&mut self, count: usize) {
        if count <= self.slots.len() {
            return;
        }
        let (mut slots, mut len) = (vec![0; count.next_power_of_two()], 0);
        while let Some(number) = self.pop() {
            slots[len as usize] = number;
            len += 1;
        }
        (self.slots, self.first, self.end) = (slots.into(), 0, len);
    }

    /// Appends one for which there is room.
    #[inline]
    pub(super) fn push(&mut self, number: u32) {
        debug_assert!((self.end.wrapping_sub(self.first) as usize) < self.slots.len());
        let mask = self.slots.len().wrapping_sub(1);
        if let Some(slot) = self.slots.get_mut(self.end as usize & mask) {
            *slot = number;
            self.end = self.end.wrapping_add(1);
        }
    }

    /// Takes the first one.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<u32> {
        if self.is_empty() {
            return None;
        }
        let number = *self.slots.get(self.first as usize & self.slots.len().wrapping_sub(1))?;
        self.first = self.first.wrapping_add(1);
        Some(number)
    }

    /// The first ones, without taking them, as many as fit.
    #[inline]
    pub(super) fn peek(&self, first: &mut [u32]) -> usize {
        let count = first.len().min(self.end.wrapping_sub(self.first) as usize);
        let (again, slots) = self.slots.split_at(self.first as usize & self.slots.len().wrapping_sub(1));
        let (one, other) = first[..count].split_at_mut(count.min(slots.len()));
        one.copy_from_slice(&slots[..one.len()]);
        other.copy_from_slice(&again[..other.len()]);
        count
    }

    /// Is there none?
    #[inline]
    pub(super) const fn is_empty(&self) -> bool {
        self.first == self.end
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
        let mut first = [0; 8];
        assert_eq!((ring.peek(&mut first), &first[..3]), (3, &[3, 4, 5][..]));
        ring.reserve(9);
        ring.push(6);
        assert_eq!((ring.peek(&mut first), first[3]), (4, 6));
        assert_eq!((ring.peek(&mut first[..2]), first[1]), (2, 4));
        let left: Vec<_> = std::iter::from_fn(|| ring.pop()).collect();
        assert_eq!(left, [3, 4, 5, 6]);
        assert!(ring.is_empty());
    }
}
