"""Cameras that are broken in one way each; `caught_by` is the check that must say so."""

import time
from dataclasses import replace
from typing import ClassVar

import numpy as np
from right_devices import (
    BINNING,
    FRAMERATE,
    GAIN,
    IS_FAST,
    OFFSET,
    TEMPERATURE,
    TRIGGER,
    RightCamera,
)

from hal import FrameFormat, FrameInfo, Identity, Setting
from hal.errors import SettingError

S = 10**9


class ClosesOnceOnly(RightCamera):
    caught_by = "opens-and-closes"

    def close(self):
        if not self.is_open:
            raise RuntimeError("close of a closed handle")
        super().close()


class StaysOpen(RightCamera):
    caught_by = "opens-and-closes"

    def close(self):
        self.stop()


class HasNoModel(RightCamera):
    caught_by = "says-who-it-is"
    identity = Identity("nobody", "", "", "broken", False)


class ChangesItsSerial(RightCamera):
    caught_by = "says-who-it-is"
    opened = 0

    def open(self):
        self.opened += not self.is_open
        super().open()

    @property
    def identity(self):
        return Identity("nobody", "camera", str(self.opened), "broken", False)


class ReadsGainAsText(RightCamera):
    caught_by = "describes-its-settings"

    def get(self, name):
        value = super().get(name)
        return str(value) if name == GAIN.name else value


class IsOutsideItsOwnLimits(RightCamera):
    caught_by = "describes-its-settings"
    known: ClassVar = {**RightCamera.known, GAIN: 99.0}


class SaysWhatItWasAsked(RightCamera):
    """Takes whole decibels, and returns what was asked instead of what it took."""

    caught_by = "takes-other-values"
    known: ClassVar = {Setting("gain_db", float, "dB", 0.5, 24.0): 1.0}

    def set(self, name, value):
        asked = self.setting(name).check(value)
        self.values[name] = float(int(asked))
        return asked


class IgnoresGain(RightCamera):
    caught_by = "takes-other-values"

    def set(self, name, value):
        return self.get(name) if name == GAIN.name else super().set(name, value)


class IgnoresItsSwitch(RightCamera):
    caught_by = "takes-other-values"

    def set(self, name, value):
        return self.get(name) if name == IS_FAST.name else super().set(name, value)


class IgnoresWords(RightCamera):
    caught_by = "takes-other-values"

    def set(self, name, value):
        self.setting(name).check(value)
        return self.get(name) if name == TRIGGER.name else super().set(name, value)


class ClipsSettings(RightCamera):
    caught_by = "refuses-what-is-outside"

    def set(self, name, value):
        if name == GAIN.name:
            value = min(max(float(value), GAIN.lower), GAIN.upper)
        return super().set(name, value)


class TakesWhatIsOutside(RightCamera):
    caught_by = "refuses-what-is-outside"

    def set(self, name, value):
        if name == OFFSET.name and value != "none":
            self.values[name] = value
            return value
        return super().set(name, value)


class TakesAnyBinning(RightCamera):
    caught_by = "refuses-what-is-outside"

    def set(self, name, value):
        if name == BINNING.name:
            self.values[name] = int(value)
            return self.values[name]
        return super().set(name, value)


class TakesNaN(RightCamera):
    caught_by = "refuses-what-is-outside"

    def set(self, name, value):
        if name == GAIN.name and value != value:
            return value
        return super().set(name, value)


class RaisesValueError(RightCamera):
    caught_by = "refuses-what-is-outside"

    def set(self, name, value):
        try:
            return super().set(name, value)
        except SettingError as error:
            raise ValueError(str(error)) from None


class ChangesBeforeItRefuses(RightCamera):
    caught_by = "refuses-what-is-outside"

    def set(self, name, value):
        if name == GAIN.name and isinstance(value, float):
            self.values[name] = min(value, 24.0)
        return super().set(name, value)


class WritesWhatIsReadOnly(RightCamera):
    caught_by = "refuses-to-write-what-is-read-only"

    def set(self, name, value):
        return value if name == TEMPERATURE.name else super().set(name, value)


class KnowsEverySetting(RightCamera):
    caught_by = "refuses-unknown-settings"

    def get(self, name):
        return self.values.get(name, 0)


class DeclaresTooManyBits(RightCamera):
    caught_by = "declares-its-frames"
    frame_format = FrameFormat(12, 10, 32)


class GrowsWhenStarted(RightCamera):
    caught_by = "declares-its-frames"

    def start(self):
        super().start()
        self.frame_format = FrameFormat(24, 10, 16)


class WritesBytes(RightCamera):
    """Sends 8 bits a pixel where it declares 16."""

    caught_by = "fills-the-frame"

    def fetch_into(self, out):
        small = np.zeros(out.shape, out.dtype)
        if info := super().fetch_into(small):
            out.view(np.uint8).reshape(-1)[: out.size] = small.reshape(-1) % 256
        return info


class LeavesOutItsLastRow(RightCamera):
    caught_by = "fills-the-frame"

    def fetch_into(self, out):
        return super().fetch_into(out[:-1])


class WritesARowTooMany(RightCamera):
    caught_by = "fills-the-frame"

    def fetch_into(self, out):
        info = super().fetch_into(out)
        if info is not None and out.base is not None and out.base.shape != out.shape:
            out.base[-1] = 7
        return info


class Altered(RightCamera):
    """Changes what comes with each frame."""

    def fetch_into(self, out):
        info = super().fetch_into(out)
        return None if info is None else self.altered(info)


class BeginsAtOne(Altered):
    caught_by = "frames-come-in-order"

    def altered(self, info):
        return replace(info, frame_number=info.frame_number + 1)


class RepeatsNumbers(Altered):
    caught_by = "frames-come-in-order"

    def altered(self, info):
        return replace(info, frame_number=info.frame_number // 2)


class TimeGoesBack(Altered):
    caught_by = "frames-come-in-order"

    def altered(self, info):
        return replace(info, timestamp_ns=info.timestamp_ns - S * (info.frame_number == 3))


class TimeIsMonotonic(Altered):
    """Stamps frames with the time since the machine was started."""

    caught_by = "frames-come-in-order"

    def altered(self, info):
        return replace(info, timestamp_ns=info.timestamp_ns - 1_700_000_000 * S + 1)


class StampsSeconds(Altered):
    caught_by = "frames-come-in-order"

    def altered(self, info):
        return replace(info, timestamp_ns=info.timestamp_ns / S)


class HidesLosses(Altered):
    caught_by = "losses-show-as-gaps"
    count = 0

    def start(self):
        super().start()
        self.count = 0

    def altered(self, info):
        self.count += 1
        return replace(info, frame_number=self.count - 1)


class ScribblesWhenThereIsNothing(RightCamera):
    caught_by = "leaves-the-array-alone"

    def fetch_into(self, out):
        info = super().fetch_into(out)
        if info is None:
            out[0, 0] = 0
        return info


class WritesLater(RightCamera):
    """Keeps the array of the last frame, and writes the next one there too."""

    caught_by = "leaves-the-array-alone"
    kept = None

    def fetch_into(self, out):
        info = super().fetch_into(out)
        if info is not None:
            if self.kept is not None:
                self.kept[:] = out
            self.kept = out
        return info


class WaitsForItsFrame(RightCamera):
    caught_by = "fetch-never-waits"

    def fetch_into(self, out):
        while (info := super().fetch_into(out)) is None and self.is_running:
            self.context.clock.sleep_s(0.001)
        return info


class WaitsOnTheMachine(RightCamera):
    """As a vendor's library does that has a time-out of its own."""

    caught_by = "fetch-never-waits"

    def fetch_into(self, out):
        info = super().fetch_into(out)
        if info is None:
            time.sleep(0.03)
        return info


class WaitsInItsOwnTime(RightCamera):
    caught_by = "fetch-never-waits"
    has_own_time = True

    def fetch_into(self, out):
        while (info := super().fetch_into(out)) is None and self.is_running:
            self.context.clock.sleep_s(0.001)
        return info


class WaitsLongInItsOwnTime(WaitsInItsOwnTime):
    """Has a queue that does not fill while one looks."""

    caught_by = "fetch-never-waits"
    queue_frames = 10_000
    known: ClassVar = {**RightCamera.known, FRAMERATE: 10.0}


class IsNeverReady(RightCamera):
    caught_by = "says-when-to-ask-again"

    def ready_in_s(self):
        return -1.0


class StopTakesLong(RightCamera):
    caught_by = "stops-promptly"

    def stop(self):
        if self.is_running:
            self.context.clock.sleep_s(5.0)
        super().stop()


class GoesOnAfterStop(RightCamera):
    caught_by = "stops-promptly"

    def stop(self):
        pass


class KeepsOneFrameAtStop(RightCamera):
    """Gives the frame that was under way although it was stopped."""

    caught_by = "stops-promptly"

    def stop(self):
        self.stopped_at = self.next_number

    def fetch_into(self, out):
        if self.next_number > getattr(self, "stopped_at", 10**9):
            return None
        return super().fetch_into(out)

    def start(self):
        super().start()
        self.stopped_at = 10**9


class CountsOn(RightCamera):
    caught_by = "begins-anew-at-each-start"

    def start(self):
        first = self.next_number
        super().start()
        self.next_number = first
        self.start_ns -= first * self.period_ns


class RestartsWhenOpenedAgain(RightCamera):
    caught_by = "goes-on-when-opened-again"

    def open(self):
        super().open()
        self.next_number = 0
        self.start_ns = self.context.clock.now_ns()


class WorksWhenClosed(RightCamera):
    caught_by = "refuses-use-when-closed"

    def need_open(self):
        pass


class FailsWithAttributeError(RightCamera):
    caught_by = "refuses-use-when-closed"

    def need_open(self):
        if not self.is_open:
            raise AttributeError("'NoneType' object has no attribute 'grab'")


class GoesOnWhenReopened(RightCamera):
    caught_by = "refuses-use-when-closed"

    def close(self):
        self.is_open = False


class AnnotatesTooLittle(Altered):
    caught_by = "annotates-as-declared"
    annotation_name, annotation_columns = "truth", ("x_nm", "y_nm")

    def altered(self, info):
        return FrameInfo(info.frame_number, info.timestamp_ns, np.zeros((3, 1)))


class StopsTakingFramesWhenAdjusted(RightCamera):
    """What only a certain order of calls brings to light."""

    caught_by = "does-so-in-any-order"

    def set(self, name, value):
        if self.is_running and name == GAIN.name and value != self.values[name]:
            self.start_ns += 3600 * S
        return super().set(name, value)


class DoesNotBeginAnewAfterAStopWithoutFrames(RightCamera):
    caught_by = "does-so-in-any-order"

    def start(self):
        was_fetched = self.next_number > 0
        super().start()
        if not was_fetched and getattr(self, "started", False):
            self.next_number = 1
        self.started = True
