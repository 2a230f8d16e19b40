from itertools import pairwise

import pytest
from fault_tools import CAMERA, POOL, RECORDER, ROUTER, WORKER, ended, run, seconds_of, steps

from sim.faults import (
    ClockJump,
    CoarseClock,
    Corrupt,
    DelayMessage,
    DiskFull,
    DiskReadOnly,
    Drop,
    Duplicate,
    FileGone,
    FsyncFails,
    LateTimers,
    Oversize,
    PipeClosed,
    PipeFull,
    Reorder,
    SlowDisk,
    SlowReader,
    TornWrite,
)
from sim.world.world import World


class Frames:
    """The frames that go into a pipe, and come out of it, at the router's side."""

    def __init__(self, rig, *faults, process, for_s=0.3):
        world = World(rig, seed=1, for_s=for_s, faults=faults)
        self.sent, self.received, self.times_s = [], [], []
        watched = world.machine.on_frame

        def see(way, end, raw):
            if watched is not None:
                watched(way, end, raw)
            who = world.kernel.current.name
            if raw[:1] in b"SLDWFM" and raw[:1]:
                if way == "send" and who == process:
                    self.sent.append((end[:-1], raw))
                elif way == "receive" and who == ROUTER:
                    self.received.append((end[:-1], raw))
                    self.times_s.append(world.now_s)

        world.machine.on_frame = see
        self.outcome = world.finish()
        pipe = {end for end, _ in self.sent}
        arrivals = zip(self.times_s, self.received, strict=True)
        self.times_s = [t for t, (end, _) in arrivals if end in pipe]
        self.sent = [raw for _, raw in self.sent]
        self.received = [raw for end, raw in self.received if end in pipe]
        assert self.outcome.struck == faults


@pytest.fixture(scope="module")
def untouched(rig):
    return Frames(rig, process=POOL)


def test_what_nobody_tampers_with_arrives_as_it_was_sent(untouched):
    assert untouched.sent == untouched.received
    assert len(untouched.sent) > 10


@pytest.mark.parametrize("at_s", [None, 0.1])
def test_a_frame_is_lost(rig, at_s):
    fault = Drop(POOL, hit=4) if at_s is None else Drop(POOL, at_s=at_s)
    frames = Frames(rig, fault, process=POOL)
    lost = len(frames.sent) - len(frames.received)
    assert lost in (0, 1), "what was written next may have been for a worker"
    assert [s.detail.split()[0] for s in steps(frames.outcome, "pipe.tampered")] == ["drop"]
    if lost:
        place = next(i for i, raw in enumerate(frames.sent) if raw != frames.received[i])
        assert frames.sent[place + 1 :] == frames.received[place:]


def test_a_frame_comes_twice(rig):
    frames = Frames(rig, Duplicate("focus", hit=2), process="focus")
    assert frames.received == [*frames.sent[:2], frames.sent[1], *frames.sent[2:]]


def test_a_frame_is_overtaken_by_the_next(rig):
    frames = Frames(rig, Reorder("focus", hit=1), process="focus")
    assert frames.received == [frames.sent[1], frames.sent[0], *frames.sent[2:]]


def test_a_frame_that_nothing_overtakes_comes_in_the_end(rig):
    frames = Frames(rig, Reorder("focus", state="manager DRAINING", for_s=0.2), process="focus")
    assert frames.received == frames.sent
    assert frames.outcome.report.shutdown_s == pytest.approx(0.2, abs=0.01)
    assert frames.outcome.violations == ()


def test_a_frame_and_those_behind_it_are_under_way_for_a_while(rig):
    frames = Frames(rig, DelayMessage("focus", hit=1, for_s=0.15), process="focus")
    assert frames.received == frames.sent
    assert frames.times_s[0] == frames.times_s[1] == pytest.approx(0.15, abs=0.01)


def test_what_is_under_way_arrives_though_its_sender_has_died(rig):
    fault = DelayMessage("focus", state="manager DRAINING", for_s=0.2)
    frames = Frames(rig, fault, process="focus")
    assert frames.received == frames.sent
    assert frames.received[-1].startswith(b"Squitting")


@pytest.mark.parametrize("part", ["payload", "header"])
@pytest.mark.parametrize(("who", "hit"), [(CAMERA, 4), (POOL, 9), ("focus", 1), (ROUTER, 3)])
def test_r3_a_garbled_frame_is_refused_and_everybody_goes_on(rig, part, who, hit):
    outcome = run(rig, Corrupt(who, hit=hit, part=part))
    assert {how for name, how in ended(outcome).items() if name != WORKER} == {"clean"}


@pytest.mark.parametrize("part", ["payload", "length"])
@pytest.mark.parametrize(("who", "hit"), [(WORKER, 3), (POOL, 7)])
def test_p2_a_worker_with_which_there_is_no_talking_is_replaced(rig, part, who, hit):
    outcome = run(rig, Corrupt(who, hit=hit, part=part), for_s=8.0)
    assert outcome.account.lost <= 10
    assert seconds_of(outcome, "note.flag", CAMERA)[-1] > 7.5
    assert {how for name, how in ended(outcome).items() if name != WORKER} == {"clean"}


@pytest.mark.parametrize(("who", "hit"), [(CAMERA, 3), (POOL, 9), (WORKER, 3), (ROUTER, 12)])
def test_s1_a_frame_that_is_too_large_is_the_end_of_its_pipe_and_everything_ends(rig, who, hit):
    assert run(rig, Oversize(who, hit=hit)).report.shutdown_s <= 10


@pytest.mark.parametrize(("who", "hit"), [(CAMERA, 3), (POOL, 9), (WORKER, 3), (ROUTER, 12)])
def test_a_pipe_is_closed_at_both_ends_at_once(rig, who, hit):
    outcome = run(rig, PipeClosed(who, hit=hit))
    assert outcome.report.shutdown_s < 1.0
    assert outcome.virtual_s < 0.6


def test_p2_tasks_that_wait_for_room_in_a_pipe_are_sent_when_there_is_some(rig):
    outcome = run(rig, PipeFull(POOL, at_s=0.2, for_s=0.2), for_s=1.0)
    begun_s = seconds_of(outcome, "note.stack", WORKER)
    assert not [t for t in begun_s if 0.22 < t < 0.4]
    assert len([t for t in begun_s if 0.4 <= t < 0.6]) >= 2
    assert outcome.account.processed >= 80
    assert outcome.report.is_clean


def test_r2_the_router_has_no_room_for_a_while_and_goes_on(rig):
    outcome = run(rig, PipeFull(ROUTER, at_s=0.2, for_s=0.2))
    assert outcome.report.is_clean


def test_a_slow_reader_reads_little_at_a_time(rig):
    outcome = run(rig, SlowReader(ROUTER, at_s=0.1, for_s=0.3, bytes_per_s=200.0))

    pipe = steps(outcome, "pipe.write", POOL)[0].object.replace("b", "a")
    reads = [step for step in steps(outcome, "pipe.read", ROUTER) if step.object == pipe]
    reads_s = [step.t_ns / 1e9 for step in reads if 0.11 < step.t_ns / 1e9 < 0.4]
    assert len(reads_s) > 4
    assert min(b - a for a, b in pairwise(reads_s)) > 0.049, "in small pieces"
    assert 0.4 in [step.t_ns / 1e9 for step in reads], "all that waits, as soon as it is healed"
    assert outcome.report.is_clean


def test_a_pipe_that_is_never_emptied_keeps_nobody(rig):
    assert run(rig, SlowReader(POOL, at_s=0.1, bytes_per_s=1.0)).report.shutdown_s <= 10


def clocks(rig, *faults, who="focus", at_s=0.25):
    world = World(rig, seed=1, faults=faults)
    world.run_for(at_s)
    read = {
        p.name: (p.runtime.clock.now_ns(), p.runtime.clock.monotonic_ns())
        for p in world.machine.processes.values()
    }
    world.stop()
    assert world.finish().violations == ()
    return read


def test_the_wall_clock_of_one_process_or_of_all_jumps_and_monotonic_time_does_not(rig):
    usual = clocks(rig)
    one = clocks(rig, ClockJump("focus", at_s=0.1, by_s=-60.0))
    assert {n for n in usual if usual[n] != one[n]} == {"focus"}
    assert one["focus"] == (usual["focus"][0] - 60 * 10**9, usual["focus"][1])
    everybody = clocks(rig, ClockJump("*", at_s=0.1, by_s=2.0))
    assert all(everybody[n] == (usual[n][0] + 2 * 10**9, usual[n][1]) for n in usual)


def test_coarse_clocks_stand_still_between_their_ticks(rig):
    read = clocks(rig, CoarseClock("*", at_s=0.0, tick_s=0.1, for_s=0.3))
    assert {monotonic for _, monotonic in read.values()} == {1_200_000_000}
    read = clocks(rig, CoarseClock("*", at_s=0.0, tick_s=0.1, for_s=0.2))
    assert {monotonic for _, monotonic in read.values()} == {1_250_000_000}


def test_timers_are_late_for_a_while(rig):
    outcome = run(rig, LateTimers("*", at_s=0.1, for_s=0.3, late_s=0.07))
    usual, late = (
        [b - a for a, b in pairwise(seconds_of(outcome, "wait", CAMERA)) if span[0] < a < span[1]]
        for span in ((0.0, 0.05), (0.18, 0.3))
    )
    assert max(late) > 0.07
    assert max(usual, default=0) < 0.2
    assert outcome.report.is_clean


@pytest.fixture
def out(tmp_path):
    directory = tmp_path / "out"
    directory.mkdir()
    return directory


@pytest.mark.parametrize("kind", [DiskFull, DiskReadOnly])
def test_f2_a_disk_that_takes_nothing_ends_the_recording_and_not_the_acquisition(rig, out, kind):
    outcome = run(rig, kind(RECORDER), record=out)
    assert outcome.account.processed >= 40
    assert set(ended(outcome).values()) == {"clean"}
    says = "disk full" if kind is DiskFull else "Read-only"
    assert any(says in error for error in outcome.report.errors)


def test_a_slow_disk_holds_up_nobody_else(rig, out):
    outcome = run(rig, SlowDisk(RECORDER, for_s=0.3, late_s=0.1), record=out)
    written_s = seconds_of(outcome, "file.write", RECORDER)
    assert [t for t in written_s if t < 0.5]
    assert outcome.account.processed >= 40


def test_an_fsync_fails_once_and_is_reported(rig, out):
    world = World(rig, seed=1, for_s=0.3, record=out, faults=[FsyncFails(ROUTER)])
    assert world.finish().violations == ()
    words = world.process(ROUTER).words
    assert "RecordingError: can not write" in words, "nothing is begun that could not be recorded"
    assert "Input/output error" in words
    assert run(rig, FsyncFails(ROUTER, hit=2), for_s=0.3, record=out).account.processed >= 20


def test_f2_a_file_that_somebody_deletes_is_missed_and_the_recording_stops(rig, out):
    outcome = run(rig, FileGone(RECORDER, site="file.flush", hit=3), record=out)
    assert set(ended(outcome).values()) == {"clean"}
    assert any("was moved or deleted while it was written" in e for e in outcome.report.errors)
    assert not list(out.glob("Tracking Data*"))


def test_f1_a_process_dies_between_two_operations_on_a_file(rig, out):
    outcome = run(rig, TornWrite(RECORDER, hit=2), record=out)
    assert ended(outcome)[RECORDER] == "crashed"
    assert len(seconds_of(outcome, "file.write", RECORDER)) == 2
