"""A camera that sends the truth instead of a picture, for runs in which nothing is to be drawn."""

from typing import ClassVar

import numpy as np

from hal.camera import FrameFormat
from hal.device import Identity
from sim.devices.camera import BeadCamera
from sim.optics import BeadPainter
from sim.sample import Sample
from sim.truth import CELL_PX, RECORD, write_cells

_NM_PER_PX = 100.0
_BEADS_IN_A_ROW = 16
_FIELD_PX = 80
_NOWHERE = np.empty((0, 0))


class TruthCamera(BeadCamera):
    """The beads of a `BeadCamera`; bead i has the pixels from column 16 i to 16 i + 15.

    The pixels of a cell say where its bead is; `sim.truth_tracker:read_truth` reads them. The
    physics, the timing and the annotation are those of a `BeadCamera`.

    Args:
        framerate_hz: Frames a second until the setting is changed.
        n_tethered: Beads on DNA.
        n_stuck: Beads on the surface.
        queue_frames: How many frames wait for a late caller.
        seed_offset: Added to the session's seed, for another sample in the same session.
    """

    driver: ClassVar[str] = "sim.devices.truth:TruthCamera"

    def __init__(
        self,
        *,
        framerate_hz: float = 100.0,
        n_tethered: int = 1,
        n_stuck: int = 0,
        queue_frames: int = 64,
        seed_offset: int = 0,
    ) -> None:
        n_beads = max(n_tethered + n_stuck, 1)
        super().__init__(
            width_px=_BEADS_IN_A_ROW * _FIELD_PX,
            height_px=-(-n_beads // _BEADS_IN_A_ROW) * _FIELD_PX,
            framerate_hz=framerate_hz,
            n_tethered=n_tethered,
            n_stuck=n_stuck,
            nm_per_px=_NM_PER_PX,
            queue_frames=queue_frames,
            seed_offset=seed_offset,
        )
        self._format = FrameFormat(CELL_PX * n_beads, CELL_PX, bits=8)

    @property
    def identity(self) -> Identity:
        """Who this is."""
        return Identity("magscope", "simulated camera of the truth", "", self.driver, is_real=False)

    def _draw(self, painter: BeadPainter, number: int, truth: np.ndarray, out: np.ndarray) -> None:  # noqa: ARG002
        if not len(truth):
            out[...] = 0
            return
        records = np.empty((len(truth), 4))
        records[:, :2] = truth[:, 1:3] / self.nm_per_px
        records[:, 0] -= CELL_PX * np.arange(len(truth))
        records[:, 2] = truth[:, 3]
        records[:, 3] = number
        write_cells(records, out)


class CountingCamera(TruthCamera):
    """One bead that stays where it is: the frames differ by their number alone.

    For runs in which no physics is wanted, only frames: thousands of them a wall second. It has no
    annotation.

    Args:
        framerate_hz: Frames a second until the setting is changed.
        queue_frames: How many frames wait for a late caller.
        offset_px: How far the bead lies from the middle of the image, in both directions.
    """

    driver: ClassVar[str] = "sim.devices.truth:CountingCamera"
    annotation_name = ""
    annotation_columns = ()

    def __init__(
        self, *, framerate_hz: float = 100.0, queue_frames: int = 64, offset_px: float = 0.0
    ) -> None:
        super().__init__(framerate_hz=framerate_hz, n_tethered=0, n_stuck=1)
        self.queue_frames = queue_frames
        self._xy_px = CELL_PX / 2 + offset_px

    def _truth(self, sample: Sample, number: int) -> tuple[np.ndarray, int]:  # noqa: ARG002
        end_ns = self._exposure_begins_ns(number) + self._exposure_ns
        return _NOWHERE, self._unix_ns + end_ns

    def _draw(self, painter: BeadPainter, number: int, truth: np.ndarray, out: np.ndarray) -> None:  # noqa: ARG002
        cell = out.reshape(-1).view("<f8").reshape(-1, len(RECORD))
        cell[:] = (self._xy_px, self._xy_px, 0.0, number)
