"""What every camera does: its frames are whole, in order, counted, and never waited for."""

import math
from itertools import pairwise
from statistics import median

import numpy as np

from hal.camera import FrameFormat, FrameInfo
from hal.clock import NS_PER_S, MachineClock
from hal.errors import DisconnectedError
from hal.testing.checks import Check, CheckFailedError, NotApplicableError, check, expect, refuses
from hal.testing.frames import (
    UNTOUCHED,
    empty_frame,
    frame_or_untouched,
    in_order,
    next_frame,
    nothing_comes,
)
from hal.testing.stand import Stand

_OTHER = 84
_GUARD_ROWS = 2
_NEAR_NS = 10 * NS_PER_S
_PROMPT_S = 1.0
# A call that has nothing to give returns at once. Asking a device over a slow line may take this.
_AT_ONCE_S = 0.02
_EMPTY_CALLS, _FULL_CALLS = 5, 3
# By how much a frame that ended after the call is not merely stamped when it is handed over.
_LATER_S = 0.002
_LONGEST_FETCHING_S = 10.0
_LONGEST_PAUSE_S = 3.0
_LOST_FRAMES, _LOST_S = 20, 0.5


@check
def declares_its_frames(stand: Stand) -> None:
    """The format of its frames is declared, and holds while it takes them."""
    camera = stand.camera
    camera.open()
    form = camera.frame_format
    expect(isinstance(form, FrameFormat), "frame_format to be a hal.FrameFormat", form)
    expect(form.bits in (8, 16), "frames of 8 or 16 bits", form)
    expect(form.width_px > 0 and form.height_px > 0, "frames of at least one pixel", form)
    expect(camera.queue_frames >= 1, "queue_frames to be 1 or more", camera.queue_frames)
    camera.start()
    next_frame(stand, empty_frame(stand))
    now = camera.frame_format
    expect(now == form, f"frame_format to stay {form} while frames are taken", now)


@check
def fills_the_frame(stand: Stand) -> None:
    """A frame fills the whole array that the format declares, and nothing beside it."""
    stand.camera.open()
    stand.camera.start()
    form = stand.camera.frame_format
    rows = form.height_px
    room = np.empty((rows + 2 * _GUARD_ROWS, form.width_px), form.dtype)
    stale = np.ones(form.shape, bool)
    for filler in (UNTOUCHED, _OTHER, UNTOUCHED):
        room.view(np.uint8)[:] = filler
        next_frame(stand, room[_GUARD_ROWS:-_GUARD_ROWS])
        around = np.concatenate([room[:_GUARD_ROWS], room[-_GUARD_ROWS:]]).view(np.uint8)
        expect(bool((around == filler).all()), "nothing to be written outside of out", "it was")
        pixels = room[_GUARD_ROWS:-_GUARD_ROWS].copy().view(np.uint8)
        # The byte of a pixel that holds what the array held before, each time anew, is unwritten.
        unwritten = (pixels == filler).reshape(rows, form.width_px, -1).all(axis=2)
        stale &= unwritten
    whole = stale.all(axis=1).sum() + stale.all(axis=0).sum()
    wanted = f"every pixel of {form.shape} {form.dtype} to be written"
    expect(not whole, wanted, f"{whole} whole rows or columns never are")


@check
def frames_come_in_order(stand: Stand) -> None:
    """Frame numbers begin at 0 and rise, timestamps rise and are near the clock."""
    stand.camera.open()
    out = empty_frame(stand)
    stand.camera.start()
    infos = [next_frame(stand, out) for _ in range(8)]
    expect(infos[0].frame_number == 0, "the first frame to have number 0", infos[0].frame_number)
    for before, after in pairwise(infos):
        in_order(before, after)
    off_ns = stand.clock.now_ns() - infos[-1].timestamp_ns
    wanted = "a timestamp in Unix time, within 10 s of the context's clock"
    expect(abs(off_ns) < _NEAR_NS, wanted, f"it is {off_ns / NS_PER_S:g} s behind")


@check
def losses_show_as_gaps(stand: Stand) -> None:
    """Frames that nobody fetched in time are missing in the numbers."""
    camera = stand.camera
    camera.open()
    if camera.keeps_all_frames:
        raise NotApplicableError("it keeps every frame until it is fetched")
    out = empty_frame(stand)
    camera.start()
    infos = [next_frame(stand, out) for _ in range(8)]
    period_s = (
        median(
            (after.timestamp_ns - before.timestamp_ns)
            / max(after.frame_number - before.frame_number, 1)
            for before, after in pairwise(infos[1:])
        )
        / NS_PER_S
    )
    pause_s = camera.queue_frames * period_s + max(_LOST_FRAMES * period_s, _LOST_S)
    if stand.subject.has_own_time and pause_s > _LONGEST_PAUSE_S:
        raise NotApplicableError(f"its queue fills in {pause_s:.3g} s, which is too long to wait")
    stand.wait(pause_s)
    # Whether it dropped the oldest or the newest, the gap is behind the frames that it kept.
    deadline_ns = stand.clock.now_ns() + round(3 * period_s * NS_PER_S)
    last = infos[-1]
    while last.timestamp_ns < deadline_ns:
        info = next_frame(stand, out)
        in_order(last, info)
        between_s = (info.timestamp_ns - last.timestamp_ns) / NS_PER_S
        missing = round(between_s / period_s) - 1
        counted = info.frame_number - last.frame_number - 1
        # A busy computer may hold a camera up for less.
        is_long = between_s > 0.7 * max(_LOST_FRAMES * period_s, _LOST_S)
        if is_long and counted < missing / 2:
            raise CheckFailedError(
                f"a gap of about {missing} in the frame numbers, as {between_s:.3g} s lie "
                f"between two frames that come every {period_s:.3g} s",
                f"frame {info.frame_number} after {last.frame_number}",
            )
        last = info


@check
def leaves_the_array_alone(stand: Stand) -> None:
    """Nothing is written when there is no frame: before start, between frames, after stop."""
    camera = stand.camera
    camera.open()
    nothing_comes(stand, "before start")
    camera.start()
    for _ in range(100 + camera.queue_frames):
        if not frame_or_untouched(stand):
            break
    else:
        raise NotApplicableError("its frames come faster than they are fetched")
    kept = empty_frame(stand)
    next_frame(stand, kept)
    before = kept.copy()
    next_frame(stand, empty_frame(stand))
    expect(bool((kept == before).all()), "a frame to stay as it was once it is fetched", "it moved")
    camera.stop()
    nothing_comes(stand, "after stop")


@check
def fetch_never_waits(stand: Stand) -> None:
    """`fetch_into` returns at once, with a frame or with None."""
    camera, clock, wall = stand.camera, stand.clock, MachineClock()
    camera.open()
    out = empty_frame(stand)
    camera.start()
    next_frame(stand, out)
    empty_s: list[float] = []
    full: list[tuple[float, FrameInfo]] = []
    made_in_call: list[bool] = []
    began_ns = wall.monotonic_ns()
    while len(empty_s) < _EMPTY_CALLS and _goes_on(wall.monotonic_ns() - began_ns, len(full)):
        called_ns, before_ns, virtual_ns = (
            clock.now_ns(), wall.monotonic_ns(), clock.monotonic_ns(),
        )  # fmt: skip
        info = camera.fetch_into(out)
        took_s = (wall.monotonic_ns() - before_ns) / NS_PER_S
        slept_s = (clock.monotonic_ns() - virtual_ns) / NS_PER_S
        if not stand.subject.has_own_time:
            expect(slept_s == 0, "fetch_into not to sleep", f"it slept for {slept_s:g} s")
        if info is None:
            empty_s.append(took_s)
        else:
            full.append((took_s, info))
            made_in_call.append(info.timestamp_ns > called_ns + round(_LATER_S * NS_PER_S))
    if empty_s:
        wanted = "fetch_into to return None at once when there is no frame"
        expect(min(empty_s) < _AT_ONCE_S, wanted, f"it takes {min(empty_s):.3g} s each time")
        return
    took_s = median(seconds for seconds, _ in full)
    infos = [info for _, info in full]
    lost = infos[-1].frame_number - infos[0].frame_number + 1 - len(infos)
    # A camera that is merely faster than its driver has frames waiting, or loses some.
    keeps_up = not lost and took_s > 0.001 and len(full) > camera.queue_frames
    waits = keeps_up or sum(made_in_call) >= _FULL_CALLS
    wanted = "fetch_into to return None as long as there is no frame"
    expect(not waits, wanted, f"it always returned a frame, after {took_s:.3g} s")


def _goes_on(elapsed_ns: int, n_frames: int) -> bool:
    """Return whether to fetch on: for a second, or longer if frames come seldom."""
    seconds = elapsed_ns / NS_PER_S
    return seconds < 1 or (n_frames < _FULL_CALLS and seconds < _LONGEST_FETCHING_S)


@check
def says_when_to_ask_again(stand: Stand) -> None:
    """`ready_in_s` is 0 or a short time, after which it is worth asking."""
    stand.camera.open()
    stand.camera.start()
    out = empty_frame(stand)
    first, second = next_frame(stand, out), next_frame(stand, out)
    interval_s = (second.timestamp_ns - first.timestamp_ns) / NS_PER_S
    ready_s = stand.camera.ready_in_s()
    longest = max(1.0, 2 * interval_s)
    wanted = f"ready_in_s between 0 and {longest:g} s"
    expect(math.isfinite(ready_s) and 0 <= ready_s <= longest, wanted, ready_s)


@check
def stops_promptly(stand: Stand) -> None:
    """No frame comes after `stop`, which is prompt and does nothing when it is repeated."""
    camera, wall = stand.camera, MachineClock()
    camera.stop()
    camera.open()
    camera.stop()
    camera.start()
    frames_take_s = _some_frames_take_s(stand)
    before_ns, virtual_ns = wall.monotonic_ns(), stand.clock.monotonic_ns()
    camera.stop()
    took_ns = max(wall.monotonic_ns() - before_ns, stand.clock.monotonic_ns() - virtual_ns)
    took_s = took_ns / NS_PER_S
    expect(took_s < _PROMPT_S, f"stop to return within {_PROMPT_S:g} s", f"it took {took_s:.3g} s")
    camera.stop()
    nothing_comes(stand, "after stop")
    stand.wait(frames_take_s)
    for _ in range(3):
        nothing_comes(stand, "after stop")
    camera.close()
    camera.stop()


@check
def begins_anew_at_each_start(stand: Stand) -> None:
    """Each `start` begins at number 0, with frames that are newer than all before."""
    camera = stand.camera
    camera.open()
    out = empty_frame(stand)
    last_ns = 0
    for start in range(5):
        if start == 3:
            camera.close()
            camera.open()
        camera.start()
        for number in range(3):
            info = next_frame(stand, out)
            if number == 0:
                said = f"number 0 after start number {start + 1}"
                expect(info.frame_number == 0, said, info.frame_number)
            newer = info.timestamp_ns > last_ns
            expect(newer, f"a timestamp after {last_ns} ns", f"{info.timestamp_ns} ns")
            last_ns = info.timestamp_ns
        camera.stop()
        stand.wait(0.001)


@check
def goes_on_when_opened_again(stand: Stand) -> None:
    """`open` does nothing to a camera that is open and takes frames."""
    camera = stand.camera
    camera.open()
    out = empty_frame(stand)
    camera.start()
    before = [next_frame(stand, out) for _ in range(2)][-1]
    camera.open()
    in_order(before, next_frame(stand, out))


@check
def refuses_use_when_closed(stand: Stand) -> None:
    """A closed camera neither starts nor gives frames: DisconnectedError."""
    camera = stand.camera
    camera.open()
    out = empty_frame(stand)
    camera.start()
    frames_take_s = _some_frames_take_s(stand)
    camera.close()
    refuses(DisconnectedError, lambda: camera.fetch_into(out), "fetch_into after close")
    refuses(DisconnectedError, camera.start, "start after close")
    camera.open()
    for _ in range(2):
        nothing_comes(stand, "after it was opened again, before start")
        stand.wait(frames_take_s)


@check
def annotates_as_declared(stand: Stand) -> None:
    """What comes beside a frame has the name and the columns that are declared."""
    camera = stand.camera
    camera.open()
    camera.start()
    annotation = next_frame(stand, empty_frame(stand)).annotation
    columns = camera.annotation_columns
    if annotation is None:
        expect(not columns, f"an annotation with the columns {columns}", "None")
        raise NotApplicableError("its frames have no annotations")
    expect(bool(camera.annotation_name), "a name for the annotations", camera.annotation_name)
    expect(annotation.dtype == np.float64, "annotations of float64", annotation.dtype)
    shape = annotation.shape
    wanted = f"annotations of the shape (n, {len(columns)}), as annotation_columns says"
    expect(len(shape) == 2 and shape[1] == len(columns), wanted, shape)


def _some_frames_take_s(stand: Stand) -> float:
    """Fetch two frames, and return the time in which three would have come."""
    first, second = (next_frame(stand, empty_frame(stand)) for _ in range(2))
    interval_s = (second.timestamp_ns - first.timestamp_ns) / NS_PER_S
    longest_s = _LONGEST_PAUSE_S if stand.subject.has_own_time else math.inf
    return min(max(3 * interval_s, 0.03), longest_s)


CAMERA_CHECKS: tuple[Check, ...] = (
    declares_its_frames,
    fills_the_frame,
    frames_come_in_order,
    losses_show_as_gaps,
    leaves_the_array_alone,
    fetch_never_waits,
    says_when_to_ask_again,
    stops_promptly,
    begins_anew_at_each_start,
    goes_on_when_opened_again,
    refuses_use_when_closed,
    annotates_as_declared,
)
