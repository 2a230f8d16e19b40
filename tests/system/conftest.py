"""Runs the whole system over OS processes, here and as `magscope run`, and sees what it leaves."""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

sys.path.append(str(Path(__file__).parent))  # for the scripts and drivers of this folder as well

from systemtools import (
    DEADLINE_S,
    MAGSCOPE,
    SHM,
    Condition,
    Running,
    Story,
    System,
    built,
    is_gone,
    session_names,
)

import magscope.recording.tracks
import magscope.recording.video
import magscope.rois
import magscope.scope
from magscope.report import SessionReport, Snapshot
from magscope.runtime import machine
from magscope.scope import MagScope
from magscope.shutdown import Bounds
from magscope.tracking import load_magtrack
from magscope.utils import PoolVideoFlag

# Slow to load: once here, and not in every process that is forked from this one.
load_magtrack()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Allow what a process with pytest-xdist's threads must do: fork."""
    here = str(Path(__file__).parent)
    for item in items:
        if str(item.path).startswith(here):
            item.add_marker(pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork"))


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Run systems in this process while a story, a generator, watches and acts.

    A story yields what it waits for and a condition on the newest `Snapshot`; it goes on when the
    condition is true. The system is stopped at the story's end.
    """
    sessions: list[Any] = []

    class Observed(magscope.scope.Session):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            sessions.append(self)

        def conclude(self) -> SessionReport:
            video, flag = self.ledger._video, self.parts.shared_values.video_process_flag
            if video is None:
                return super().conclude()
            unread, held = video.written - video.released, flag.value is not PoolVideoFlag.READY
            report = super().conclude()
            # The account's own sum is true by its making; what is in the buffer is not.
            in_buffer = unread - (video.n_images if held else 0)
            assert report.frames.in_buffer == in_buffer, f"B1: {report.frames}, {in_buffer} unread"
            return report

    monkeypatch.setattr(magscope.scope, "Session", Observed)
    monkeypatch.chdir(tmp_path)

    def run(
        rig: str | MagScope,
        story: Story,
        *,
        record: Path | None = None,
        script: Path | None = None,
        bounds: Bounds | None = None,
        deadline_s: float = DEADLINE_S,
        ends_by_itself: bool = False,
    ) -> SessionReport:
        scope = rig if isinstance(rig, MagScope) else built(rig, tmp_path)
        scope.record_dir, scope.script_path = record, script
        scope.bounds = bounds or Bounds()
        system = System(scope, sessions=sessions)
        steps = story(system)
        waiting: tuple[str, Condition] | None = ("the start", lambda now: True)
        end = time.monotonic() + deadline_s

        def look(now: Snapshot) -> None:
            nonlocal waiting
            system.now = now
            if waiting is None or now.state == "quitting":
                return
            try:
                assert time.monotonic() < end, f"{waiting[0]}: not within {deadline_s:g} s: {now}"
                while waiting is not None and waiting[1](now):
                    waiting = next(steps, None)
                if waiting is None:
                    scope.stop()
            except BaseException as error:  # told once the system is down
                system.failure, waiting = error, None
                scope.stop()

        scope.observe(look, 0.02)
        scope.start()
        if system.failure is not None:
            for line in scope.report.log:
                print(f"{line.t_s:6.2f} {line.level} {line.source}: {line.text}")
            raise system.failure
        if not ends_by_itself:
            assert waiting is None, f"the session ended before {waiting[0]}: {scope.report}"
        assert scope.report.frames.balances, f"B1: {scope.report.frames}"
        return scope.report

    yield run
    machine().singletons().clear()


@pytest.fixture
def magscope_run(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Start `magscope run` with these words; its rig file may be given as text."""
    started: list[Running] = []

    def run(*words: object, rig: str | None = None, program: tuple[str, ...] = ()) -> Running:
        given = tuple(str(word) for word in words)
        if rig is not None:
            path = tmp_path / "rig.toml"
            path.write_text(rig)
            given = (str(path), *given)
        command = program or (str(MAGSCOPE), "run")
        started.append(Running(given, tmp_path, command))
        return started[-1]

    yield run
    for running in started:
        if running.process.poll() is None:
            for process in [*running.children(), running.process]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            running.process.wait()
        running.process.stdout.close()
    left = {name for running in started for name in session_names(running.pid)}
    for name in left:
        (SHM / name).unlink(missing_ok=True)
    assert not left, f"S3: left in /dev/shm: {sorted(left)}"


@pytest.fixture(autouse=True)
def _leaves_nothing() -> Iterator[None]:
    """See that a test leaves neither a process nor shared memory (S3)."""
    me = psutil.Process()
    before, names = set(me.children(recursive=True)), session_names(os.getpid())
    yield

    def left() -> list[psutil.Process]:
        return [p for p in me.children(recursive=True) if p not in before and not is_gone(p.pid)]

    processes = left()
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGCONT)
            process.kill()
    assert not processes, f"S3: processes are left: {processes}"
    new = session_names(os.getpid()) - names
    assert not new, f"S3: left in /dev/shm: {sorted(new)}"
