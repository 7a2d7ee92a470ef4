"""The way of a message to all members of a channel: the loop that runs once per turn and member."""

from __future__ import annotations

from framework.channels.cork import Cork
from framework.channels.entry import Batch, Entry
from framework.channels.listener import Listener
from framework.channels.member import Member
from framework.channels.stats import Counters
from framework.channels.subscription import Seat, Subscription

__all__ = ["Fanout"]


class Fanout:
    """The members of one channel, and what they were told since the last flush.

    Attributes:
        turn: entries that wait for the flush.
        sequence: the number of the next message.
        batch: what the running flush hands out.
    """

    __slots__ = (
        "_order",
        "_part",
        "batch",
        "cork",
        "counters",
        "listeners",
        "sequence",
        "subscriptions",
        "turn",
    )

    def __init__(self, cork: Cork) -> None:
        self.cork = cork
        self.counters = Counters()
        self.subscriptions: dict[Member, Subscription] = {}
        self.listeners: list[Listener] = []
        self.turn: list[Entry] = []
        self.sequence = 0
        self.batch: Batch | None = None
        self._part: Batch | None = None
        # What a flush walks along; made anew once members have come or gone, and never changed.
        self._order: list[Subscription] | None = None

    def post(self, entry: Entry, exclude: Member | None) -> None:
        """Takes a message for the next flush."""
        if exclude is not None:
            subscription = self.subscriptions.get(exclude)
            if subscription is not None:
                subscription.exclude(self.sequence)
        if not self.turn:
            self.cork.open(self)
        self.sequence += 1
        self.turn.append(entry)
        self.counters.published += 1
        self.cork.count(entry.size)

    def flush(self, number: int, direct: bool) -> None:
        """See ``Corked``."""
        entries = self.turn
        self.turn = []
        self._part = None
        count = len(entries)
        if count == 0:
            return
        batch = self.batch = Batch(entries, self.sequence - count)
        order = self._order
        if order is None:
            order = self._order = list(self.subscriptions.values())
        plain = batch.plain
        delivered = 0
        for subscription in order:
            if subscription.seen == number:
                continue
            subscription.seen = number
            seat = subscription.seat
            try:
                if subscription.special:
                    self.serve(subscription, batch, direct)
                elif seat.member.buffered > subscription.high:
                    subscription.hold(batch.entries)
                else:
                    data = plain if seat.key is None else batch.whole(seat.key, seat.deflater)
                    if direct or seat.alone:
                        seat.write(data)
                    else:
                        seat.send(data, False)
                    delivered += count
            except Exception as error:
                seat.failed(error)
        self.batch = None
        # Beside what was counted on the longer way meanwhile.
        self.counters.delivered += delivered
        for listener in tuple(self.listeners):
            listener.take_in(batch)
        self.settle()

    def serve(self, subscription: Subscription, batch: Batch, direct: bool) -> None:
        """The longer way, for a member that lags or gets less than all of the batch."""
        if not subscription.active:
            return
        seat = subscription.seat
        if seat.lagging or subscription.lost or seat.member.buffered > subscription.high:
            entries = batch.kept(subscription.since, subscription.holes)
            if entries:
                subscription.hold(entries)
        elif subscription.until <= batch.first:
            seat.send(batch.whole(seat.key, seat.deflater), direct)
            self.counters.delivered += len(batch.entries)
        else:
            data, count = batch.part(seat.key, seat.deflater, subscription.since, subscription.holes)
            if count:
                seat.send(data, direct)
                self.counters.delivered += count
        subscription.pass_by(batch.end)

    def join(self, subscription: Subscription) -> None:
        """A member more; it gets what is published from now on."""
        self.subscriptions[subscription.member] = subscription
        self._order = None
        subscription.seat.add(subscription)

    def end(self, subscription: Subscription) -> None:
        """A member less. What was published before is written to it now, unless it is gone or lags."""
        if not subscription.active:
            return
        seat = subscription.seat
        if not seat.gone:
            try:
                self._serve_now(subscription, seat)
            except Exception as error:
                seat.failed(error)
            if not subscription.active:
                return
        subscription.active = False
        subscription.special = True
        if subscription.backlog is not None:
            subscription.backlog.drop()
            subscription.backlog = None
        del self.subscriptions[subscription.member]
        self._order = None
        seat.remove(subscription)
        self.settle()
        if not self.subscriptions and not self.listeners:
            self.emptied()

    def _serve_now(self, subscription: Subscription, seat: Seat) -> None:
        """The rest of a running flush and what waits for the next one, for a member that leaves."""
        number = self.cork.number
        if self.batch is not None and subscription.seen != number:
            subscription.seen = number
            self._serve_last(subscription, seat, self.batch)
        seat.write_pending()
        if self.turn and subscription.active:
            part = self._part
            if part is None or part.end != self.sequence:
                # Kept for the case that many leave at once.
                part = self._part = Batch(list(self.turn), self.sequence - len(self.turn))
            self._serve_last(subscription, seat, part)

    def _serve_last(self, subscription: Subscription, seat: Seat, batch: Batch) -> None:
        if seat.lagging or subscription.lost or seat.member.buffered > subscription.high:
            self.counters.dropped += len(batch.kept(subscription.since, subscription.holes))
        else:
            self.serve(subscription, batch, True)

    def settle(self) -> None:
        """Something may have become of what waited."""

    def emptied(self) -> None:
        """The last one has left."""
