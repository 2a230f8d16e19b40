"""The sample: beads, tethered and stuck, that the magnets pull and that water shakes."""

from dataclasses import dataclass

import numpy as np

from sim import physics, twist
from sim.brownian import FrameLaw, frame_law
from sim.randomness import bit_stream, normals, uniforms

_PLACES, _MOTION = 1, 2
_FORCE_SPREAD = 0.1
_LARGEST_SPREAD = 0.3
_NICKED_EVERY = 4
_FRAMES_AT_ONCE = 32
_DRIFT_NM_PER_S = (0.3, 0.2, 1.0)
_FIRST_DRIFT_NM = (30.0, 20.0, 120.0)
_SETTLING_S = 60.0


@dataclass(frozen=True)
class Bead:
    """One bead of the sample.

    Attributes:
        x_nm: Where it is anchored, from the centre of the first pixel along the columns.
        y_nm: The same along the rows.
        is_tethered: Held by DNA; otherwise stuck to the surface.
        is_nicked: The tether turns freely and so has no hat curve.
        force_factor: Its force relative to the mean bead's.
    """

    x_nm: float
    y_nm: float
    is_tethered: bool
    is_nicked: bool
    force_factor: float


@dataclass(frozen=True)
class Field:
    """The surface that beads are strewn on.

    Attributes:
        width_px: Columns.
        height_px: Rows.
        nm_per_px: Size of a pixel.
        spacing_px: Least distance of two beads, and twice the least distance from an edge.
    """

    width_px: int
    height_px: int
    nm_per_px: float
    spacing_px: int


def strewn_beads(seed: int, field: Field, n_tethered: int, n_stuck: int) -> tuple[Bead, ...]:
    """Return beads at random places, by row and column; every fourth tether is nicked.

    The field is divided into square cells as large as leave half as many again as there are beads,
    and each bead lies in a cell of its own, at random as far as the spacing allows.

    Raises:
        ValueError: So many beads do not fit.
    """
    n = n_tethered + n_stuck
    if not n:
        return ()
    cell = _cell_px(field, n)
    columns, rows = field.width_px // cell, field.height_px // cell
    stream = bit_stream(seed, _PLACES)
    chosen = np.argsort(uniforms(stream, columns * rows), kind="stable")[:n]
    jitter = (uniforms(stream, 2 * n).reshape(n, 2) - 0.5) * (cell - field.spacing_px)
    grid = np.stack([chosen % columns, chosen // columns], axis=1)
    margin = np.array([field.width_px - columns * cell, field.height_px - rows * cell]) / 2.0
    places = ((grid + 0.5) * cell + margin - 0.5 + jitter) * field.nm_per_px
    spread = np.clip(_FORCE_SPREAD * normals(stream, n), -_LARGEST_SPREAD, _LARGEST_SPREAD)
    beads = [
        Bead(x, y, i < n_tethered, i < n_tethered and i % _NICKED_EVERY == 3, 1.0 + factor)
        for i, ((x, y), factor) in enumerate(zip(places.tolist(), spread.tolist(), strict=True))
    ]
    return tuple(sorted(beads, key=lambda bead: (bead.y_nm, bead.x_nm)))


def _cell_px(field: Field, n: int) -> int:
    for wanted in (n + (n + 1) // 2, n):
        for cell in range(min(field.width_px, field.height_px), field.spacing_px - 1, -1):
            if (field.width_px // cell) * (field.height_px // cell) >= wanted:
                return cell
    raise ValueError(
        f"{n} beads do not fit into {field.width_px} x {field.height_px} px at "
        f"{field.spacing_px} px from each other: ask for fewer beads or a larger frame"
    )


class Sample:
    """The motion of all beads, stepped frame by frame.

    What frame k shows depends on the seed, on the timing of the frames and on where the magnets
    were: not on when, or whether, anybody looks. So it must be stepped for every frame.

    Args:
        beads: The beads.
        contour_length_nm: Of every tether.
        seed: What the motion follows from.
        kind: What the beads are.
    """

    def __init__(
        self,
        beads: tuple[Bead, ...],
        contour_length_nm: float,
        seed: int,
        kind: physics.BeadKind = physics.MYONE,
    ) -> None:
        self._kind = kind
        self._anchors = np.array([(b.x_nm, b.y_nm, 0.0) for b in beads]).reshape(-1, 3).T
        self._factors = np.array([b.force_factor for b in beads])
        self._forces_pn, self._forces_at_nm = self._factors, float("nan")
        self._tethered = np.flatnonzero([b.is_tethered for b in beads])
        self._nicked = np.array([b.is_nicked for b in beads])[self._tethered]
        self._contour_nm = np.full(len(self._tethered), contour_length_nm)
        self._stream = bit_stream(seed, _MOTION)
        self._drawn = np.empty((0, 2, 3, len(self._tethered)))
        self._next = 0
        self._conditions: tuple[float, ...] = ()
        self._state = np.zeros((3, len(self._tethered)))
        self._rest = np.zeros((3, len(self._tethered)))
        self._law: FrameLaw | None = None

    def forces_pn(self, magnet_height_nm: float) -> np.ndarray:
        """Return the force on each bead, `(n,)`."""
        if magnet_height_nm != self._forces_at_nm:
            mean = float(physics.magnetic_force_pn(magnet_height_nm, self._kind))
            self._forces_pn, self._forces_at_nm = self._factors * mean, magnet_height_nm
        return self._forces_pn.copy()

    def step(
        self,
        magnet_height_nm: float,
        magnet_turns: float,
        gap_s: float,
        exposure_s: float,
        elapsed_s: float,
    ) -> np.ndarray:
        """Go on by one frame and return where the beads are on it, `(3, n)`: x, y, height in nm.

        Args:
            magnet_height_nm: Distance of the magnets during the exposure.
            magnet_turns: Their rotation.
            gap_s: From the end of the last exposure to the beginning of this one.
            exposure_s: Length of the exposure, over which the positions are means.
            elapsed_s: Since the first frame, for the drift.
        """
        conditions = (magnet_height_nm, magnet_turns, gap_s, exposure_s)
        if conditions != self._conditions:
            self._change(*conditions)
            self._conditions = conditions
        assert self._law is not None
        mean, end = self._law.step(self._state - self._rest, self._normals())
        self._state = end + self._rest
        shown = mean + self._rest
        for heights in (self._state[2], shown[2]):
            np.maximum(heights, 0.0, out=heights)
        positions = self._anchors + _drift_nm(elapsed_s)[:, None]
        positions[:, self._tethered] += shown
        return positions

    def _change(
        self, magnet_height_nm: float, magnet_turns: float, gap_s: float, exposure_s: float
    ) -> None:
        force = self.forces_pn(magnet_height_nm)[self._tethered]
        contour, radius = self._contour_nm, self._kind.radius_nm
        turned = np.where(self._nicked, 1.0, twist.extended_fraction(magnet_turns, force, contour))
        extension = physics.tether_extension_nm(force, contour) * turned
        held = np.maximum(extension, physics.SMALLEST_GAP_NM)
        stiffness = np.stack(
            [
                force / held,
                force / (held + radius),
                physics.axial_stiffness_pn_per_nm(force, contour),
            ]
        )
        along = physics.lateral_drag_pn_s_per_nm(held, radius)
        drag = np.stack([along, along, physics.axial_drag_pn_s_per_nm(held, radius)])
        self._rest = np.stack([np.zeros_like(extension), np.zeros_like(extension), extension])
        if self._law is None:
            thermal = np.sqrt(physics.THERMAL_ENERGY_PN_NM / stiffness)
            self._state = self._rest + thermal * self._normals()[0]
        self._law = frame_law(stiffness, drag, gap_s, exposure_s)

    def _normals(self) -> np.ndarray:
        if self._next == len(self._drawn):
            shape = (_FRAMES_AT_ONCE, *self._drawn.shape[1:])
            self._drawn = normals(self._stream, int(np.prod(shape))).reshape(shape)
            self._next = 0
        self._next += 1
        return self._drawn[self._next - 1]


def _drift_nm(elapsed_s: float) -> np.ndarray:
    """Return the common drift, x, y, z: fast at first, settling within minutes."""
    settled = elapsed_s / (elapsed_s + _SETTLING_S)
    return np.array(_DRIFT_NM_PER_S) * elapsed_s + np.array(_FIRST_DRIFT_NM) * settled
