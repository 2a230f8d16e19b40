"""The simulated camera: frames of tethered and stuck beads, with the truth beside each."""

from typing import ClassVar, NoReturn

import numpy as np

from hal.camera import Camera, FrameFormat, FrameInfo
from hal.clock import NS_PER_S
from hal.device import Identity, Setting, SettingValue
from hal.errors import DisconnectedError, OptionError, SettingError
from hal.support import Support
from sim import bench
from sim.optics import BeadPainter, load_profile_table
from sim.randomness import bit_stream, fill_with_noise
from sim.sample import Bead, Field, Sample, strewn_beads

_NOISE = 3
_ROI_NM = 6400.0
_ROOM_NM = 800.0


class BeadCamera(Camera):
    """A camera over beads whose rings change with their height; magnets and focus move them.

    Frame k is exposed from `start + k period` on, to the nanosecond of the context's monotonic
    clock. It shows what the seed, k, the exposure and the motions of the motors make of it, however
    late it is fetched. Later than `queue_frames` frames it is lost, and its number is left out.

    The annotation `truth` has one row a bead, in the order of `beads`. As the frame shows it, that
    is as the mean over the exposure: `x_nm` and `y_nm` from the centre of pixel (0, 0) along the
    columns and rows, so a tracker's pixel coordinate times `nm_per_px`; `z_nm` the height of the
    bead above where it touches the surface, less the position of the focus; the force on it; and
    the position of the focus. Heights are true ones: no mismatch of refractive indices (a factor of
    1.0). The heights of stuck beads are 0 but for the drift.

    Args:
        width_px: Columns.
        height_px: Rows.
        framerate_hz: Frames a second until the setting is changed.
        exposure_us: Exposure until the setting is changed; half the period, and at most 5 ms, if
            None.
        n_tethered: Beads on DNA.
        n_stuck: Beads on the surface.
        nm_per_px: Size of a pixel at the sample.
        contour_length_nm: Of the DNA; 8 kb by default.
        background_dn: Mean grey level without beads.
        queue_frames: How many frames wait for a late caller.
        seed_offset: Added to the session's seed, for another sample in the same session.

    Raises:
        OptionError: An option is out of range, or the beads do not fit into the frame.
    """

    shared_memory = bench.SHARED_MEMORY
    has_own_time = False
    driver: ClassVar[str] = "sim.bead-camera"
    support = Support("tethered and stuck beads, with the truth beside each frame", "no device")
    annotation_name = "truth"
    annotation_columns: tuple[str, ...] = (
        "bead_id",
        "x_nm",
        "y_nm",
        "z_nm",
        "force_pn",
        "focus_nm",
    )

    def __init__(
        self,
        *,
        width_px: int = 1280,
        height_px: int = 560,
        framerate_hz: float = 100.0,
        exposure_us: float | None = None,
        n_tethered: int = 8,
        n_stuck: int = 2,
        nm_per_px: float = 100.0,
        contour_length_nm: float = 2720.0,
        background_dn: int = 72,
        queue_frames: int = 64,
        seed_offset: int = 0,
    ) -> None:
        _check_option("width_px", width_px, 16, 16384)
        _check_option("height_px", height_px, 16, 16384)
        _check_option("n_tethered", n_tethered, 0, 10000)
        _check_option("n_stuck", n_stuck, 0, 10000)
        _check_option("nm_per_px", nm_per_px, 20.0, 1000.0)
        _check_option("contour_length_nm", contour_length_nm, 100.0, 20000.0)
        _check_option("background_dn", background_dn, 8, 240)
        _check_option("queue_frames", queue_frames, 1, 1_000_000)
        self.nm_per_px = float(nm_per_px)
        self._format = FrameFormat(width_px, height_px, bits=8)
        self._n_tethered, self._n_stuck = n_tethered, n_stuck
        self._contour_length_nm = float(contour_length_nm)
        self._background_dn = background_dn
        self.queue_frames = queue_frames
        self._seed_offset = seed_offset
        self._field = Field(width_px, height_px, self.nm_per_px, self._spacing_px())
        self._period_ns, self._exposure_ns = NS_PER_S, 10_000
        self._set_framerate(_RATE.check(framerate_hz))
        half_us = min(self._period_ns / 2000.0, 5000.0)
        wanted_us = half_us if exposure_us is None else exposure_us
        self._exposure_ns = round(float(self._exposure_setting().check(wanted_us)) * 1000.0)
        try:
            strewn_beads(0, self._field, n_tethered, n_stuck)
        except ValueError as error:
            raise OptionError(str(error)) from None
        self._beads: tuple[Bead, ...] = ()
        self._axes: dict[str, bench.AxisRecord] = {}
        self._painter: BeadPainter | None = None
        self._sample: Sample | None = None

    @property
    def identity(self) -> Identity:
        """Who this is."""
        return Identity("magscope", "simulated bead camera", "", self.driver, is_real=False)

    @property
    def is_open(self) -> bool:
        """Whether the camera is connected."""
        return self._painter is not None

    @property
    def beads(self) -> tuple[Bead, ...]:
        """The beads under the open camera, by row and column: row i of the truth is bead i."""
        return self._beads

    @property
    def frame_format(self) -> FrameFormat:
        """The shape of the frames, 8 bits deep."""
        return self._format

    def open(self) -> None:
        """Connect to the bench and strew the beads."""
        if self.is_open:
            return
        memory = self.context.shared("bench")
        self._axes = {name: bench.AxisRecord(memory, name) for name in bench.DEFAULT_POSITIONS}
        self._beads = strewn_beads(self._seed, self._field, self._n_tethered, self._n_stuck)
        self._painter = BeadPainter(load_profile_table(), self.nm_per_px, self._background_dn)

    def close(self) -> None:
        """Take no more frames and let go of the bench."""
        self.stop()
        for axis in self._axes.values():
            axis.release()
        self._axes = {}
        self._painter = None

    @property
    def settings(self) -> tuple[Setting, ...]:
        """Frame rate and exposure; the exposure fits into the period of the frames."""
        return (_RATE, self._exposure_setting())

    def get(self, name: str) -> SettingValue:
        """Return a setting."""
        self.setting(name)
        return NS_PER_S / self._period_ns if name == _RATE.name else self._exposure_ns / 1000.0

    def set(self, name: str, value: SettingValue) -> SettingValue:
        """Change a setting.

        A frame rate whose period is shorter than the exposure shortens the exposure. While frames
        are taken the next one begins at once, and those that wait are lost.
        """
        checked = self.setting(name).check(value)
        if self._sample is not None:
            self._first, self._first_ns = self._due(), self._now_ns()
            self._stepped = self._first
        if name == _RATE.name:
            self._set_framerate(checked)
        else:
            self._exposure_ns = round(float(checked) * 1000.0)
        return self.get(name)

    def start(self) -> None:
        """Take frames from now on, of a sample that begins anew."""
        if not self.is_open:
            self._refuse()
        self._sample = Sample(self._beads, self._contour_length_nm, self._seed)
        self._first_ns = self._start_ns = self._exposed_ns = self._now_ns()
        self._unix_ns = self.context.clock.now_ns() - self._start_ns
        self._first = self._next = self._stepped = 0

    def stop(self) -> None:
        """Take no more frames."""
        self._sample = None

    def ready_in_s(self) -> float:
        """Return in how many seconds the exposure of the next frame ends."""
        if self._sample is None:
            return 0.001
        number = max(self._next, self._first)
        end_ns = self._exposure_begins_ns(number) + self._exposure_ns
        return max(end_ns - self._now_ns(), 0) / NS_PER_S

    def fetch_into(self, out: np.ndarray) -> FrameInfo | None:
        """Draw the oldest waiting frame into `out`."""
        if self._painter is None:
            self._refuse()
        if self._sample is None:
            return None
        due = self._due()
        number = max(self._next, self._first, due - self.queue_frames)
        if number >= due:
            return None
        self._check_frame(out)
        truth, timestamp_ns = self._truth(self._sample, number)
        self._next = number + 1
        self._draw(self._painter, number, truth, out)
        return FrameInfo(number, timestamp_ns, truth)

    def _draw(self, painter: BeadPainter, number: int, truth: np.ndarray, out: np.ndarray) -> None:
        noise = out.reshape(-1)
        fill_with_noise(bit_stream(self._seed, _NOISE, number), noise)
        np.add(noise, np.uint8(painter.base_dn), out=noise)
        painter.paint(out, truth[:, 1:4])

    def _truth(self, sample: Sample, number: int) -> tuple[np.ndarray, int]:
        """Step the sample to this frame; return its truth and its timestamp."""
        focus = self._axes[bench.FOCUS]
        height, turns = self._axes[bench.MAGNET_HEIGHT], self._axes[bench.MAGNET_ROTATION]
        for each in range(self._stepped, number + 1):
            begin_ns = self._exposure_begins_ns(each)
            end_ns = begin_ns + self._exposure_ns
            middle_ns = (begin_ns + end_ns) // 2
            magnet_height_nm = height.position_at(middle_ns)
            positions = sample.step(
                magnet_height_nm,
                turns.position_at(middle_ns),
                max(begin_ns - self._exposed_ns, 0) / NS_PER_S,
                self._exposure_ns / NS_PER_S,
                (begin_ns - self._start_ns) / NS_PER_S,
            )
            self._exposed_ns = end_ns
        self._stepped = number + 1
        truth = np.empty((len(self._beads), len(self.annotation_columns)))
        truth[:, 0] = np.arange(len(self._beads))
        truth[:, 1:4] = positions.T
        truth[:, 4] = sample.forces_pn(magnet_height_nm)
        truth[:, 5] = focus.mean_position(begin_ns, end_ns)
        truth[:, 3] -= truth[:, 5]
        return truth, self._unix_ns + end_ns

    @property
    def _seed(self) -> int:
        return self.context.seed + self._seed_offset

    def _exposure_begins_ns(self, number: int) -> int:
        return self._first_ns + (number - self._first) * self._period_ns

    def _due(self) -> int:
        """Return the number of the first frame whose exposure has not ended."""
        passed_ns = self._now_ns() - self._first_ns - self._exposure_ns
        return self._first + max(passed_ns // self._period_ns + 1, 0)

    def _now_ns(self) -> int:
        return self.context.clock.monotonic_ns()

    def _set_framerate(self, framerate_hz: SettingValue) -> None:
        self._period_ns = round(NS_PER_S / float(framerate_hz))
        self._exposure_ns = min(self._exposure_ns, self._period_ns)

    def _exposure_setting(self) -> Setting:
        return Setting("exposure_us", float, "us", 10.0, self._period_ns / 1000.0)

    def _spacing_px(self) -> int:
        return int((_ROI_NM + 2.0 * _ROOM_NM) / self.nm_per_px)

    def _check_frame(self, out: np.ndarray) -> None:
        expected = self._format
        if out.shape != expected.shape or out.dtype != expected.dtype:
            raise SettingError(
                f"frame to fill is {out.shape} {out.dtype}: expected {expected.shape} uint8"
            )
        if not out.flags.c_contiguous:
            raise SettingError("frame to fill is a view with gaps: expected a C-contiguous array")

    def _refuse(self) -> NoReturn:
        raise DisconnectedError("the simulated bead camera is not open: open it before using it")


_RATE = Setting("framerate_hz", float, "Hz", 1.0, 5000.0)


def _check_option(name: str, value: float, lower: float, upper: float) -> None:
    if not lower <= value <= upper:
        raise OptionError(f"{name} = {value!r}: must lie between {lower:g} and {upper:g}")
