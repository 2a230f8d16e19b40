"""Draw the picture of the running terminal: `python docs/images/make_terminal_picture.py`.

It runs the default rig and a force ramp for some seconds and draws what the live view showed at two
thirds of the time. With `--example` it draws made-up snapshots instead, to see a change of the view
at once.
"""

import argparse
import io
import math
import re
import tempfile
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme

from magscope.cli.history import History
from magscope.cli.view import REFRESH_S, Screen
from magscope.report import (
    BeadView,
    FrameAccount,
    LogLine,
    MotorView,
    ProcessView,
    Snapshot,
    WorkerView,
)

HERE = Path(__file__).resolve().parent
THEME = TerminalTheme(
    (24, 27, 33),
    (212, 216, 222),
    [
        (42, 46, 54),
        (224, 108, 117),
        (126, 192, 132),
        (220, 180, 100),
        (97, 160, 230),
        (190, 130, 210),
        (98, 184, 196),
        (212, 216, 222),
    ],
)


def example(t_s: float) -> Snapshot:
    """Return a made-up snapshot at a time."""
    managers = ["Camera", "VideoProcessor", "BeadLock", "Script", "Recording"]
    names = [f"{name}Manager" for name in managers] + ["magnet_height", "magnet_rotation", "focus"]
    delivered = int(100 * t_s)
    height_nm = max(12e6 - 5e5 * t_s, 3e6)
    beads = tuple(
        BeadView(
            n,
            9.1e3 * (n + 1) + 40 * math.sin(7 * t_s + n),
            6.3e3 * (n % 5 + 1) + 35 * math.cos(9 * t_s + 2 * n),
            (600 + 110 * t_s if n % 3 else 0) + 60 * math.sin(13 * t_s + 5 * n),
        )
        for n in range(8)
    )
    return Snapshot(
        t_s=t_s,
        run_for_s=20.0,
        state="running",
        fps=100.0 + math.sin(t_s) / 5,
        frames=FrameAccount(delivered, delivered - 57, in_buffer=57),
        buffer_level=0.28 + 0.1 * math.sin(t_s),
        flag="RUNNING",
        busy_count=1,
        acquisition_on=True,
        acquisition_mode="track",
        tracks_rows=8 * (delivered - 57),
        messages=int(140 * t_s),
        recording="out",
        processes=tuple(ProcessView(name, "running", 41200 + n) for n, name in enumerate(names)),
        workers=(WorkerView("VideoWorker 1", "busy", 15), WorkerView("VideoWorker 2", "idle", 14)),
        motors=(
            MotorView("magnet_height", "nm", height_nm, 3e6, True),
            MotorView("magnet_rotation", "turn", 0.0, 0.0, False),
            MotorView("focus", "nm", 1250.0, 1250.0, False),
        ),
        beads=beads,
        log=(
            LogLine(0.21, "info", "CameraManager", "sim.bead-camera opened: 1280 x 560, 8 bit"),
            LogLine(0.94, "info", "VideoProcessorManager", "8 beads found in the first 40 frames"),
            LogLine(2.0, "info", "ScriptManager", "force_ramp.py started"),
            LogLine(9.36, "warning", "VideoWorker 2", "ended by SIGKILL; replaced in 0.08 s"),
        ),
    )


def draw(snapshots: list[Snapshot], width: int, height: int, title: str) -> str:
    """Return the last of some snapshots as SVG."""
    history = History()
    for snapshot in snapshots:
        history.add(snapshot)
    console = Console(
        record=True,
        width=width,
        height=height,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
        legacy_windows=False,
    )
    console.print(Screen(snapshots[-1], history))
    svg = console.export_svg(title=title, theme=THEME)
    # The picture loads nothing from elsewhere: the viewer's own monospaced font serves as well.
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)


def observed(seconds: float, script: Path) -> list[Snapshot]:
    """Run the default rig and return what its view was shown in the first two thirds."""
    from magscope.scope import MagScope

    snapshots: list[Snapshot] = []
    scope = MagScope()
    scope.run_for_s = seconds
    scope.script_path = script
    with tempfile.TemporaryDirectory() as directory:
        scope.record_dir = Path(directory)
        scope.observe(snapshots.append, REFRESH_S)
        scope.start()
    return [replace(s, recording="out") for s in snapshots if s.t_s < seconds * 2 / 3]


def main() -> None:
    """Write `terminal.svg` beside this file, or where `--out` says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--example", action="store_true", help="made-up snapshots")
    parser.add_argument("--size", default="110x34", help="columns x rows")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--script", type=Path, default=HERE.parents[1] / "examples/force_ramp.py")
    parser.add_argument("--out", type=Path, default=HERE / "terminal.svg")
    given = parser.parse_args()
    width, height = map(int, given.size.split("x"))
    if given.example:
        snapshots = [example(n * REFRESH_S) for n in range(1, int(given.seconds / REFRESH_S))]
    else:
        snapshots = observed(given.seconds, given.script)
    given.out.write_text(draw(snapshots, width, height, "magscope run"), encoding="utf-8")


if __name__ == "__main__":
    main()
