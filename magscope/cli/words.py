"""Numbers, times and positions as people read them."""

import math
import unicodedata
from collections.abc import Iterable

from rich.cells import cell_len, set_cell_size

from magscope.report import FrameAccount

_BARS = "▁▂▃▄▅▆▇█"
NONE = "\N{EN DASH}"


def count(number: int) -> str:
    """Return a whole number in groups of three: `12 345`."""
    return f"{number:,}".replace(",", " ")


def duration(seconds: float) -> str:
    """Return `12.3 s`, from two minutes on `2:05`, from an hour on `1:02:05`."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes, whole = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{whole:02}" if hours else f"{minutes}:{whole:02}"


def position(value: float, unit: str, largest: float) -> str:
    """Return a motor's position with a unit that suits it.

    Args:
        value: The position in `unit`.
        unit: `nm`, `turn`, or any other, which is shown as it is.
        largest: The largest absolute position that is shown beside it: it decides the scale.
    """
    if not math.isfinite(value):
        return NONE
    if unit == "turn":
        return f"{value:.3f} turns"
    if unit != "nm":
        return f"{value:.6g} {unit}".rstrip()
    return f"{value / 1e6:.4f} mm" if abs(largest) >= 1e5 else f"{value / 1e3:.3f} µm"


def micrometres(value_nm: float) -> str:
    """Return nm as µm with three digits, or a dash for what was not tracked."""
    return f"{value_nm / 1e3:.3f}" if math.isfinite(value_nm) else NONE


def sparkline(values: Iterable[float], least_span: float) -> str:
    """Return a trace of bars, a blank where a value is not finite.

    Args:
        values: The trace, oldest first.
        least_span: The range below which noise is not blown up to the full height.
    """
    trace = list(values)
    finite = [v for v in trace if math.isfinite(v)]
    if not finite:
        return " " * len(trace)
    middle, span = (min(finite) + max(finite)) / 2, max(max(finite) - min(finite), least_span)
    low, steps = middle - span / 2, len(_BARS)
    return "".join(
        _BARS[min(int((v - low) / span * steps), steps - 1)] if math.isfinite(v) else " "
        for v in trace
    )


def bar(part: float, width: int) -> tuple[str, str]:
    """Return the filled and the empty part of a bar, together `width` cells."""
    filled = round(max(0.0, min(part, 1.0)) * width) if math.isfinite(part) else 0
    return "━" * filled, "─" * (width - filled)


def fit(text: str, width: int) -> str:
    """Return `text` in exactly `width` cells of one line, cut with `…` where it is too long."""
    text = "".join(c if unicodedata.category(c)[0] != "C" else " " for c in text)
    if cell_len(text) > width > 0:
        text = set_cell_size(text, width - 1) + "…"
    return set_cell_size(text, max(width, 0))


def account(frames: FrameAccount) -> str:
    """Return the account of frames as a sum, without the parts that are zero."""
    parts = [
        f"{count(number)} {name}"
        for number, name in (
            (frames.processed, "processed"),
            (frames.in_buffer, "in buffer"),
            (frames.discarded, "discarded"),
            (frames.purged, "purged"),
            (frames.lost, "lost"),
        )
        if number
    ]
    text = f"{count(frames.delivered)} delivered"
    if parts:
        text += (" = " if frames.balances else " ≠ ") + " + ".join(parts)
    if frames.device_lost:
        text += f"; {count(frames.device_lost)} lost by the device"
    return text
