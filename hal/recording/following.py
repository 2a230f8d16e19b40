"""Matches what is asked of a replayed device with what was captured, call by call.

Calls that change the device are *commands*: they are matched in their order, whenever they come.
Calls that only look, as for a position, are answered with what was captured at the same time after
the same command.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from itertools import chain
from typing import Literal

from hal.clock import NS_PER_S, Clock
from hal.errors import DivergenceError
from hal.recording.lines import Description
from hal.recording.reading import Call, Capture, in_words

Pace = Literal["real", "fast"]
Policy = Literal["report", "stop"]

COMMANDS = frozenset({"open", "close", "start", "stop", "set", "begin_move", "halt", "begin_home"})
# Who ends a session asks these; a capture that was cut off has none of them.
_ENDING = frozenset({"stop", "halt", "close"})
# So far ahead an asked command is looked for, unless it is one of those: farther it is more likely
# another of the same kind.
_AHEAD = 4


class Follower:
    """Follows a capture.

    Args:
        capture: What was captured.
        clock: Where the device reads the time.
        warn: Told of the first divergence.
        pace: `real`: what was captured t seconds after a command is answered t seconds after it.
            `fast`: the last that was captured before the next command.
        on_divergence: `report`: tell of the first, and go on. `stop`: raise it, at every call from
            then on but those that end a session.

    Attributes:
        divergence: The first that was met; empty before.
    """

    def __init__(
        self,
        capture: Capture,
        *,
        clock: Clock,
        warn: Callable[[str], None],
        pace: Pace = "real",
        on_divergence: Policy = "report",
    ) -> None:
        self.capture = capture
        self.divergence = ""
        self._clock = clock
        self._warn = warn
        self._is_fast = pace == "fast"
        self._stops = on_divergence == "stop"
        self._commands: list[Call] = []
        self._looks: dict[tuple[str, tuple], _Looks] = {}
        self._described: list[tuple[int, Description]] = []
        self._sort()
        self.rewind()

    def _sort(self) -> None:
        descriptions = iter(self.capture.descriptions)
        coming = next(descriptions, None)
        for index, call in enumerate(self.capture.calls):
            while coming is not None and coming[0] <= index:
                self._described.append((len(self._commands), coming[1]))
                coming = next(descriptions, None)
            if call.name in COMMANDS:
                self._commands.append(call)
                if call.name == "set" and call.error is None:  # what was taken is what is read
                    self._look("get", call.args[:1]).add(len(self._commands), call)
            elif call.frame is None and call.name != "fetch_into":
                self._look(call.name, call.args).add(len(self._commands), call)
        while coming is not None:
            self._described.append((len(self._commands), coming[1]))
            coming = next(descriptions, None)

    def _look(self, name: str, args: tuple) -> "_Looks":
        return self._looks.setdefault((name, args), _Looks())

    def rewind(self) -> None:
        """Begin anew."""
        self._next = 0
        self._began_ns = self._anchor_ns = self._clock.monotonic_ns()
        for looks in self._looks.values():
            looks.told = -1

    def has(self, name: str) -> bool:
        """Whether such a command was captured anywhere."""
        return any(call.name == name for call in self._commands)

    @property
    def is_at_end(self) -> bool:
        """Whether every command was asked."""
        return self._next >= len(self._commands)

    @property
    def is_over(self) -> bool:
        """Whether every command was asked, and all that was captured after the last is past."""
        if not (self.is_at_end and self._commands):
            return False
        passed_ns = self._clock.monotonic_ns() - self._anchor_ns
        left_ns = self.capture.calls[-1].at_ns - self._commands[-1].at_ns
        return self._is_fast or passed_ns > left_ns

    @property
    def description(self) -> Description | None:
        """What the device said of itself after the last command; None if it never did."""
        places = [place for place, _ in self._described]
        found = bisect_right(places, self._next) - 1
        return self._described[max(found, 0)][1] if places else None

    def command(self, name: str, *args: object) -> Call | None:
        """Take a command; return the captured one, or None if it was not captured here.

        Raises:
            DivergenceError: It was not, or an earlier one was not, and the policy is `stop`.
            DeviceError: The captured command failed in this way.
        """
        self._refuse_after_stop(name)
        if self.is_at_end and name in _ENDING:
            return None
        ahead = self._commands[self._next : self._next + (1 if name in _ENDING else _AHEAD)]
        found = [n for n, call in enumerate(ahead) if (call.name, call.args) == (name, args)]
        if not found or found[0] > 0:
            self._diverge(name, args, ahead[0] if ahead else None)
        if not found:
            return None
        self._next += found[0] + 1
        call = ahead[found[0]]
        self._anchor_ns = self._clock.monotonic_ns()
        if self._next == 1:
            self._began_ns = self._anchor_ns
        if call.error is not None:
            raise call.error
        return call

    def look(self, name: str, *args: object, or_later: bool = True) -> Call | None:
        """Return the captured call that answers this one; None if there never was one.

        Args:
            name: What is asked.
            args: With what.
            or_later: Whether, where there was none yet, the first that comes later answers; else
                None is returned.

        Raises:
            DivergenceError: There never was one, and the policy is `stop`.
            DeviceError: The captured call failed in this way; each failure is told once.
        """
        self._refuse_after_stop(name)
        looks = self._looks.get((name, args))
        if looks is None:
            self._diverge(name, args, None)
            return None
        at_ns = None
        if not self._is_fast and self._next:
            passed_ns = self._clock.monotonic_ns() - self._anchor_ns
            at_ns = self._commands[self._next - 1].at_ns + passed_ns
        if not or_later and self._next < looks.first:
            return None
        return looks.find(self._next, at_ns)

    def _diverge(self, name: str, args: tuple, expected: Call | None) -> None:
        if self.divergence:
            return
        first_ns = self.capture.calls[0].at_ns if self.capture.calls else 0
        asked_s = (self._clock.monotonic_ns() - self._began_ns) / NS_PER_S
        if expected is not None:
            then_s = (expected.at_ns - first_ns) / NS_PER_S
            captured = f"{expected.words} at {then_s:.3f} s"
        elif name in COMMANDS:
            captured = "nothing more"
        else:
            captured = "no such call"
        policy = "the replay stops" if self._stops else "further ones are not reported"
        self.divergence = (
            f"{self.capture.path.name} differs from what is asked: captured is {captured}, asked "
            f"is {in_words(name, args)} at {asked_s:.3f} s; {policy}"
        )
        if self._stops:
            raise DivergenceError(self.divergence)
        self._warn(self.divergence)

    def _refuse_after_stop(self, name: str) -> None:
        if self._stops and self.divergence and name not in _ENDING:
            raise DivergenceError(self.divergence)


class _Looks:
    """All captured calls that looked for the same thing.

    Attributes:
        told: The newest of them whose failure was told, or would have been.
    """

    def __init__(self) -> None:
        self.told = -1
        self._segments: list[int] = []
        self._times_ns: list[int] = []
        self._calls: list[Call] = []

    @property
    def first(self) -> int:
        """After how many commands the first was made."""
        return self._segments[0]

    def add(self, segment: int, call: Call) -> None:
        """Add the next call, made after so many commands."""
        self._segments.append(segment)
        self._times_ns.append(call.at_ns)
        self._calls.append(call)

    def find(self, segment: int, at_ns: int | None) -> Call:
        """Return the newest call of a segment up to this time, or of all of it if None.

        Before the first of the segment it is that one. Where the segment has none it is the last
        before it, or else the first after it.
        """
        low = bisect_left(self._segments, segment)
        high = bisect_right(self._segments, segment)
        if low == high:
            chosen = max(low - 1, 0)
        elif at_ns is None:
            chosen = high - 1
        else:
            chosen = max(bisect_right(self._times_ns, at_ns, low, high) - 1, low)
        for index in range(max(self.told + 1, min(low, chosen)), chosen + 1):
            if (error := self._calls[index].error) is not None:
                self.told = index
                raise error
        self.told = max(self.told, chosen)
        for index in chain(range(chosen, -1, -1), range(chosen + 1, len(self._calls))):
            if self._calls[index].error is None:
                return self._calls[index]
        raise self._calls[chosen].error or AssertionError
