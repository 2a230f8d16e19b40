"""Each property sees the mistake that it is there for: the code is broken, and it says so."""

import pickle
from contextlib import contextmanager
from dataclasses import replace

import pytest
from property_tools import PINGS, property_class, run

import sim.properties.refusals
from hal.clock import NS_PER_S
from hal.motor import Motor
from magscope.aside import DROPPED, Aside
from magscope.beadlock import BeadLockManager
from magscope.camera import CameraManager
from magscope.channel import Channel
from magscope.datatypes import MatrixBuffer, VideoBuffer
from magscope.devices import DeviceHolder
from magscope.feeds import HalFeed
from magscope.flag import PoolFlag
from magscope.ledger import Ledger
from magscope.link import Link
from magscope.mail import Mail
from magscope.motors import MotorManager
from magscope.processes import ManagerProcessBase
from magscope.protocol import Kind
from magscope.recorder import RecordingManager
from magscope.recording.appendfile import AppendFile
from magscope.recording.tables import TelemetryFile
from magscope.report import ProcessReport
from magscope.router import Router
from magscope.runtime import current
from magscope.runtime.framing import FramedEndpoint
from magscope.scripting import ScriptManager
from magscope.session import Session
from magscope.shutdown import Shutdown
from magscope.utils import PoolVideoFlag
from magscope.videoprocessing import VideoProcessorManager, _Hand
from magscope.videowork import Result, StackProcessor
from magscope.videoworker import VideoWorker
from magscope.workers import WorkerRoll
from sim.faults import (
    CameraBlocks,
    CameraDisconnect,
    CameraDrop,
    Corrupt,
    Crash,
    DiskFull,
    FileGone,
    Hang,
    MotorBlocks,
    MotorDisconnect,
    PipeFull,
    Raise,
    StaleMemory,
)
from sim.properties import ALL
from sim.world.machine import VirtualRuntime
from sim.world.plan import Action
from sim.world.process import VirtualProcess
from sim.world.sync import VirtualLock

FOCUS = """
[motors.focus]
driver = "sim.focus"
"""
# A driver is busy for a while, a message comes for its manager, and then a request to quit.
BUSY = {
    "motors": FOCUS,
    "faults": [MotorBlocks("focus", at_s=0.1, for_s=0.5)],
    "actions": [
        Action(0.15, "Probe-1", "send", "focus", "move_motor", ("focus", 1.0)),
        Action(0.2, "Probe-1", "send", "focus", "set_settings", ({},)),
        Action(0.3, "Probe-1", "quit"),
    ],
}
# Recording is begun anew, again and again, while stacks of earlier recordings are still out.
LATE = {
    "records": True,
    "tracker": "read_truth_slowly",
    "framerate_hz": 200,
    "stop_at_violation": False,
    "actions": [
        Action(at_s, "Probe-1", "send", "ManagerProcessBase", "set_acquisition_dir_on", (True,))
        for at_s in (0.2, 0.21, 0.31, 0.32, 0.41, 0.42)
    ],
}


def gone(reconnect):
    """Return a motor that goes away, and is to be reconnected in this way."""
    return {
        "motors": FOCUS.replace("driver", f'reconnect = "{reconnect}"\ndriver'),
        "faults": [MotorDisconnect("focus", at_s=0.3, for_s=None)],
    }


@pytest.fixture
def broken(monkeypatch):
    """Return a function that puts another one into the place of a method, which it is given."""

    def put(cls, name, make):
        monkeypatch.setattr(cls, name, make(getattr(cls, name)))

    return put


def only(name, **options):
    """Run with one property alone; return what it says, which must cite its id."""
    cls = property_class(name)
    outcome = run(properties=(cls,), **options)
    said = [v for v in outcome.violations if not v.startswith("harness")]
    assert list(outcome.violations) == said
    return said


def test_r1_a_message_that_the_router_forgets(broken):
    def make(forward):
        def forgetful(self, head, raw, frame):
            if (head.meth, head.number) != ("hear", 3):
                forward(self, head, raw, frame)

        return forgetful

    broken(Router, "forward", make)
    assert "Message 3 of Probe-" in only("NothingLost", actions=PINGS)[0]


def test_s1_who_opens_its_device_is_made_to_end_at_once(broken):
    def make(_):
        return staticmethod(lambda peer: peer.state == "starting" and not peer.is_dismissed)

    broken(Shutdown, "_may_be_dismissed", make)
    slow = [Hang("CameraManager", site="call.setup", for_s=3.0)]
    said = only("Ends", faults=slow, actions=[Action(0.1, "MagScope", "interrupt")])
    assert "CameraManager was made to end as it opened its device, 1.0 s" in said[0]


def test_r5_bytes_that_were_refused_and_count_all_the_same(broken):
    def make(post):
        def greedy(self, frame):
            is_taken = post(self, frame)
            self._waiting_bytes += 0 if is_taken else len(frame)
            return is_taken

        return greedy

    broken(Channel, "_post", make)
    flood = [Action(0.1, "Probe-1", "flood", "Probe-2", "hear", (11_000, "x" * 10_000))]
    assert "which reckons with" in only("BoundedQueues", actions=flood)[0]


def test_r1_refusals_that_are_told_once_more(broken):
    def make(unsent):
        def again(self):
            before = self._refused.copy()
            waits = unsent(self)
            self._refused = before
            return waits

        return again

    broken(Mail, "unsent", make)
    flood = [Action(0.1, "Probe-1", "flood", "Probe-2", "hear", (11_000, "x" * 10_000))]
    assert "were refused, where 0 had been" in only("NothingLost", actions=flood)[0]


def test_r1_a_message_that_the_router_doubles(broken):
    def make(post):
        def doubled(self, peer, head, raw):
            post(self, peer, head, raw)
            if head.meth == "hear":
                post(self, peer, head, raw)

        return doubled

    broken(Router, "_post", make)
    assert "once more than it had got it" in only("NothingLost", actions=PINGS)[0]


def test_r1_messages_that_a_manager_obeys_in_the_wrong_order(broken):
    def make(_):
        def backwards(self):
            frames = []
            while (frame := self._mail.receive()) is not None:
                frames.append(frame)
            for frame in reversed(frames):
                self._obey(frame)

        return backwards

    broken(ManagerProcessBase, "receive_ipc", make)
    flood = Action(0.1, "Probe-1", "flood", "Probe-2", "hear", (10, "x"))
    said = only("NothingLost", actions=(flood, *PINGS))
    assert "which came before it" in said[0]


def test_r2_a_router_that_waits(broken):
    def make(forward):
        def slow(self, head, raw, frame):
            if head.meth == "hear":
                current().clock.sleep_s(0.3)
            forward(self, head, raw, frame)

        return slow

    broken(Router, "forward", make)
    said = only("NobodyBlocks", actions=PINGS, for_s=1.0, stop_at_violation=False)
    assert any("had not reached Probe-" in text for text in said)


@pytest.mark.parametrize(
    "action",
    [
        Action(0.1, "Probe-1", "post", args=("4d61626309",)),
        Action(0.1, "Probe-1", "send", "Nobody", "hear"),
        Action(0.1, "Probe-1", "send", "MagScope", "fly"),
    ],
    ids=str,
)
def test_r3_a_router_that_drops_what_is_bad_in_silence(broken, action):
    broken(Session, "warn", lambda _: lambda *_: None)
    broken(Router, "_report", lambda _: lambda *_: None)
    actions = (action, *PINGS)
    assert only("BadIsRefused", actions=actions)[0].startswith(
        "R3: MagScope went on without a word"
    )


@pytest.mark.parametrize("meth", ["_do_what_is_due", "is_alive", "no_such_method"])
def test_r3_a_manager_that_drops_what_it_must_not_obey_in_silence(broken, meth):
    broken(ManagerProcessBase, "log", lambda _: lambda *_: None)
    actions = (Action(0.1, "Probe-1", "send", "Probe-2", meth), *PINGS)
    assert "Probe-2 went on without a word" in only("BadIsRefused", actions=actions)[0]


def test_r4_a_broadcast_that_leaves_somebody_out(broken):
    def make(post):
        def partial(self, peer, head, raw):
            if peer.name != "ZLutManager" or head.meth != "set_acquisition_mode":
                post(self, peer, head, raw)

        return partial

    broken(Router, "_post", make)
    actions = [
        Action(0.1, "Probe-1", "send", "ManagerProcessBase", "set_acquisition_mode", ("track",))
    ]
    assert "did not reach ZLutManager" in only("BroadcastReachesAll", actions=actions)[0]


def test_r5_a_queue_beyond_its_bound(monkeypatch):
    monkeypatch.setattr(sim.properties.refusals, "MAX_WAITING_FRAMES", 5)
    actions = [
        Action(0.05, "Probe-2", "stall", args=(0.3,)),
        Action(0.1, "Probe-1", "flood", "Probe-2", "hear", (300, "x" * 5000)),
    ]
    assert "messages that wait with" in only("BoundedQueues", actions=actions)[0]


def test_s1_a_hanging_manager_that_nobody_makes_to_end(broken):
    broken(Shutdown, "_force", lambda _: lambda *_: None)
    faults = [Hang("BeadLockManager", at_s=0.1)]
    said = only("Ends", faults=faults)
    assert "BeadLockManager still ran" in said[0]


def test_s1_a_death_that_the_router_does_not_care_about(broken):
    broken(Session, "look_after", lambda _: lambda *_: current().clock.sleep_s(0.1))
    assert (
        "did not begin to end the session"
        in only("Ends", faults=[Crash("ZLutManager", at_s=0.1)], for_s=3.0)[0]
    )


def test_s2_a_manager_that_quits_twice(broken):
    def make(quit_once):
        def again(self):
            quit_once(self)
            current().note("state", "quitting")

        return again

    broken(ManagerProcessBase, "quit", make)
    assert "had said before that it quits" in only("QuitsOnce")[0]


def test_s3_a_session_that_leaves_its_memory(broken):
    broken(VirtualRuntime, "end_session", lambda _: lambda _self: None)
    assert "Shared memory is left" in only("NothingLeft")[0]


def test_s3_survivors_of_the_router_that_sweep_nothing(broken):
    broken(VirtualRuntime, "end_session", lambda _: lambda _self: None)
    faults = [Crash("MagScope", at_s=0.2)]
    assert "Shared memory is left" in only("NothingLeft", faults=faults)[0]


def test_s4_managers_that_take_the_end_of_their_pipe_for_silence(broken):
    def make(leave):
        def deaf(self):
            if self._has_quit:
                leave(self)
            else:
                current().clock.sleep_s(0.5)

        return deaf

    broken(ManagerProcessBase, "_leave", make)
    said = only("NoOrphans", faults=[Crash("MagScope", at_s=0.2)])
    assert "after the router had died" in said[0]


def test_r1_messages_that_are_dropped_in_silence(broken):
    def make(_):
        def in_silence(self, frame):
            self.hurry()
            self._mail.drop()
            self._mail.hold_back(frame)

        return in_silence

    broken(Aside, "_hear_quit", make)
    said = only("NothingLost", **BUSY)
    assert "obeyed quit and had not obeyed set_settings" in said[0]


def test_r1_messages_that_are_obeyed_though_they_are_said_to_be_dropped(broken):
    def make(_):
        def says_so(self, frame):
            self.hurry()
            self._mail.log("warning", f"{self._mail.held} {DROPPED}")
            self._mail.hold_back(frame)

        return says_so

    broken(Aside, "_hear_quit", make)
    said = only("NothingLost", **BUSY)
    assert "which was not the next that came to it" in said[0]


def test_s1_a_manager_that_waits_for_its_driver_for_ever(broken):
    broken(Aside, "hurry", lambda _: lambda _self: None)
    faults = [MotorBlocks("focus", at_s=0.1)]
    said = only("Ends", faults=faults, motors=FOCUS, for_s=0.3)
    assert "The router made focus end, with which nothing was the matter" in said[0]


def test_s5_a_manager_that_is_called_silent_while_its_driver_does_not_return(broken):
    def make(beat):
        def at_first(self):
            if current().clock.monotonic_ns() < 1.1 * NS_PER_S:
                beat(self)

        return at_first

    broken(ManagerProcessBase, "_beat", make)
    said = only("TruthfulReport", for_s=5.0)
    assert "is called silent, though nothing keeps it from showing that it lives" in said[0]


def test_s5_a_report_that_calls_everything_clean(broken):
    def make(_):
        return lambda _self, peer, _ns: ProcessReport(peer.name, "clean", peer.exit_code, 0.0)

    broken(Session, "outcome", make)
    said = only("TruthfulReport", faults=[Crash("ZLutManager", at_s=0.1)])
    assert said[0].startswith("S5: ZLutManager ended with -9, and the report calls it clean")


def test_s6_all_told_to_quit_at_once(broken):
    broken(Shutdown, "_is_done", lambda _: lambda *_: True)
    assert "could not be stored any more" in only("InPhases")[0]


def test_s6_rows_reported_and_not_on_disk(broken):
    def make(publish):
        def boasting(self, **changes):
            if "rows_saved" in changes:
                changes["rows_saved"] += 1000
            publish(self, **changes)

        return boasting

    broken(RecordingManager, "publish", make)
    said = only("OnDisk", records=True, stop_at_violation=False)
    assert any(line.startswith("S6: In the recording, ") for line in said)


def test_s7_a_device_that_stays_open(broken):
    broken(DeviceHolder, "close", lambda _: lambda _self: None)
    assert "CameraManager ended and left camera open" in only("DevicesSafe")[0]


def test_s7_a_motor_that_is_not_stopped(broken):
    def make(close):
        def bare(self):
            self._holder.close()
            self._is_connected = False

        return bare

    broken(MotorManager, "disconnect", make)
    motors = '[motors.focus]\ndriver = "sim.focus"'
    assert "without having stopped it" in only("DevicesSafe", motors=motors)[0]


def test_an_exception_that_no_fault_has_raised(broken):
    def make(_):
        def raising(self):
            raise RuntimeError("nobody expects this")

        return raising

    broken(BeadLockManager, "do_main_loop", make)
    assert only("Escaped")[0].startswith("escaped: BeadLockManager came to an exception")


def test_p1_a_worker_that_does_the_camera_managers_part(broken):
    def make(finish):
        def eager(self, task):
            finish(self, task)
            self._shared_values.video_process_flag.make_ready()

        return eager

    broken(VideoWorker, "_finish", make)
    assert "this is for CameraManager to do" in only("LegalTransitions")[0]


def test_p1_a_change_without_the_lock(broken):
    def make(_):
        def bare(self, owner, epoch):
            self._change(PoolVideoFlag.FINISHED, owner, epoch)

        return bare

    broken(PoolFlag, "finish", make)
    assert "without holding its lock" in only("LegalTransitions")[0]


def test_p2_a_dead_worker_that_keeps_its_stack(broken):
    broken(PoolFlag, "finish_for_dead", lambda _: lambda *_: False)
    faults = [Crash("VideoWorker-1", site="note.stack")]
    assert "The flag has been RUNNING" in only("NoWedge", faults=faults, for_s=4.0)[0]


def test_p2_a_dead_worker_whose_place_stays_empty(broken):
    def make(hire):
        return lambda self: hire(self) if self._hired < 2 else None

    broken(VideoProcessorManager, "_hire", make)
    faults = [Crash("VideoWorker-1", at_s=0.1)]
    assert "1 workers instead of 2" in only("NoWedge", faults=faults, for_s=4.0)[0]


def test_p2_a_stack_for_a_worker_whose_pipe_has_ended(broken):
    broken(_Hand, "is_lost", lambda _: False)
    faults = [Crash("VideoWorker-1", at_s=0.05, lingers_s=0.4)]
    assert "whose pipe had come to its end" in only("NoWedge", faults=faults)[0]


def test_p3_a_count_that_drifts(broken):
    def make(count):
        def drifting(self):
            if any(hand.task for hand in self._hands):
                count(self)

        return drifting

    broken(VideoProcessorManager, "_count_busy", make)
    assert (
        "The busy count is 1, and 0 workers"
        in only(
            "BusyCount",
            for_s=3.0,
            workers=1,
            on=True,
            actions=[
                Action(0.3, "Probe-1", "send", "ManagerProcessBase", "set_acquisition_on", (False,))
            ],
        )[0]
    )


def test_p4_a_stack_that_is_given_back_before_it_is_read(broken):
    def make(do):
        def hasty(self, task):
            self.finish(task)
            finish, self.finish = self.finish, lambda _: None
            try:
                return do(self, task)
            finally:
                self.finish = finish

        return hasty

    broken(StackProcessor, "do", make)
    assert "VideoWorker-1 reads stack 1 while the flag is FINISHED" in only("OneOwner")[0]


def test_p4_frames_released_under_a_reader(broken):
    def make(_):
        def careless(self, buffer, why):
            if buffer.check_read_stack():
                buffer.read_stack_no_return()

        return careless

    broken(CameraManager, "_drop", make)
    broken(CameraManager, "_make_room", lambda _: lambda self, buffer: self._drop(buffer, "purged"))
    faults = [Hang("VideoWorker-1", site="note.stack", for_s=0.2)]
    assert "The worker still reads them" in "".join(only("OneOwner", faults=faults))


def test_b1_frames_dropped_in_silence(broken):
    def make(publish):
        def silent(self, **changes):
            changes.pop("discarded", None)
            publish(self, **changes)

        return silent

    broken(CameraManager, "publish", make)
    assert only("Conservation", on=False)[0].startswith("B1: In the account, ")


def test_b2_a_frame_that_counts_before_its_time_is_there(broken):
    def make(_):
        def hasty(self, timestamp_s, timestamp_ns, frame_number):
            written = self.written
            slot = written % self.n_total_images
            with self._lock:
                self._put(self._WRITTEN, written + 1)
            self._timestamps[slot] = timestamp_s
            self._timestamps_ns[slot] = timestamp_ns
            self._numbers[slot] = frame_number

        return hasty

    broken(VideoBuffer, "_count", make)
    assert "which is not its own" in only("NoTornFrame")[0]


def test_b2_positions_of_other_frames(broken):
    def make(publish):
        def mixed(self, task, tracked, times_s, times_ns, numbers):
            tracked.z_nm[:] = tracked.z_nm[::-1].copy()
            return publish(self, task, tracked, times_s, times_ns, numbers)

        return mixed

    broken(StackProcessor, "_publish", make)
    assert "The positions that VideoWorker-1 gives" in only("NoTornFrame")[0]


def test_b3_numbers_that_stand_still(broken):
    def make(count):
        return lambda self, s, ns, _: count(self, s, ns, 7)

    broken(VideoBuffer, "_count", make)
    said = only("InOrder", stop_at_violation=False)
    assert any("the number of the frames does not rise" in line for line in said)


def test_b4_more_released_than_there_is(broken):
    def make(_):
        def greedy(self, count):
            with self._lock:
                self._put(self._RELEASED, self.written + 1)

        return greedy

    broken(VideoBuffer, "release_images", make)
    assert "leaves -1 unread frames" in only("Bounds")[0]


def test_b4_rows_that_come_once_more(broken):
    def make(_):
        def forgetful(self):
            with self._lock:
                rows = self._range(self._get(self._READ), self.written)
                self._put(self._READ, max(self._get(self._READ), self.written - 1))
            return rows

        return forgetful

    broken(MatrixBuffer, "read", make)
    assert "Who reads has all that was written" in only("Bounds", motors=FOCUS, records=True)[0]


def test_b5_who_waits_with_a_lock_in_hand(broken):
    def make(claim):
        def greedy(self, owner, is_there):
            return self.get_lock().acquire() and claim(self, owner, is_there)

        return greedy

    broken(PoolFlag, "claim", make)
    assert "waits for something to come, and has lock-" in only("NobodyWaitsWithALock")[0]


def test_b5_a_lock_that_dies_with_its_holder(broken):
    def make(free):
        def kept(self):
            if self._machine.processes[self.holder].code is None:
                free(self)

        return kept

    broken(VirtualLock, "free", make)
    faults = [Crash("VideoWorker-1", state="holds lock")]
    assert "B5" in {line[:2] for line in only("NoStuckLock", faults=faults)}


def test_c3_a_distance_that_counts_from_where_the_motor_is(broken):
    def make(_):
        def short(self, motor, distance):
            return self._start(self._motor.read_position() + distance)

        return short

    broken(MotorManager, "move_motor_by", make)
    moves = (("move_motor", 20_000.0), ("move_motor_by", 300.0))
    actions = [
        Action(0.1 + 0.02 * n, "Probe-1", "send", "focus", call, ("focus", value))
        for n, (call, value) in enumerate(moves)
    ]
    assert (
        "focus has been told to go to 20300"
        in only("GoesWhereTold", motors=FOCUS, actions=actions)[0]
    )


def test_f1_a_file_that_can_not_be_read(broken):
    def make(shutdown):
        def rough(self):
            path = self._tracks.path
            shutdown(self)
            path.write_bytes(path.read_bytes()[:100])

        return rough

    broken(RecordingManager, "shutdown", make)
    assert "F1: In the recording, Tracking Data" in "".join(only("OnDisk", records=True))


def test_f1_a_file_that_nobody_can_read_when_its_writer_was_killed(broken):
    def make(flush):
        def marked(self, names):
            flush(self, names)
            self._file.flush()

        return marked

    broken(AppendFile, "_flush", make)
    said = only("OnDisk", records=True, faults=[Crash("RecordingManager", at_s=0.3)])
    assert "can not be read" in said[0]
    assert "before anybody has repaired it" in said[0]


@pytest.mark.parametrize("who", ["RecordingManager", "VideoWorker-1"])
def test_f2_an_error_of_the_disk_that_nobody_hears_of(broken, who):
    broken(RecordingManager, "_stop", lambda _: lambda self, error: self._close())
    broken(StackProcessor, "_save", lambda save: staticmethod(lambda *args: save(*args) and ""))
    full = [DiskFull(who, site="file.write", hit=3, for_s=0.2)]
    said = only("DiskErrorsAreTold", records=True, mode="track-and-full-video", faults=full)
    assert f"{who} goes on without a word" in said[0]


@pytest.mark.parametrize("hit", [1, 3])
def test_f2_a_deleted_file_that_is_written_on(broken, hit):
    broken(AppendFile, "_check_is_there", lambda _: lambda self: None)
    gone = [FileGone("RecordingManager", site="file.flush", hit=hit)]
    said = only("GoneFilesAreMissed", records=True, faults=gone, for_s=0.8)
    assert "writes on to Tracking Data" in said[0]


def test_f3_a_batch_that_comes_late_and_is_saved_with_the_next_recording(broken):
    def make(save_tracks):
        def mixing(self, batch, recording):
            save_tracks(self, batch, self._recording)

        return mixing

    broken(RecordingManager, "save_tracks", make)
    said = only("OnDisk", **LATE)
    assert any("lie stacks of the recordings" in line for line in said), said


def test_f3_a_batch_that_comes_late_and_begins_another_recording(broken):
    def make(save_tracks):
        def hasty(self, batch, recording):
            if recording < self._recording:
                self._follow(recording)
            save_tracks(self, batch, recording)

        return hasty

    broken(RecordingManager, "save_tracks", make)
    said = only("OnDisk", **LATE)
    assert any("begins no other one" in line for line in said), said


def test_f2_a_full_disk_that_ends_the_recording_manager(broken):
    def make(_):
        def fatal(self, error):
            raise RuntimeError from error

        return fatal

    broken(RecordingManager, "_stop", make)
    faults = [DiskFull("RecordingManager", at_s=0.15)]
    broken(ManagerProcessBase, "_obey", lambda obey: lambda self, frame: _bare(obey, self, frame))
    motors = '[motors.focus]\ndriver = "sim.focus"'
    said = only("DiskStopsRecordingOnly", faults=faults, records=True, motors=motors)
    assert "ended with an exception after an error of the disk" in said[0]


def _bare(obey, manager, frame):
    if frame.kind.value == b"M" and frame.fields[1] == "save_tracks":
        args, _ = pickle.loads(frame.payload)
        manager.save_tracks(*args)
    else:
        obey(manager, frame)


def test_f3_a_number_that_two_stacks_have(broken):
    def make(task):
        def numbered(self, *args):
            self._sequence = 0
            return task(self, *args)

        return numbered

    broken(VideoProcessorManager, "_task", make)
    assert "has the number 0 in its recording" in only("OnDisk", records=True)[0]


@pytest.mark.parametrize("how", ["read", "newest"])
def test_b4_rows_of_a_full_buffer_that_are_read_in_the_wrong_order(broken, how):
    def make(_):
        def wrong(self, start, stop):
            return self._rows[start % self.shape[0] :][: stop - start].copy()

        return wrong

    broken(MatrixBuffer, "_range", make)
    action = Action(0.7, "Probe-1", "read", "TracksBuffer", how, (0.3, 4))
    said = only("RowsAsWritten", actions=[action], for_s=1.7)
    assert f"looked at TracksBuffer ({how}: rows, checksum)" in said[0]


def test_b4_rows_that_count_as_waiting_though_they_were_overwritten(broken):
    broken(MatrixBuffer, "get_count_index", lambda _: lambda self: self.written - self._get(9))
    action = Action(1.3, "Probe-1", "read", "TracksBuffer", "read", (0.3, 1))
    said = only("RowsAsWritten", actions=[action], for_s=1.6)
    assert "TracksBuffer (count: rows waiting, their place, rows lost)" in said[0]


def test_b1_a_snapshot_that_shows_frames_twice(broken):
    def make(account):
        def double(self, **options):
            right = account(self, **options)
            return replace(right, in_buffer=right.in_buffer + right.processed)

        return double

    broken(Ledger, "account", make)
    said = only("EachLook", actions=[Action(0, "MagScope", "look", args=(0.1,))])
    assert said[0].startswith("B1: Who looks at the session is shown that ")


def test_p2_a_task_that_is_never_sent_on(broken):
    broken(VideoProcessorManager, "_writable", lambda _: ManagerProcessBase._writable)
    faults = [PipeFull("VideoProcessorManager", at_s=0.2, for_s=0.3)]
    said = only("SoundWorkersLive", faults=faults, for_s=2.5)
    assert "The video processor kills VideoWorker-1, though no fault has been felt" in said[0]


def test_s1_a_video_processor_that_waits_for_a_hanging_worker(broken):
    broken(VirtualProcess, "kill", lambda kill: lambda self: self.name[:5] != "Video" or kill(self))
    broken(VideoProcessorManager, "_end_workers", lambda _: lambda self: self._wait_for(30, bool))
    faults = [Hang("VideoWorker-1", at_s=0.2)]
    said = only("Ends", faults=faults)
    assert "The router made VideoProcessorManager end" in said[0]


def test_s3_a_name_that_another_session_has(broken):
    def make(_):
        def begin(self):
            self._session = "the same for all"
            self._machine.sessions[self._session] = self._process
            return self._session

        return begin

    broken(VirtualRuntime, "begin_session", make)
    said = only("NothingLeft", faults=[StaleMemory(owner="alive")])
    assert "The memory of another session" in said[0]


def test_p4_frames_released_without_the_flags_lock(broken):
    @contextmanager
    def open_to_all(_self):
        yield

    broken(PoolFlag, "held", lambda _: open_to_all)
    assert "frames without the flag's lock" in only("OneOwner", on=False)[0]


def test_b1_frames_that_are_dropped_before_they_are_counted(broken):
    def make(publish):
        def late(self, **changes):
            if "discarded" in changes:
                changes, self.late = getattr(self, "late", {}), changes
            publish(self, **changes)

        return late

    broken(CameraManager, "publish", make)
    assert "must have counted them before" in only("Conservation", on=False)[0]


def test_b1_a_full_buffer_that_is_not_purged(broken):
    broken(CameraManager, "_make_room", lambda _: lambda *_: None)
    faults = [Hang("VideoWorker-1", site="call.task", hit=2)]
    said = only("Conservation", faults=faults, workers=1, for_s=2.5)
    assert "nothing is purged though the camera manager has found" in said[0]


def test_b1_frames_that_the_camera_loses_without_a_word(broken):
    broken(HalFeed, "lost", lambda _: property(lambda _self: 0))
    faults = [CameraDrop("CameraManager", hit=1, frames=3)]
    assert "0 frames are device_lost, where 3 were" in only("Conservation", faults=faults)[0]


def test_b2_times_that_are_read_after_the_stack_was_given_back(broken):
    def make(publish):
        def late(self, task, tracked, times_s, times_ns, numbers):
            times_ns, numbers = self.video._timestamps_ns[:5].copy(), self.video._numbers[:5].copy()
            return publish(self, task, tracked, times_s, times_ns, numbers)

        return late

    broken(StackProcessor, "_publish", make)
    assert "gives for stack 1 are not those" in only("NoTornFrame", records=True, workers=1)[0]


def test_b2_a_video_of_frames_that_were_not_copied(broken):
    def make(_):
        def uncopied(self, task):
            stack, times_s = self.video.peak_stack()
            times_s = times_s.copy()
            self.finish(task)
            self._save(task, stack, stack, times_s)
            return Result(task.epoch)

        return uncopied

    broken(StackProcessor, "do", make)
    said = only("VideoShowsFrames", records=True, mode="full-video")
    assert "there is a frame of which a part is another one's" in said[0]


def test_p2_a_stack_that_is_stuck_when_the_session_ends(broken):
    def make(finish):
        return lambda self, task: None if task.epoch == 1 else finish(self, task)

    broken(VideoWorker, "_finish", make)
    assert "The flag has been RUNNING" in only("NoWedge", for_s=2.4)[0]


def test_every_property_has_an_id_and_a_title():
    assert len({cls.__name__ for cls in ALL}) == len(ALL)
    ids = {cls.id for cls in ALL}
    wanted = {f"R{n}" for n in range(1, 6)} | {f"S{n}" for n in range(1, 8)}
    wanted |= {f"P{n}" for n in range(1, 5)} | {f"B{n}" for n in range(1, 6)} | {"F2", "F3"}
    assert wanted <= ids  # F1 is told by the one that reads the files
    assert all(cls.title for cls in ALL)


def test_r2_a_router_that_does_not_take_in(broken):
    def make(serve):
        def late(self, ready):
            if current().clock.monotonic_ns() > 1.1e9:
                current().clock.sleep_s(0.3)
            serve(self, ready)

        return late

    broken(Router, "serve", make)
    said = only("NobodyBlocks", actions=PINGS, for_s=1.0)
    assert any("was in its pipe for" in text for text in said)


def test_s1_a_manager_that_hears_no_quit_while_it_starts(broken):
    def make(_):
        def holds_back(self):
            while self._running:
                current().wait([self._mail.channel])
                while (frame := self._mail.receive()) is not None:
                    if frame.kind is Kind.GO:
                        return
                    self._mail.hold_back(frame)

        return holds_back

    broken(ManagerProcessBase, "_await_go", make)
    faults = [Hang("CameraManager", site="call.setup", for_s=2.0)]
    said = only("Ends", faults=faults, actions=[Action(0.0, "Probe-1", "quit")])
    assert "had the request to quit for" in said[0]


def test_s2_a_manager_that_shuts_down_twice(broken):
    def make(tidy):
        def twice(self):
            tidy(self)
            tidy(self)

        return twice

    broken(ManagerProcessBase, "_tidy", make)
    assert "shut down though it had done so before" in only("QuitsOnce")[0]


def test_s5_an_error_that_nothing_explains(broken):
    def make(step):
        def failing(self, now_ns):
            if now_ns > 1.2e9 and not self._asked:
                self._asked.add("")
                self._fail("something is the matter")
            return step(self, now_ns)

        return failing

    broken(Shutdown, "step", make)
    assert "nothing was done that can fail" in only("TruthfulReport", actions=PINGS)[0]


def test_s7_a_manager_that_fails_and_leaves_its_device_open(broken):
    def make(finish):
        def careless(self, error):
            self._has_quit = self._has_quit or error is not None
            finish(self, error)

        return careless

    broken(ManagerProcessBase, "_finish", make)
    said = only("DevicesSafe", faults=[Raise("CameraManager", at_s=0.2)])
    assert "CameraManager ended and left camera open" in said[0]


def test_s7_a_motor_that_is_said_to_be_stopped(broken):
    broken(Motor, "stop", lambda _: lambda _self: None)
    move = Action(0.1, "Probe-1", "send", "focus", "move_motor", ("focus", 9000.0))
    motors = '[motors.focus]\ndriver = "sim.focus"'
    said = only("DevicesSafe", actions=[move], motors=motors)
    assert "said that the motor focus is stopped, and had not" in said[0]


def test_f2_a_recording_that_has_stopped_and_does_not_show_it(broken):
    def make(_):
        def silent(self, error):
            self.log("error", f"recording stopped: {error}")

        return silent

    broken(RecordingManager, "_stop", make)
    faults = [DiskFull("RecordingManager", at_s=0.2)]
    said = only("DiskStopsRecordingOnly", faults=faults, records=True)
    assert "shows that it records" in said[0]


SCRIPT = """from magscope.scripting import Script
script = Script()
script("note", "one", wait=True)
script("sleep", 0.1)
script("note", "two")
script("sleep", 0.1)
script("note", "three")
"""
PAUSE = Action(0.05, "Probe-1", "send", "ScriptManager", "pause_script")


def _skips(self, step):
    if "two" not in str(step):
        CARRY_OUT(self, step)


def _hurries(self, step):
    CARRY_OUT(self, step)
    self._resume_ns = None


def _does_not_wait(self, step):
    CARRY_OUT(self, step)
    self._awaited.clear()


CARRY_OUT = ScriptManager._carry_out


@pytest.mark.parametrize(
    ("mistake", "said"),
    [(_skips, "was next"), (_hurries, "before it was due"), (_does_not_wait, "waits")],
    ids=["a step is left out", "a sleep is left out", "an answer is not waited for"],
)
def test_c1_a_script_that_is_not_carried_out_as_it_stands(broken, mistake, said):
    broken(ScriptManager, "_carry_out", lambda _: mistake)
    steps = SCRIPT.replace('script("sleep", 0.1)\n', "", 1)
    assert said in only("StepsInOrder", script=steps)[0]


def test_c1_a_script_that_is_paused_and_goes_on(broken):
    broken(ScriptManager, "pause_script", lambda _: lambda _self: None)
    assert "is paused" in only("StepsInOrder", script=SCRIPT, actions=[PAUSE])[0]


def test_c1_a_script_that_stands_still(broken):
    broken(ScriptManager, "do_main_loop", lambda _: lambda _self: None)
    assert "had not carried out" in only("StepsInOrder", script=SCRIPT, actions=PINGS)[0]


def test_r1_a_message_of_which_a_part_has_left(broken):
    def make(break_off):
        def forgetful(self):
            self._leaving = None
            return break_off(self)

        return forgetful

    broken(Channel, "break_off", make)
    faults = [Hang("Probe-2", at_s=0.1), Crash("Probe-2", at_s=0.2)]
    flood = Action(0.15, "Probe-1", "flood", "Probe-2", "hear", (1, "x" * 400_000))
    said = only("NothingLost", faults=faults, actions=[flood, *PINGS])
    assert "had left for Probe-2 in part" in said[0]


def test_s1_a_worker_that_hangs_and_that_nobody_ends(broken):
    broken(WorkerRoll, "orphan", lambda _: lambda *_: None)
    faults = [Hang("VideoWorker-1", at_s=0.1), Crash("VideoProcessorManager", at_s=0.2)]
    assert "VideoWorker-1 still ran, of which it knew" in only("Ends", faults=faults)[0]


def test_f3_a_batch_that_is_dropped_for_coming_late(broken):
    def make(save):
        def forgetful(self, batch, recording):
            if batch.sequence != 2:
                save(self, batch, recording)

        return forgetful

    broken(RecordingManager, "save_tracks", make)
    assert "rows to save, and shows" in only("OnDisk", records=True)[0]


def test_c1_a_request_that_fails_and_is_never_answered(broken):
    broken(ManagerProcessBase, "done", lambda _: lambda *_, **__: None)
    steps = SCRIPT.partition("script(")[0] + "script('set_camera_setting', 'none', 1, wait=True)\n"
    assert "to say that" in only("StepsInOrder", script=steps, for_s=2.5)[0]


def test_c1_a_motor_that_goes_while_a_script_waits_for_it(broken):
    broken(MotorManager, "_arrive", lambda arrive: lambda self, problem="": (
        None if problem else arrive(self)
    ))  # fmt: skip
    steps = SCRIPT.partition("script(")[0] + "script('move_motor', 'focus', 4e4, wait=True)\n"
    said = only("StepsInOrder", script=steps, for_s=3.5, **gone("ask"))
    assert "to say that move_motor" in said[0]


def test_c1_a_script_that_says_too_early_that_it_has_finished(broken):
    broken(ScriptManager, "do_main_loop", lambda loop: lambda self: (
        self.log("info", "script finished"), loop(self)
    ))  # fmt: skip
    assert "had finished, with steps left" in only("StepsInOrder", script=SCRIPT)[0]


def test_c2_a_manager_that_looks_again_and_again(broken):
    broken(CameraManager, "seconds_to_next_loop", lambda _: lambda _self: 0.0)
    assert "has looked 1000 times" in only("NobodySpins")[0]


def test_p2_a_worker_that_is_buried_unheard(broken):
    broken(VideoProcessorManager, "_take_in", lambda take_in: lambda self, hand: (
        take_in(self, hand) if hand.channel.end.incoming.writers else hand.channel.break_off()
    ))  # fmt: skip
    faults = [Crash("VideoWorker-1", site="wait", hit=2)]
    assert "was buried unheard" in only("AnswersAreHeard", faults=faults)[0]


def test_p2_a_stack_that_waits_for_the_heartbeat(broken):
    broken(CameraManager, "_after_fetch", lambda after: lambda self, buffer: (
        setattr(self, "_last_stack", buffer.written // buffer.n_images), after(self, buffer)
    ))  # fmt: skip
    assert "which had nothing to do" in only("StacksInTime", for_s=2.5)[0]


def test_r1_last_words_that_nobody_takes_in(broken):
    broken(Router, "take_in", lambda take_in: lambda self, peer: (
        take_in(self, peer) if peer.channel.end.incoming.writers else peer.channel.break_off()
    ))  # fmt: skip
    faults = [Hang("MagScope", at_s=0.09, for_s=0.05), Crash("Probe-1", at_s=0.13)]
    said = only("LastWordsAreHeard", faults=faults, actions=PINGS)
    assert "of its frames still in its pipe" in said[0]


def test_s1_a_failure_that_is_not_answered(broken):
    def make(on_state):
        def deaf(self, peer, state):
            post, peer.channel.post = peer.channel.post, lambda _frame: True
            on_state(self, peer, state)
            peer.channel.post = post

        return deaf

    broken(Session, "on_state", make)
    said = only("LeavesWhenHeard", faults=[Raise("ZLutManager", at_s=0.1)], for_s=8.0)
    assert "ended 5.0 s after the router had heard" in said[0]


def test_s1_a_failure_that_a_driver_keeps_to_itself(broken):
    broken(Aside, "hurry", lambda _: lambda _self: None)
    faults = [Raise("CameraManager", at_s=0.1), CameraBlocks("CameraManager", at_s=0.1, for_s=6.0)]
    said = only("FailsAloud", faults=faults, for_s=8.0)
    assert "CameraManager had failed for " in said[0]


def test_f3_telemetry_that_goes_to_the_next_recording(broken):
    broken(RecordingManager, "_end_recording", lambda end: lambda self: (
        setattr(self, "_write_rows", lambda: None), end(self), delattr(self, "_write_rows")
    ))  # fmt: skip
    switch = Action(0.6, "Probe-1", "send", "RecordingManager", "set_acquisition_dir_on", (True,))
    move = Action(0.4, "Probe-1", "send", "focus", "move_motor", ("focus", 4e4))
    said = only("TelemetryInPlace", records=True, motors=FOCUS, actions=[move, switch], for_s=1.2)
    assert "before its recording" in said[0]


def test_f3_telemetry_that_comes_twice(broken):
    def make(append):
        def twice(self, times_ns, rows):
            append(self, times_ns, rows)
            append(self, times_ns, rows)

        return twice

    broken(TelemetryFile, "append", make)
    move = Action(0.1, "Probe-1", "send", "focus", "move_motor", ("focus", 4e4))
    said = only("TelemetryInPlace", records=True, motors=FOCUS, actions=[move], for_s=0.8)
    assert "is followed by one of" in said[0]


def test_s7_a_device_that_ends_its_manager_as_it_comes_back(broken):
    def make(_):
        def gives_up(self, error):
            raise error

        return gives_up

    broken(Link, "_put_off", make)
    said = only("AwayIsNoFailure", **gone("auto"), for_s=2.5)
    assert "failed while its device was away" in said[0]


def test_s7_a_motor_that_is_gone_and_not_closed(broken):
    broken(DeviceHolder, "close", lambda close: lambda self: (
        close(self) if self.spec.role == "camera" else None
    ))  # fmt: skip
    faults = [MotorDisconnect("focus", state="session QUITTING", for_s=None)]
    assert "left focus open" in only("DevicesSafe", faults=faults, motors=FOCUS)[0]


def test_r3_a_pipe_in_which_somebody_reads_on_behind_nonsense(broken):
    def make(end_of_next):
        def lenient(self):
            if (end := end_of_next(self)) >= 0:
                return end
            self._incoming.clear()
            return 0

        return lenient

    broken(FramedEndpoint, "_end_of_next", make)
    faults = [Corrupt("Probe-1", hit=5, part="length")]
    said = only("NonsenseEndsAPipe", faults=faults, actions=PINGS)
    assert "behind a frame whose length makes no sense" in said[0]


def test_b1_lost_frames_that_are_said_to_be_in_the_buffer(broken):
    def make(account):
        def hopeful(self, **options):
            told = account(self, **options)
            return replace(told, in_buffer=told.in_buffer + told.lost, lost=0)

        return hopeful

    broken(Ledger, "account", make)
    said = only("Conservation", faults=[Crash("VideoWorker-1", site="call.task")])
    assert "7 frames are in the buffer, where 2 were" in said[0]


def test_s7_a_device_that_is_taken_for_there_because_it_was_looked_for(broken):
    def make(look):
        def hasty(self, connect):
            is_due = self.is_down and self.due_in_s <= 0
            if not (is_found := look(self, connect)) and is_due:
                self._down_ns = None
            return is_found

        return hasty

    broken(Link, "look", make)
    said = only("AwayIsNoFailure", **gone("auto"), for_s=2.5)
    assert "and it had not come back" in said[0]


def test_s7_a_device_that_is_missing_at_the_end(broken):
    broken(Link, "conclude", lambda _: lambda _self: None)
    said = only("AwayIsNoFailure", **gone("ask"), for_s=1.5)
    assert "focus ended without its device, and did not say so" in said[0]


def test_c3_a_motor_that_was_stopped_and_is_said_to_have_arrived(broken):
    broken(MotorManager, "stop_motor", lambda _: lambda self, motor: (
        self._motor.stop(), setattr(self, "_next_ns", 0)
    ))  # fmt: skip
    steps = SCRIPT.partition("script(")[0] + "script('move_motor', 'focus', 4e4, wait=True)\n"
    stops = [Action(0.2, "Probe-1", "send", "focus", "stop_motor", ("focus",))]
    said = only("StoppedIsSaid", script=steps, actions=stops, motors=FOCUS)
    assert "focus was stopped, and ScriptManager is told that it has arrived" in said[0]


def test_b3_a_camera_that_comes_back_and_numbers_its_frames_by_their_count(broken):
    broken(HalFeed, "reopen", lambda reopen: lambda self: (
        setattr(self, "_next_number", self._buffer.written), reopen(self)
    ))  # fmt: skip
    faults = [
        CameraDrop("CameraManager", hit=3, frames=20),
        CameraDisconnect("CameraManager", at_s=0.4, for_s=0.1),
    ]
    said = only("InOrder", faults=faults, for_s=2.0, camera='reconnect = "auto"')
    assert "A number stands for one frame" in said[0]
