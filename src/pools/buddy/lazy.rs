//! When blocks leave their orders, and come back there: as late as may be, and by twos.

use core::num::NonZero;

use crate::pools::buddy::Buddy;
use crate::pools::buddy::hand::Given;
use crate::pools::buddy::tally::Held;
use crate::sharing::share::Share;

impl<H: Share> Buddy<H> {
    /// The address of a block for a power, none of which is in the hand. One that must be halved for it leaves its
    /// order in two halves, of which the upper one goes to the hand.
    #[inline(never)]
    pub(super) fn take(&self, power: u32) -> Option<NonZero<usize>> {
        let order = self.order(power);
        let is_halved = self.is_halved(order);
        match self.free.take_only(order + u32::from(is_halved)) {
            Some(block) if is_halved => self.hand_out_half(block, power),
            Some(block) => self.hand_out(block, power),
            None => self.take_slowly(power),
        }
    }

    /// As [`take`](Buddy::take), from many, or with all in the hand joined.
    #[inline(never)]
    fn take_slowly(&self, power: u32) -> Option<NonZero<usize>> {
        let order = self.order(power);
        if self.is_halved(order)
            && let Some(block) = self.free.take(order + 1)
        {
            return self.hand_out_half(block, power);
        }
        let block = self.free.take(order).or_else(|| {
            self.settle();
            self.free.take(order)
        });
        self.hand_out(block?, power)
    }

    /// Whether a block for an order is halved and the other half goes to the hand, where nothing of the order is:
    /// neither has to be noted.
    #[inline]
    fn is_halved(&self, order: u32) -> bool {
        !self.free.has(order) && self.hand.is_open() && !self.tally.is_near(2 << order)
    }

    /// The address of the lower half of a block that was free.
    #[inline]
    fn hand_out_half(&self, block: usize, power: u32) -> Option<NonZero<usize>> {
        let amount = 1 << self.order(power);
        self.hand.note(block, power);
        self.hand.keep(block + amount, power);
        self.tally.take(2 * amount);
        NonZero::new(self.hand.address(block))
    }

    /// The address of a block that was free.
    #[inline]
    fn hand_out(&self, block: usize, power: u32) -> Option<NonZero<usize>> {
        let amount = 1 << self.order(power);
        self.hand.note(block, power);
        self.tally.take(amount);
        let at = NonZero::new(self.hand.address(block));
        if self.tally.is_new() {
            return self.after_rise(amount, at);
        }
        at
    }

    /// Takes a block back, unless it is none in use.
    #[inline]
    pub(super) fn give(&self, at: usize, power: u32) -> bool {
        match self.hand.give(at, power) {
            Given::Kept => {}
            Given::Instead(before) => self.put_back_for(before, at, power),
            Given::Refused => return self.give_slowly(at, power),
        }
        true
    }

    /// As [`give`](Buddy::give), where the hand was closed or there is no such block.
    #[cold]
    fn give_slowly(&self, at: usize, power: u32) -> bool {
        if self.hand.is_open() {
            return false;
        }
        self.reopen();
        let is_kept = matches!(self.hand.give(at, power), Given::Kept);
        let is_out = is_kept || self.hand.out(self.hand.number(at)) == Some(power);
        if is_out && !is_kept {
            self.put_back(at, power);
        }
        is_out
    }

    /// Makes a block free that was in the hand until the one at `at` went there: both, joined, if they are halves
    /// of one.
    // Cold, though not rare: so the way into the hand, where nothing was, goes without a jump.
    #[cold]
    fn put_back_for(&self, before: usize, at: usize, power: u32) {
        let (block, other) = (self.hand.number(before), self.hand.number(at));
        let order = self.order(power);
        self.hand.forget(block);
        if block ^ other != 1 << order {
            self.tally.give(1, 1 << order);
            return self.free.join(block, order);
        }
        self.hand.drop(power);
        self.hand.forget(other);
        self.tally.give(2, 2 << order);
        self.free.join(block & other, order + 1);
    }

    /// Makes a block free that is out of its order, and not in the hand.
    fn put_back(&self, at: usize, power: u32) {
        let (block, order) = (self.hand.number(at), self.order(power));
        self.hand.forget(block);
        self.tally.give(1, 1 << order);
        self.free.join(block, order);
    }

    /// Makes all blocks in the hand free.
    #[cold]
    pub(super) fn settle(&self) {
        for (power, at) in self.hand.blocks() {
            self.hand.drop(power);
            self.put_back(at, power);
        }
    }

    /// After so much more is out, which may be what is to be noted: closes the hand if so, and calls if that
    /// reaches the watermark. Gives back what it is given, so that its caller need not wait for it.
    #[inline(never)]
    pub(super) fn after_rise<T>(&self, more: usize, answer: T) -> T {
        if self.hand.is_open() {
            self.settle();
            if !self.tally.is_new() {
                return answer;
            }
            self.hand.close();
        }
        if self.tally.is_reached(more) {
            self.tally.call(self.held_in_all());
        }
        answer
    }

    /// Before less is in use: notes how much that was, and opens the hand, unless the watermark is reached.
    #[inline]
    pub(super) fn reopen(&self) {
        if !self.hand.is_open() && self.tally.note() {
            self.hand.open();
        }
    }

    /// The blocks in the hand, and their orders.
    pub(super) fn held(&self) -> impl Iterator<Item = (usize, u32)> + '_ {
        let place = |(power, at)| (self.hand.number(at), self.order(power));
        self.hand.blocks().map(place)
    }

    /// How much is in the hand.
    pub(super) fn held_in_all(&self) -> Held {
        let add = |held: Held, (_, order): (usize, u32)| Held {
            blocks: held.blocks + 1,
            amount: held.amount + (1 << order),
            ..held
        };
        self.held().fold(self.hand.moves(), add)
    }
}
