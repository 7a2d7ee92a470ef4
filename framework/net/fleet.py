"""Decides about the workers of a supervisor: who starts, who leaves, who is dead. No processes, no clock, no sockets.

Each worker has a slot, which owns a share of the listening sockets. The sockets of a slot without a ready worker are
accepted on by another until there is one, so that no client waits for a process that is not there.
"""

from __future__ import annotations

import logging
import random
from collections import deque
from collections.abc import Callable, Sequence

from framework.net.brain import NEVER, Ending, Hands, Rules
from framework.net.places import Slot, Stage, Turn, Worker

__all__ = ["Fleet"]


class Fleet:
    """A fixed number of workers, kept alive.

    The first worker starts alone: what is wrong with the app is then said once, and migrations run once. Crashed
    workers come back, the later the oftener. A reload replaces them one at a time: the new one is ready before the
    old one is told to go, and a new one that does not start leaves all as it was.

    Args:
        shares: for each worker, the listening sockets that are its own, by index.
        chance: gives numbers from 0 to 1, for the jitter.
    """

    def __init__(
        self,
        hands: Hands,
        rules: Rules,
        shares: Sequence[Sequence[int]],
        *,
        log: logging.Logger,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.code: int | None = None
        self._hands = hands
        self._rules = rules
        self._log = log
        self._chance = chance
        self._slots = [Slot(index, share) for index, share in enumerate(shares)]
        self._sockets = sorted({socket for share in shares for socket in share})
        self._workers: dict[int, Worker] = {}
        self._last = 0
        self._queue: deque[Slot] = deque()
        self._turn: Turn | None = None
        self._reloading = self._told = self._ever_ready = False
        self._stops = 0
        self._final = 0

    @property
    def healthy(self) -> bool:
        return any(self._is_serving(worker) for worker in self._workers.values())

    # -- news -------------------------------------------------------------------------------------------------------

    def start(self, now: float) -> None:
        """The first worker; the others follow when it is ready."""
        self._spawn(self._slots[0], now)

    def ready(self, worker: int, now: float) -> None:
        """A worker accepts connections."""
        member = self._workers[worker]
        if member.stage is not Stage.STARTING:
            return
        member.stage = Stage.READY
        member.since = member.heard = now
        slot = member.slot
        slot.failed_starts = 0
        slot.tried = self._ever_ready = True
        self._log.info("worker %d is ready", slot.number)
        for other in list(self._workers.values()):
            if other.slot is slot and other is not member and other.stage is Stage.READY:
                self._dismiss(other, now)
        for each in self._slots:
            if not each.begun:
                self._spawn(each, now)
        if slot.outdated:
            slot.outdated = False
            self._queue.append(slot)
        if self._turn is not None and self._turn.new == worker:
            self._turn.new = None
        self._go_on(now)

    def beat(self, worker: int, now: float, requests: int, rss: int) -> None:
        """A worker's loop turns."""
        member = self._workers[worker]
        member.heard = now
        if member.stale:
            member.stale = False
            self._share_out()
        if not self._is_serving(member) or now < max(
            member.since + self._rules.settle_time, member.quiet_until
        ):
            return
        max_rss = self._rules.max_rss
        if requests >= member.tires_at:
            why = f"has served {requests} requests"
        elif max_rss is not None and rss >= max_rss:
            why = f"holds {rss / 1048576:.0f} MiB of memory"
        else:
            return
        if self._line_up(member.slot):
            self._log.info("worker %d %s and is replaced", member.slot.number, why)
            self._go_on(now)

    def leaving(self, worker: int, now: float) -> None:
        """A worker was told to go by somebody else."""
        member = self._workers[worker]
        if member.stage is Stage.READY and not self._stops:
            self._log.info("worker %d was told to go and is replaced", member.slot.number)
            self._line_up(member.slot)
            self._go_on(now)

    def exited(self, worker: int, now: float, ending: Ending) -> None:
        """A worker's process has ended."""
        member = self._workers.pop(worker)
        slot = member.slot
        slot.tried = True
        if self._stops:
            if not ending.clean:
                self._say("worker %d %s while it stopped", member, ending)
            if not self._workers:
                self.code = self._final
            return
        if self._turn is not None:
            self._turn.old.discard(worker)
        if member.stage is Stage.STARTING:
            self._failed(member, now, ending)
        elif member.stage is Stage.READY:
            self._crashed(member, now, ending)
        elif not ending.clean:
            self._say("worker %d %s while it stopped", member, ending)
        if not self._stops:
            self._go_on(now)

    def reload(self, now: float) -> None:
        """Replaces every worker, one at a time."""
        if self._stops:
            return
        self._log.info("reload: the workers are replaced one at a time")
        self._reloading = True
        self._queue = deque(self._slots)
        self._go_on(now)

    def changed(self, files: Sequence[str], now: float) -> None:
        """Production does not watch files; a deployment sends its signal."""

    def stop(self, now: float) -> None:
        """All go; a second call cuts their waits short, a third kills."""
        self._stops += 1
        if self._stops == 1:
            self._log.info("stopping")
            self._queue.clear()
            for slot in self._slots:
                slot.start_at = NEVER
            for member in self._workers.values():
                self._dismiss(member, now)
        else:
            for member in self._workers.values():
                member.kill_at = now if self._stops > 2 else min(member.kill_at, now + self._rules.force_time)
                self._hands.stop(member.number)
            self.tick(now)
        if not self._workers:
            self.code = self._final

    def tick(self, now: float) -> float:
        """Looks for workers that hang or are late, and starts those whose time has come."""
        due = NEVER
        self._look_for_stale(now)
        for member in list(self._workers.values()):
            if not member.doomed:
                limit, why = self._patience(member)
                if now >= limit:
                    self._doom(member, now, why)
                else:
                    due = min(due, limit, member.stale_at(self._rules.stale_time))
            if now >= member.kill_at:
                member.kill_at = NEVER
                self._hands.kill(member.number)
            due = min(due, member.kill_at)
        for slot in self._slots:
            if now >= slot.start_at:
                self._spawn(slot, now)
            due = min(due, slot.start_at)
        return due

    # -- decisions --------------------------------------------------------------------------------------------------

    def _is_serving(self, member: Worker) -> bool:
        return member.stage is Stage.READY and not member.doomed

    def _spawn(self, slot: Slot, now: float) -> int:
        self._last = number = self._last + 1
        rules = self._rules
        tires_at = NEVER
        if rules.max_requests is not None:
            tires_at = rules.max_requests * (1 + rules.max_requests_jitter * self._chance())
        self._workers[number] = Worker(number, slot, now, tires_at, slot.share)
        slot.start_at = NEVER
        slot.begun = True
        self._hands.spawn(number, slot.index)
        return number

    def _dismiss(self, member: Worker, now: float) -> None:
        if member.stage is not Stage.LEAVING:
            member.stage = Stage.LEAVING
            member.since = now
            self._hands.stop(member.number)

    def _patience(self, member: Worker) -> tuple[float, str]:
        """When a worker is given up unless something comes from it, and what to say then."""
        rules = self._rules
        if member.stage is Stage.STARTING:
            limit = NEVER if rules.start_timeout is None else member.since + rules.start_timeout
            return limit, f"was not ready within {rules.start_timeout} s"
        hung = NEVER if rules.worker_timeout is None else member.heard + rules.worker_timeout
        late = member.since + rules.stop_timeout if member.stage is Stage.LEAVING else NEVER
        if late < hung:
            return late, f"has not gone within {rules.stop_timeout:g} s"
        return hung, f"hangs: its loop has not turned for {rules.worker_timeout} s"

    def _look_for_stale(self, now: float) -> None:
        """A loop that stands still keeps those who wait to be accepted waiting, long before it is given up."""
        found = [each for each in self._workers.values() if now >= each.stale_at(self._rules.stale_time)]
        for member in found:
            member.stale = True
        if found:
            self._share_out()

    def _doom(self, member: Worker, now: float, why: str) -> None:
        self._log.error("worker %d %s; it is killed", member.slot.number, why)
        member.doomed = True
        member.kill_at = now + self._rules.force_time
        self._hands.dump(member.number)
        self._share_out()

    def _delay(self, failures: int) -> float:
        rules = self._rules
        return min(rules.first_delay * 2.0 ** (failures - 1), rules.max_delay) if failures else 0.0

    def _crashed(self, member: Worker, now: float, ending: Ending) -> None:
        slot = member.slot
        slot.failures = 0 if now - member.since >= self._rules.settle_time else slot.failures + 1
        if any(other.slot is slot and other.stage is Stage.STARTING for other in self._workers.values()):
            self._say("worker %d %s; its successor is starting", member, ending)
            return
        delay = self._delay(slot.failures)
        slot.start_at = now + delay
        self._say(f"worker %d %s; it starts again{f' in {delay:g} s' if delay else ''}", member, ending)

    def _failed(self, member: Worker, now: float, ending: Ending) -> None:
        slot, rules = member.slot, self._rules
        slot.failures += 1
        slot.failed_starts += 1
        if self._turn is not None and self._turn.new == member.number:
            self._replacement_failed(self._turn, now, ending)
            return
        if not self._ever_ready and ending.setup:
            self._say("worker %d %s before it was ready", member, ending)
            self._give_up(2, "the app cannot start")
        elif not self.healthy and all(
            each.failed_starts >= rules.max_failed_starts for each in self._slots if each.begun
        ):
            self._say("worker %d %s before it was ready", member, ending)
            self._give_up(
                1, f"given up: no worker is left, and {rules.max_failed_starts} starts in a row failed"
            )
        else:
            delay = self._delay(slot.failures)
            slot.start_at = now + delay
            self._say(f"worker %d %s before it was ready; it starts again in {delay:g} s", member, ending)

    def _replacement_failed(self, turn: Turn, now: float, ending: Ending) -> None:
        self._turn = None
        old = [
            other for other in self._workers.values() if other.slot is turn.slot and self._is_serving(other)
        ]
        what = "a new worker %s before it was ready"
        if turn.reload:
            self._log.error(f"{what}; the reload is given up, the old workers go on%s", ending, ending.quoted)
            self._queue.clear()
            self._reload_ended()
        else:
            self._log.error(f"{what}; the old one goes on for now%s", ending, ending.quoted)
        for member in old:
            member.quiet_until = now + self._delay(turn.slot.failures)
        if not old:
            turn.slot.start_at = now + self._delay(turn.slot.failures)

    def _give_up(self, code: int, why: str) -> None:
        self._log.error("%s", why)
        self._stops = 1
        self._final = code
        for member in self._workers.values():
            self._hands.kill(member.number)
        if not self._workers:
            self.code = code

    def _line_up(self, slot: Slot) -> bool:
        if slot in self._queue or (self._turn is not None and self._turn.slot is slot):
            return False
        self._queue.append(slot)
        return True

    def _go_on(self, now: float) -> None:
        """What follows from any news: sockets without an owner, the next replacement, the end of a reload."""
        self._share_out()
        if self._turn is not None and self._turn.new is None and not self._turn.old:
            self._turn = None
        while self._queue and self._turn is None and not self._stops:
            self._replace(self._queue.popleft(), now)
        if not self._queue and self._turn is None and self._reloading:
            self._reload_ended()
        if not self._told and self.healthy and all(slot.tried for slot in self._slots):
            self._told = True
            self._hands.serving()

    def _replace(self, slot: Slot, now: float) -> None:
        members = [member for member in self._workers.values() if member.slot is slot]
        old = {member.number for member in members if self._is_serving(member)}
        if old:
            self._turn = Turn(slot, self._spawn(slot, now), old, reload=self._reloading)
        elif any(member.stage is Stage.STARTING for member in members):
            slot.outdated = True
        elif slot.begun:
            slot.failures = slot.failed_starts = 0
            slot.start_at = now

    def _reload_ended(self) -> None:
        if self._reloading:
            self._reloading = False
            if self._told:
                self._hands.serving()

    def _share_out(self) -> None:
        """Each ready worker accepts on its own sockets; the first also on those whose worker is not there or stands
        still."""
        serving = sorted(
            (member for member in self._workers.values() if self._is_serving(member) and not member.stale),
            key=lambda member: member.slot.index,
        )
        taken = {socket for member in serving for socket in member.slot.share}
        orphans = [socket for socket in self._sockets if socket not in taken]
        for position, member in enumerate(serving):
            wanted = (*member.slot.share, *orphans) if position == 0 else member.slot.share
            if tuple(member.accepts) != wanted:
                member.accepts = wanted
                self._hands.accept(member.number, wanted)

    def _say(self, text: str, member: Worker, ending: Ending) -> None:
        self._log.error(f"{text}%s", member.slot.number, ending, ending.quoted)
