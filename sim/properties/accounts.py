"""B1, B4 and B5: every frame is accounted for, every count within its bounds, no lock stuck."""
# ruff: noqa: ARG002 - a hook takes all that is told

from mmap import mmap
from typing import TYPE_CHECKING, Any
from zlib import crc32

from hal.clock import NS_PER_S
from sim.faults import PipeFull, SlowReader
from sim.properties.base import WORK, FrameSeen, Property
from sim.properties.board import Board
from sim.properties.facts import CAMERA, VIDEO
from sim.properties.frames import StackWatch
from sim.properties.ring import _WORD, Taken
from sim.world.plan import ROUTER
from sim.world.tampering import NEXT_FRAME
from sim.world.trace import Step

if TYPE_CHECKING:
    from sim.world.world import World

_PURGED, _DISCARDED = 1, 2  # of the camera manager's record
FULL_S = 2.2  # until a full buffer is purged
NEARLY_FULL = 0.9  # from here on it is, when the camera manager next has a look
STUCK_S = 2.0
NEXT_ROWS = 64  # that are looked at before they are overwritten
_HEADER_BYTES = 128
_COUNTS_AT = {"written": 64, "released": 72, "read": 72, "overwritten": 80, "claimed": 88}


class Conservation(StackWatch):
    """B1: every frame that was written is accounted for, and where it truly went.

    The frames are counted here by what is seen of the buffer, the results and the device's numbers,
    and compared with the session's account. A killed process may not have told of its last stack.
    """

    id = "B1"
    title = "the account of frames balances, and is true"
    sites = frozenset({"wait"})
    sees = WORK

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._count = 0
        self._next_number = 0
        self._missing = 0
        self._dropped = 0
        self._good = 0
        self._bad = 0
        self._waiting: set[int] = set()
        self._unread: dict[str, int] = {}
        self._full_ns: int | None = None
        self._board = Board(world)
        self._was_full: tuple[int, int] | None = None
        self._full_looks_ns = 0
        self._can_wait = False

    def step(self, step: Step) -> None:
        """See that the camera manager purges a buffer that it has found nearly full."""
        if step.process != CAMERA or not self.facts.stacks.has_ring:
            return
        feed = getattr(getattr(self.world.machine.running, "being", None), "_feed", None)
        self._can_wait = self._can_wait or (feed is not None and feed.can_wait)
        before, self._was_full = self._was_full, self._is_full()
        if before is None or before != self._was_full:
            self._full_looks_ns = step.t_ns
        elif self.facts.disturbed_ns({CAMERA, VIDEO}, with_drivers=True) < self._full_looks_ns:
            self._was_full = None
            self._say(
                "nothing is purged though the camera manager has found the buffer nearly full, and "
                "no worker at it: its frames are lost in the device without a word"
            )

    def _is_full(self) -> tuple[int, int] | None:
        """Return what is released, and handed out, if the buffer must be purged; else None."""
        being = getattr(self.world.machine.running, "being", None)
        ring, flag = self.ring, self.flag
        is_full = ring.written - ring.released >= NEARLY_FULL * ring.total
        is_on = getattr(being, "_acquisition_on", False)
        if not (is_full and is_on and flag.state == "READY" and self.is_running):
            return None
        if self._can_wait:
            return None
        if self._value("flag").get_lock().holder is not None:
            return None
        return ring.released, flag.epoch

    def written(self, process: str, index: int, frame: Taken) -> None:
        """Count a frame, and those that the device has lost before it."""
        if index == 0:
            self._board.look()
        self._count = index + 1
        self._missing += max(frame.number - self._next_number, 0)
        self._next_number = frame.number + 1
        if self._full_ns is None and self._count - self.ring.released >= self.ring.total:
            self._full_ns = self.facts.now_ns

    def released(self, process: str, released: int) -> None:
        """Count frames that were dropped."""
        self._judge_full()
        self._full_ns = None
        if self.flag.state != "FINISHED":
            self._dropped += released - self.ring.released
            if CAMERA not in self.facts.raising and self._board.is_there:
                self._see_counted()

    def _see_counted(self) -> None:
        """See that what is about to be dropped has been counted."""
        counted = self._board.read(CAMERA, _PURGED) + self._board.read(CAMERA, _DISCARDED)
        if counted < self._dropped:
            self._say(
                f"{counted} frames are purged or discarded when {self._dropped} have been: whoever "
                "dies after it has dropped frames must have counted them before"
            )

    def _judge_full(self) -> None:
        """See that a full buffer does not stay full while nobody reads."""
        facts = self.facts
        if self._full_ns is None or self._can_wait:
            return
        if not self.is_running or self.flag.state != "READY":
            return
        # The video processor manager may hang with the lock of a flag that is READY.
        hindered_ns = facts.disturbed_ns({CAMERA, VIDEO}, with_drivers=True)
        undisturbed_ns = max(self._full_ns, facts.struck_ns, hindered_ns)
        full_s = (facts.now_ns - undisturbed_ns) / NS_PER_S
        if full_s > FULL_S:
            self._full_ns = facts.now_ns
            self.violate(
                f"The video buffer has been full for {full_s:.1f} s, and nothing was purged. "
                "The camera has nowhere to write, and its frames are lost without a word."
            )

    def frame(self, frame: FrameSeen) -> None:
        """Count results that came in."""
        if frame.raw[:1] != b"\x80":
            return
        if frame.process == VIDEO and frame.way == "send":
            epoch = getattr(frame.work, "epoch", None)
            if epoch is not None:
                self._waiting.add(epoch)
        elif frame.way == "send":
            self._unread[frame.end] = self._unread.get(frame.end, 0) + 1
        elif frame.process == VIDEO:
            its = frame.end[:-1] + "b"
            self._unread[its] = self._unread.get(its, 0) - 1
            result: Any = frame.work
            if result is not None and result.epoch in self._waiting:
                self._waiting.discard(result.epoch)
                if result.problem:
                    self._bad += 1
                else:
                    self._good += 1

    def at_end(self) -> None:
        """Compare the account with what was seen."""
        self._judge_full()
        report = self.world.report
        if report is None:
            return
        account = report.frames
        if not account.balances:
            self._say(f"the account does not balance: {account}")
        for error in report.errors:
            if "B1: " in error:
                self._say(error.partition("B1: ")[2])
        if not self.facts.stacks.has_ring or account.delivered == 0:
            its = [f for f in self.world.injector.struck if f.process in (CAMERA, ROUTER)]
            if self._count and not its and not self.facts.tampered_ns:
                self._say(f"{self._count} frames were written, and none is in the account")
            return
        camera, video = self._is_sound(CAMERA), self._is_sound(VIDEO)
        n_images = self.ring.n_images
        self._expect("delivered", account.delivered, self._count, 0 if camera else 1)
        dropped = account.purged + account.discarded
        # Counted before it is done: who dies in between has counted some that are still there.
        if camera or not 0 <= dropped - self._dropped <= self.ring.total:
            self._expect("purged and discarded", dropped, self._dropped, 0)
        self._expect(
            "processed", account.processed, self._good * n_images, 0 if video else n_images
        )
        if camera and CAMERA not in self.facts.raising:
            self._expect("device_lost", account.device_lost, self._missing, 0)
            unread = self._count - self._dropped - self.flag.epoch * n_images
            self._expect("in the buffer", account.in_buffer, unread, 0)
        self._see_unread(n_images)

    def _see_unread(self, n_images: int) -> None:
        """See that no whole result of a worker was thrown away."""
        unread = sum(count > 0 for count in self._unread.values())
        if unread and self._is_sound(VIDEO) and self._all_is_plain():
            self._say(f"{unread} results, of {n_images} frames each, were sent and never read")

    def _all_is_plain(self) -> bool:
        """Whether no fault has struck pipes, and none at all at the end of the session."""
        ends_ns = self.facts.session_ends_ns or 0
        in_pipes = (*NEXT_FRAME, PipeFull, SlowReader)
        are_whole = not any(isinstance(fault, in_pipes) for fault in self.world.injector.struck)
        return are_whole and max(self.facts.struck_ns, self.facts.quiet_ns) < ends_ns

    def _is_sound(self, name: str) -> bool:
        """Whether a manager came to its end by itself, with nothing raised in it."""
        process = self.facts.process(name)
        return process is not None and process.code == 0 and name not in self.facts.raising

    def _expect(self, what: str, told: int, seen: int, slack: int) -> None:
        if abs(told - seen) > slack:
            self._say(f"{told} frames are {what}, where {seen} were seen to be")

    def _say(self, what: str) -> None:
        self.violate(
            f"In the account, {what}. "
            "Every frame that the camera delivered must be found where it went, at the end too."
        )


class Bounds(Property):
    """B4: counts only grow, levels stay within the buffer, rows that are overwritten are counted.

    Each count of a buffer is changed under the buffer's lock.
    """

    id = "B4"
    title = "buffers keep within their bounds"
    sites = frozenset({"memory.set"})

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._counts: dict[str, dict[str, int]] = {}
        self._before: dict[str, int] = {}
        self._next_rows: int | None = None
        self._blocks: dict[str, mmap] = {}

    def step(self, step: Step) -> None:
        """Judge a count that is about to be stored."""
        word, _, text = step.detail.partition("=")
        counts = self._counts.setdefault(step.object, {})
        before, number = counts.get(word, 0), int(text)
        counts[word] = number
        if word in ("written", "released", "read", "overwritten", "claimed"):
            if number < before and number < self._stored(step.object, word):
                self.violate(
                    f"{step.process} sets {word} of {step.object} to {number} from {before}. "
                    "Such a count only grows, so that whoever dies leaves it true."
                )
            self._see_lock(step, word)
        elif step.object != "VideoBuffer" and word == "rows":
            self._counts[step.object] = {"rows": number}
            self._block(step.object)
        if step.object == "VideoBuffer":
            self._see_frames(step, counts)
        elif "rows" in counts:
            self._see_rows(step, word, counts)

    def _see_lock(self, step: Step, word: str) -> None:
        lock = self.facts.managers[CAMERA].locks.get(step.object)
        if lock is not None and lock.holder != self.world.machine.running.pid:
            self.violate(
                f"{step.process} sets {word} of {step.object} without the buffer's lock. "
                "Another process may be changing it at the same moment, and one of both is lost."
            )

    def _see_frames(self, step: Step, counts: dict[str, int]) -> None:
        level = counts.get("written", 0) - counts.get("released", 0)
        total = counts.get("n_stacks", 0) * counts.get("n_images", 0)
        if "bits" in counts and not 0 <= level <= total:
            self.violate(
                f"{step.process} leaves {level} unread frames in the video buffer, which has room "
                f"for {total}. Frames would be overwritten before they are read, or read twice."
            )

    def _see_rows(self, step: Step, word: str, counts: dict[str, int]) -> None:
        rows, name = counts["rows"], step.object
        if word == "overwritten":
            self._before[name] = self._stored(name, word)
        elif word == "read":
            read, before = counts["read"], self._stored(name, "read")
            written = self._stored(name, "written")
            lost = max(max(written, self._stored(name, "claimed")) - rows - before, 0)
            lost = min(lost, written - before)
            told = self._stored(name, "overwritten") - self._before.get(name, 0)
            if told != lost or read != written:
                self.violate(
                    f"{step.process} reads {name} up to row {read} of {written} and counts {told} "
                    f"rows as overwritten, where {lost} were. Who reads has all that was written, "
                    "and what is lost must be counted."
                )
        elif word == "written" and counts.get("claimed", 0) < counts["written"]:
            self.violate(
                f"{step.process} counts {counts['written']} rows in {name}, of which only "
                f"{counts.get('claimed', 0)} had been claimed. What is overwritten must be "
                "said before, or a reader takes half of it for whole."
            )
        if name == "TracksBuffer" and word in ("claimed", "written"):
            self._see_claim(step, word, counts)

    def _stored(self, name: str, word: str) -> int:
        """Return a count as it stands: who died as it was about to store one has not done it."""
        memory = self._block(name)
        return 0 if memory is None else int(_WORD.unpack_from(memory, _COUNTS_AT[word])[0])

    def _block(self, name: str) -> mmap | None:
        """Return a buffer's memory, also when its name is gone: who is attached still uses it."""
        if name not in self._blocks and (memory := self.world.block(name)) is not None:
            self._blocks[name] = memory
        return self._blocks.get(name)

    def _see_claim(self, step: Step, word: str, counts: dict[str, int]) -> None:
        """See that no row is overwritten before that was said: none of those that come next."""
        if word == "written":
            self._next_rows = self._checksum(counts)
            return
        if self._next_rows is not None and self._next_rows != self._checksum(counts):
            self.violate(
                f"{step.process} overwrites rows of {step.object} before it has said which. If it "
                "dies now, half of what it wrote is read as whole."
            )
        self._next_rows = None  # who dies now may have written some of them

    def _checksum(self, counts: dict[str, int]) -> int | None:
        """Return a checksum of the rows that are the next to be overwritten."""
        memory = self._block("TracksBuffer")
        if memory is None:
            return None
        rows, size = counts["rows"], 8 * counts["columns"]
        first = counts.get("written", 0) % rows
        data = memoryview(memory)[_HEADER_BYTES:]
        return crc32(data[first * size : min(first + NEXT_ROWS, rows) * size])


class NoStuckLock(Property):
    """B5: nobody waits for a lock for long, whoever dies with it in hand.

    A holder that hangs or is delayed keeps its lock: that is excused until it goes on or dies.
    """

    id = "B5"
    title = "no lock is stuck"
    sites = frozenset({"lock.acquire", "lock.release", "process.end"})

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._waits: dict[str, tuple[int, str]] = {}
        self._asked_ns: dict[str, int] = {}

    def step(self, step: Step) -> None:
        """See who begins to wait, and for how long it did."""
        if step.site == "lock.acquire":
            lock = self.world.machine._handed.get(step.object)  # noqa: SLF001 - as it stands
            if lock is not None and lock.holder not in (None, self.world.machine.running.pid):
                began_ns, name = self._waits.get(step.process, (0, ""))
                if name != step.object:  # who asks again after a while has waited all the time
                    began_ns = step.t_ns
                self._waits[step.process] = (began_ns, step.object)
                self._asked_ns[step.process] = step.t_ns
            else:
                self._waits.pop(step.process, None)
        elif self._waits and step.process in self._waits:
            began_ns, name = self._waits[step.process]
            if name == step.object or step.site == "process.end":
                del self._waits[step.process]
                self._judge(step.process, began_ns, name)

    def at_end(self) -> None:
        """See who waits still."""
        for who, (began_ns, name) in self._waits.items():
            if self.facts.is_alive(who):
                self._judge(who, began_ns, name)

    def _judge(self, who: str, began_ns: int, name: str) -> None:
        waited_s = self.facts.since(max(began_ns, self.facts.struck_ns))
        lock, process = self.world.machine._handed.get(name), self.facts.process(who)  # noqa: SLF001
        threads = () if process is None else process.threads
        if lock is None or not any(task in lock.waiters for task in threads):  # it has given up
            waited_s -= (self.facts.now_ns - self._asked_ns[who]) / NS_PER_S
        if waited_s > STUCK_S:
            self.violate(
                f"{who} waited {waited_s:.1f} s for {name}, and nobody who hangs had it. "
                "A lock must be given back by its holder, or by its holder's death."
            )


class NobodyWaitsWithALock(Property):
    """B5: who waits for something to come has no lock in hand, which others may need for it.

    To wait for another lock with one in hand, or to be held up by the disk, is another matter; and
    who is torn out of what it does, just as it takes a lock, has it until it ends.
    """

    id = "B5"
    title = "nobody waits with a lock in hand"
    sites = frozenset({"wait"})

    def step(self, step: Step) -> None:
        """See whether who waits now has a lock."""
        machine = self.world.machine
        task = machine.kernel.current
        if step.process in self.facts.terminated | self.facts.raising:
            return
        for lock in machine.locks:
            if lock.taker is task:
                self.violate(
                    f"{step.process} waits for something to come, and has {lock.name} in hand. "
                    "Others need it meanwhile: a lock must be given back before one waits."
                )
                return


PROPERTIES: tuple[type[Property], ...] = (Conservation, Bounds, NoStuckLock, NobodyWaitsWithALock)
