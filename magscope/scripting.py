"""Scripts: a list of steps, recorded by calling a `Script`, carried out one after another."""

import inspect
import runpy
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

from hal.clock import NS_PER_S
from magscope.hardware import HardwareManagerBase
from magscope.processes import HEARTBEAT_S, ManagerProcessBase
from magscope.runtime import current
from magscope.utils import Message, registerwithscript

LONGEST_SLEEP_S = 1e9


class ScriptError(ValueError):
    """A script can not be loaded or carried out; the text says which step, and why."""


class ScriptStatus(StrEnum):
    """What a script is doing."""

    EMPTY = "empty"
    LOADED = "loaded"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    ERROR = "error"


@dataclass(frozen=True)
class Step:
    """One call of a registered function.

    Attributes:
        wait: Go on only when what it started is done.
    """

    name: str
    args: tuple = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    wait: bool = False

    def __str__(self) -> str:
        arguments = [repr(a) for a in self.args]
        arguments += [f"{name}={value!r}" for name, value in self.kwargs.items()]
        return f"{self.name}({', '.join(arguments)})"


class Script:
    """Steps to be carried out, recorded by calling it.

    ::

        script = Script()
        script("set_acquisition_on", True)
        script("move_motor", "magnet_height", 4e6, wait=True)
        script("sleep", 5.0)
    """

    def __init__(self) -> None:
        self.steps: list[Step] = []

    def __call__(self, name: str, *args: Any, wait: bool = False, **kwargs: Any) -> None:
        """Record a step; `wait`: the script goes on only when what it starts is done."""
        self.steps.append(Step(name, args, kwargs, wait))


@dataclass(frozen=True)
class _Target:
    owner: type[ManagerProcessBase]
    method: str

    @property
    def signature(self) -> inspect.Signature:
        return _signature(getattr(self.owner, self.method))

    @property
    def by_name(self) -> bool:
        # A motor's command names the motor: the message goes to the manager of that name.
        return "motor" in self.signature.parameters

    def address(self, step: Step) -> str:
        if self.by_name:
            return str(self.signature.bind(None, *step.args, **step.kwargs).arguments["motor"])
        return self.owner.__name__


class ScriptRegistry:
    """The functions that scripts may call: methods under `registerwithscript`, by their names."""

    def __init__(self, classes: Iterable[type[ManagerProcessBase]] = ()) -> None:
        self._targets: dict[str, _Target] = {}
        for cls in classes:
            self.register_class_methods(cls)

    @property
    def names(self) -> list[str]:
        """The names of the functions."""
        return sorted(self._targets)

    def register_class_methods(self, cls: type[ManagerProcessBase]) -> None:
        """Offer a manager's registered methods, its own and those that it inherits."""
        for owner in reversed(cls.__mro__):
            for name, method in _registered(owner):
                known = self._targets.get(name)
                if known is None or issubclass(known.owner, owner):
                    self._targets[name] = _Target(owner, method)

    def target(self, name: str) -> _Target:
        """Return what a name stands for; raises ScriptError if it stands for nothing."""
        if name not in self._targets:
            raise ScriptError(f"no function {name!r}; scripts may call {', '.join(self.names)}")
        return self._targets[name]

    def check(self, steps: Iterable[Step], motors: Iterable[str] = ()) -> None:
        """Refuse a script that can not be carried out, before its first step.

        Raises:
            ScriptError: A function is unknown, is called with the wrong arguments, or names a motor
                that there is not. Every such step is named.
        """
        problems = []
        motors = list(motors)
        for number, step in enumerate(steps, start=1):
            try:
                target = self.target(step.name)
                target.signature.bind(None, *step.args, **step.kwargs)
            except (ScriptError, TypeError) as error:
                problems.append(f"step {number}, {step}: {error}")
                continue
            motor = target.address(step) if target.by_name else None
            if motor is not None and motors and motor not in motors:
                there = ", ".join(motors)
                problems.append(f"step {number}, {step}: no motor {motor!r}; there are {there}")
        if problems:
            raise ScriptError("; ".join(problems))


@cache
def _registered(owner: type) -> tuple[tuple[str, str], ...]:
    """Return the names under which scripts know a class' own methods, and theirs."""
    methods = vars(owner).values()
    return tuple((m._script_name, m.__name__) for m in methods if hasattr(m, "_script_name"))  # noqa: SLF001


@cache
def _signature(method: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(method)


def script_file(path: str | Path) -> Path:
    """Return where a script is.

    Raises:
        ScriptError: This is no path; a `Script` itself, for example.
    """
    if not isinstance(path, (str, Path)):
        raise ScriptError(
            f"script: expected the path of a file that makes one, got a {type(path).__name__}: "
            "write the steps into a file, as `magscope run --script` takes it"
        )
    return Path(path)


def load_script(path: str | Path) -> list[Step]:
    """Read a script file: Python that makes one `Script`.

    Raises:
        ScriptError: The file is missing, fails, or makes no script or several.
    """
    path = script_file(path)
    if not path.is_file():
        raise ScriptError(f"script {path}: there is no such file")
    try:
        namespace = runpy.run_path(str(path), run_name="magscope_script")
    except BaseException as error:  # a script's own code may fail in any way, or call exit()
        if isinstance(error, KeyboardInterrupt):
            raise
        place = _place(path, error)
        raise ScriptError(f"script {path}{place}: {type(error).__name__}: {error}") from error
    scripts = {id(v): v for v in namespace.values() if isinstance(v, Script)}
    if len(scripts) != 1:
        raise ScriptError(
            f"script {path}: makes {len(scripts)} Script objects; expected one, as in "
            "`script = Script()`"
        )
    return list(scripts.popitem()[1].steps)


def _place(path: Path, error: BaseException) -> str:
    line = error.lineno if isinstance(error, SyntaxError) else None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return f", line {line}" if line else ""


class ScriptManager(ManagerProcessBase):
    """Carries a script out: one step after another, each a message to the manager it concerns.

    Attributes:
        first_script: A script to be run as soon as the system is up.
    """

    status_fields = ("step", "n_steps")

    def __init__(self) -> None:
        super().__init__()
        self.first_script: Path | None = None
        self.status = ScriptStatus.EMPTY
        self._registry = ScriptRegistry()
        self._steps: list[Step] = []
        self._next = 0
        self._resume_ns: int | None = None
        self._pause_left_ns = 0
        self._awaited: set[tuple[int, str]] = set()
        self._tokens = 0
        self._reached: dict[str, list[str]] = {}  # by a class' name, the managers that are of it

    def prepare(self, path: Path | None, managers: Iterable[ManagerProcessBase]) -> None:
        """Take note of whose methods scripts may call, and check the first script; before `start`.

        Raises:
            ScriptError: The script can not be loaded or carried out.
        """
        managers = list(managers)
        for manager in managers:
            self._registry.register_class_methods(type(manager))
            for cls in type(manager).__mro__:
                self._reached.setdefault(cls.__name__, []).append(manager.name)
        if path is not None:
            motors = [m.name for m in managers if isinstance(m, HardwareManagerBase)]
            self._registry.check(load_script(path), motors)
        self.first_script = path

    def setup(self) -> None:
        """Run the first script, if there is one."""
        if self.first_script is not None:
            self.load_script(self.first_script)
            self.start_script()

    def check_file(self, path: str | Path) -> list[Step]:
        """Return the steps of a script that can be carried out by this system.

        Raises:
            ScriptError: It can not be loaded or carried out.
        """
        steps = load_script(path)
        self._registry.check(steps, self.hardware_types)
        return steps

    def load_script(self, path: str | Path) -> None:
        """Read a script file, instead of the one that was loaded; it is started by itself."""
        if self.status in (ScriptStatus.RUNNING, ScriptStatus.PAUSED):
            raise ScriptError(f"a script is {self.status}: it must end before another is loaded")
        try:
            self._steps = self.check_file(path)
        except ScriptError:
            self.status = ScriptStatus.ERROR
            raise
        self._next = 0
        self.status = ScriptStatus.LOADED
        self.publish(step=0, n_steps=len(self._steps))
        self.log("info", f"script {Path(path).name}: {len(self._steps)} steps")

    def start_script(self) -> None:
        """Start the loaded script from its first step."""
        if self.status not in (ScriptStatus.LOADED, ScriptStatus.FINISHED):
            raise ScriptError(f"no script can be started: it is {self.status}")
        self._next = 0
        self._resume_ns = None
        self._awaited.clear()
        self.status = ScriptStatus.RUNNING

    def pause_script(self) -> None:
        """Stop before the next step; a sleep is interrupted and goes on later."""
        if self.status is not ScriptStatus.RUNNING:
            raise ScriptError(f"no script to pause: it is {self.status}")
        self.status = ScriptStatus.PAUSED
        if self._resume_ns is not None:
            self._pause_left_ns = max(self._resume_ns - current().clock.monotonic_ns(), 0)

    def resume_script(self) -> None:
        """Go on with a paused script."""
        if self.status is not ScriptStatus.PAUSED:
            raise ScriptError(f"no script to resume: it is {self.status}")
        self.status = ScriptStatus.RUNNING
        if self._resume_ns is not None:
            self._resume_ns = current().clock.monotonic_ns() + self._pause_left_ns

    def seconds_to_next_loop(self) -> float:
        """Sleep as long as the script does."""
        if self.status is not ScriptStatus.RUNNING or self._awaited:
            return HEARTBEAT_S
        if self._resume_ns is None:
            return 0.0
        return (self._resume_ns - current().clock.monotonic_ns()) / NS_PER_S

    def do_main_loop(self) -> None:
        """Carry out steps until one takes time."""
        while self.status is ScriptStatus.RUNNING and not self._awaited:
            if self._resume_ns is not None:
                if current().clock.monotonic_ns() < self._resume_ns:
                    return
                self._resume_ns = None
            if self._next >= len(self._steps):
                self.status = ScriptStatus.FINISHED
                self.log("info", "script finished")
                return
            step = self._steps[self._next]
            self._next += 1
            self.publish(step=self._next)
            self._carry_out(step)

    def _carry_out(self, step: Step) -> None:
        target = self._registry.target(step.name)
        if issubclass(type(self), target.owner) and target.owner is not ManagerProcessBase:
            try:
                getattr(self, target.method)(*step.args, **step.kwargs)
            except (TypeError, ValueError) as error:
                self._fail(str(error))
            return
        address = target.address(step)
        token = 0
        if step.wait:
            self._tokens += 1
            token = self._tokens
            self._awaited = {(token, name) for name in self._names(target, address)}
        message = Message(address, target.method, *step.args)
        message.kwargs = dict(step.kwargs)
        if not self._send(message, token) and token:
            self._fail(f"{step} could not be sent")

    def _names(self, target: _Target, address: str) -> list[str]:
        if target.owner is ManagerProcessBase:
            return list(self.resources.names)
        return self._reached.get(address, [address])

    def message_done(self, token: int, name: str, problem: str = "") -> None:
        """Hear from a manager that what a step asked for is done, or why it could not be.

        A script that is paused stops of it, too; an answer to a step that is over changes nothing.
        """
        if (token, name) not in self._awaited:
            return
        self._awaited.discard((token, name))
        if problem:
            self._fail(problem)

    def _fail(self, problem: str) -> None:
        self.status = ScriptStatus.ERROR
        self._awaited.clear()
        self.log("error", f"script stopped at step {self._next}: {problem}")

    @registerwithscript("sleep")
    def sleep(self, seconds: float) -> None:
        """Let the script wait so many seconds."""
        is_number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
        if not is_number or not 0 <= seconds < LONGEST_SLEEP_S:
            raise ValueError(
                f"sleep({seconds!r}): expected a number of seconds, 0 to {LONGEST_SLEEP_S:g}"
            )
        self._resume_ns = current().clock.monotonic_ns() + int(seconds * NS_PER_S)
