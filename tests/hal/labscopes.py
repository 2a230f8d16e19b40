"""Devices as other packages derive them from python-microscope's classes: well-behaved, and not."""

import queue
import threading
import time

import microscope
import microscope.abc
import numpy as np
from microscope._utils import OnlyTriggersOnceOnSoftwareMixin


class LabCamera(OnlyTriggersOnceOnSoftwareMixin, microscope.abc.Camera):
    """A camera that gives a frame for each trigger, after the exposure, or what `next` holds."""

    shape, dtype = (6, 8), np.uint8

    def __init__(self, **keywords):
        super().__init__(**keywords)
        self.triggered, self.next, self.shutdowns = queue.Queue(), [], 0
        self.exposure_s, self.sent, self.region = 0.001, 0, microscope.ROI(0, 0, 8, 6)
        self.bins = microscope.Binning(1, 1)

    def _fetch_data(self):
        try:
            self.triggered.get(timeout=0.005)
        except queue.Empty:
            return None
        time.sleep(self.exposure_s)
        if self.next:
            said = self.next.pop(0)
            if isinstance(said, BaseException):
                raise said
            return said
        self.sent += 1
        return np.full(self.shape, self.sent % 256, self.dtype)

    def _do_trigger(self):
        self.triggered.put(None)

    def _do_enable(self):
        return True

    def abort(self):
        self._acquiring = False

    def _do_shutdown(self):
        self.shutdowns += 1

    def set_exposure_time(self, value):
        self.exposure_s = value

    def get_exposure_time(self):
        return self.exposure_s

    def _get_sensor_shape(self):
        return (8, 6)

    def _get_binning(self):
        return self.bins

    def _set_binning(self, binning):
        self.bins = binning

    def _get_roi(self):
        return self.region

    def _set_roi(self, roi):
        self.region = roi


class RotatedCamera(LabCamera):
    """One whose frames are 2 px high."""

    shape = (2, 8)


class FloatCamera(LabCamera):
    dtype = np.float64


class SwappedCamera(LabCamera):
    """Its pixels have their bytes the other way round, and their rows lie backwards."""

    def _fetch_data(self):
        frame = super()._fetch_data()
        return None if frame is None else np.arange(48, dtype=">u2").reshape(6, 8)[::-1]


class ProcessingFails(LabCamera):
    """What is done to frames fails, in the library's second thread, from the second one on."""

    processed = 0

    def _process_data(self, data):
        self.processed += 1
        if self.processed > 1:
            raise RuntimeError("no memory for the transform")
        return super()._process_data(data)


class SlowThread(LabCamera):
    """The library's thread takes its time to begin."""

    def _fetch_loop(self):
        time.sleep(0.05)
        super()._fetch_loop()


class Hangs(LabCamera):
    """A call of the maker's library does not return, once it is told so."""

    def __init__(self, **keywords):
        super().__init__(**keywords)
        self.hangs, self.goes_on = threading.Event(), threading.Event()
        self.has_hung = threading.Event()

    def _fetch_data(self):
        if self.hangs.is_set():
            self.has_hung.set()
            self.goes_on.wait(60)
            return None
        return super()._fetch_data()


class FailsToStart(LabCamera):
    def __init__(self, *, answer=False, **keywords):
        super().__init__(**keywords)
        self.answer = answer

    def _do_enable(self):
        if self.answer == "raise":
            raise microscope.DeviceError("the shutter is stuck")
        return self.answer


class External(LabCamera):
    """A camera that also takes triggers by wire."""

    has_software = True

    def __init__(self, **keywords):
        super().__init__(**keywords)
        self.now = (microscope.TriggerType.RISING_EDGE, microscope.TriggerMode.ONCE)

    trigger_type = property(lambda self: self.now[0])
    trigger_mode = property(lambda self: self.now[1])

    def set_trigger(self, ttype, tmode):
        if ttype is microscope.TriggerType.SOFTWARE and not self.has_software:
            raise microscope.UnsupportedFeatureError("by wire alone")
        self.now = (ttype, tmode)


class ByWireAlone(External):
    has_software = False


class Mute(LabCamera):
    """A camera that does not tell its exposure."""

    get_exposure_time = microscope.abc.Camera.get_exposure_time


class Settings(LabCamera):
    """A camera with settings of every kind, some of which lie."""

    def __init__(self, **keywords):
        super().__init__(**keywords)
        self.values = {"gain": 0, "offset": 1.5, "fan": True, "mode": 8, "note": "ab"}
        self.written = []
        self._add("gain", "int", (1, 100))
        self._add("offset", "float", (-float("inf"), 10.0))
        self._add("fan", "bool", None)
        self._add("mode", "enum", {0: "slow", 8: "fast", 9: "fast"})
        self._add("note", "str", 4)
        self.values["clipped"], self.values["ignored"] = 5, 5
        self.add_setting(
            "clipped", "int", lambda: self.values["clipped"],
            lambda v: self.values.update(clipped=min(v, 50)), (0, 100),
        )  # fmt: skip
        self.add_setting("ignored", "int", lambda: 5, lambda v: None, (0, 100))
        self.add_setting("refused", "int", lambda: 5, self._refuse, (0, 100))
        self.add_setting("size", "tuple", lambda: (1, 2), None, None)
        self.add_setting("word", "enum", lambda: "on", None, ["off", "on"])
        self.add_setting("key", "int", None, self.written.append, (0, 9))
        self.add_setting("broken", "float", lambda: 1 / 0, None, (0.0, 1.0))
        self.add_setting(
            "depth", "int", lambda: 8 * self.dtype().itemsize, self._set_depth, (8, 16)
        )

    def _add(self, name, kind, allowed):
        self.add_setting(
            name, kind, lambda: self.values[name],
            lambda value: self.values.update({name: value}), allowed,
        )  # fmt: skip

    def _refuse(self, value):
        if value != 5:
            raise ValueError("not today")

    def _set_depth(self, value):
        self.dtype = {8: np.uint8, 16: np.uint16}[value]


class LabAxis(microscope.abc.StageAxis):
    """An axis whose movements take a moment each; `hold` keeps it from arriving."""

    def __init__(self, lower=0.0, upper=1000.0):
        self.at, self.ends, self.moves = 500.0, microscope.AxisLimits(lower, upper), []
        self.may_arrive = threading.Event()
        self.may_arrive.set()
        self.has_begun = threading.Event()
        self.refuses, self.asked = None, 0

    @property
    def position(self):
        self.asked += 1
        return self.at

    limits = property(lambda self: self.ends)

    def move_to(self, pos):
        if self.refuses:
            raise self.refuses
        self.moves.append(pos)
        self.has_begun.set()
        self.may_arrive.wait(60)
        self.at = pos

    def move_by(self, delta):
        self.move_to(self.at + delta)


class WholeSteps(LabAxis):
    """It counts in whole steps, and cuts off what is between."""

    def move_to(self, pos):
        super().move_to(int(pos))


class Stuck(LabAxis):
    def move_to(self, pos):
        self.moves.append(pos)


class Unhurried(LabAxis):
    """It returns from a movement at once, and gets nearer each time that it is looked at."""

    goal = 500.0

    @property
    def position(self):
        self.at += min(max(self.goal - self.at, -1.0), 1.0)
        return self.at

    def move_to(self, pos):
        self.moves.append(pos)
        self.goal = pos
        self.has_begun.set()


class LabStage(microscope.abc.Stage):
    """A stage of several axes."""

    def __init__(self, *, homes=False, enable="yes", **keywords):
        super().__init__(**keywords)
        self.homes, self.answer, self.enables = homes, enable, 0
        self.known = {"x": LabAxis(), "z": LabAxis(-float("inf"), float("inf"))}

    axes = property(lambda self: self.known)

    def may_move_on_enable(self):
        return self.homes

    def _do_enable(self):
        self.enables += 1
        if self.answer == "raise":
            raise microscope.DeviceError("the emergency stop is pressed")
        return {"yes": True, "no": False, "silent": None}[self.answer]

    def _do_shutdown(self):
        pass

    def move_by(self, delta):
        raise NotImplementedError

    def move_to(self, position):
        raise NotImplementedError


class LabController(microscope.abc.Controller):
    def __init__(self, **keywords):
        super().__init__(**keywords)
        self.known = {"stage": LabStage(), "camera": LabCamera()}

    devices = property(lambda self: self.known)


class NeedsPort(LabCamera):
    """Fails half-way through its constructor, with a handle in hand."""

    closed = 0

    def __init__(self, port, **keywords):
        if port == "early":
            raise microscope.InitialiseError("no licence")
        super().__init__(**keywords)
        raise OSError(f"nothing at {port}")

    def _do_shutdown(self):
        type(self).closed += 1
