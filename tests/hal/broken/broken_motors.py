"""Motors that are broken in one way each; `caught_by` is the check that must say so."""

import math
from typing import ClassVar

from right_devices import HomelessMotor, RightMotor

from hal import Axis
from hal.errors import LimitError


class HasNoRange(RightMotor):
    caught_by = "describes-its-axis"
    axis = Axis("nm", 500.0, 500.0, 1.0, 1e5)


class IsInTurns(RightMotor):
    """A linear motor that gives its positions in turns."""

    caught_by = "describes-its-axis"
    axis = Axis("turn", -1000.0, 9000.0, 1.0, 1e5)


class BeginsOutside(RightMotor):
    caught_by = "describes-its-axis"
    origin = goal = 20_000.0


class NamesMicrometres(RightMotor):
    caught_by = "moves-in-its-unit"

    @property
    def position_nm(self):
        return self.read_position() / 1000


class MovesMicrometres(RightMotor):
    caught_by = "moves-in-its-unit"

    def move_to_nm(self, target_nm):
        self.move_to(target_nm / 1000)


class StopsShort(RightMotor):
    caught_by = "arrives-at-its-target"

    def begin_move(self, target):
        super().begin_move(target - 3.0)


class Drifts(RightMotor):
    caught_by = "arrives-at-its-target"

    def place(self):
        idle_ns = self.now_ns() - self.left_ns - 10**9
        return super().place() + max(idle_ns, 0) / 1e9 * 1e4

    def set(self, name, value):
        return value

    @property
    def is_moving(self):
        return self.now_ns() - self.left_ns < 10**9


class ForgetsItsTarget(RightMotor):
    caught_by = "arrives-at-its-target"

    @property
    def target(self):
        return self.read_position()


class NeverArrives(RightMotor):
    caught_by = "arrives-at-its-target"

    @property
    def is_moving(self):
        return True


class NeverSaysThatItMoves(RightMotor):
    caught_by = "moves-when-it-says-so"

    @property
    def is_moving(self):
        return False


class ArrivesTooEarly(RightMotor):
    caught_by = "moves-when-it-says-so"

    @property
    def is_moving(self):
        return abs(self.place() - self.goal) > 50


class Overshoots(RightMotor):
    """Swings beyond the end of its axis before it stands."""

    caught_by = "moves-when-it-says-so"

    def place(self):
        place = super().place()
        return place * 1.02 if place > 8900 and super().place() != self.goal else place

    def go(self, target):
        self.origin, self.goal, self.left_ns = RightMotor.place(self), target, self.now_ns()


class FinishesItsMoveFirst(RightMotor):
    """Takes no new target while it moves."""

    caught_by = "takes-a-new-target-under-way"

    def begin_move(self, target):
        if not self.is_moving:
            super().begin_move(target)


class RaisesWhenItIsBusy(RightMotor):
    caught_by = "takes-a-new-target-under-way"

    def begin_move(self, target):
        if self.is_moving:
            raise RuntimeError("busy")
        super().begin_move(target)


class ClipsTargets(RightMotor):
    caught_by = "refuses-targets-outside"

    def move_to(self, target):
        super().move_to(min(max(target, self.axis.lower), self.axis.upper))


class TakesNaN(RightMotor):
    caught_by = "refuses-targets-outside"

    def move_to(self, target):
        if not math.isnan(target):
            super().move_to(target)


class MovesAndThenRaises(RightMotor):
    caught_by = "refuses-targets-outside"

    def move_to(self, target):
        if math.isfinite(target):
            self.begin_move(min(max(target, self.axis.lower), self.axis.upper))
        super().move_to(target)


class RefusesWithValueError(RightMotor):
    caught_by = "refuses-targets-outside"

    def move_to(self, target):
        try:
            super().move_to(target)
        except LimitError as error:
            raise ValueError(str(error)) from None


class DoesNotStop(RightMotor):
    caught_by = "stops"

    def halt(self):
        pass


class CreepsAfterStop(RightMotor):
    caught_by = "stops"
    creeps = False

    def halt(self):
        self.creeps = self.creeps or self.is_moving
        super().halt()

    def place(self):
        waited_ns = self.now_ns() - self.left_ns if self.creeps else 0
        return super().place() + waited_ns / 1e9 * 500

    @property
    def is_moving(self):
        return not self.creeps and super().is_moving

    def begin_move(self, target):
        self.creeps = False
        super().begin_move(target)


class KeepsItsTargetAtStop(RightMotor):
    caught_by = "stops"

    def stop(self):
        self.halt()


class DoesNothingAtHome(RightMotor):
    caught_by = "goes-home"

    def begin_home(self):
        pass


class PretendsToHaveAHome(HomelessMotor):
    """Goes home although its axis says that it can not."""

    caught_by = "goes-home"

    def begin_home(self):
        self.go(self.home_nm)


class HasAHomeThatItRefuses(HomelessMotor):
    caught_by = "goes-home"
    axis = RightMotor.axis


class KeepsItsTargetAtHome(RightMotor):
    caught_by = "goes-home"

    def home(self):
        self.begin_home()


class MovesOnWhenClosed(RightMotor):
    caught_by = "stands-when-closed"

    def close(self):
        self.is_open = False


class ZeroesWhenOpenedAgain(RightMotor):
    caught_by = "stays-when-opened-again"

    def open(self):
        if self.is_open:
            self.origin = self.goal = 0.0
        super().open()


class WorksWhenClosed(RightMotor):
    caught_by = "refuses-use-when-closed"

    def need_open(self):
        pass


class FailsWithTypeError(RightMotor):
    caught_by = "refuses-use-when-closed"

    def need_open(self):
        if not self.is_open:
            raise TypeError("argument of type 'NoneType'")


class IgnoresItsSpeed(RightMotor):
    caught_by = "takes-other-values"

    def set(self, name, value):
        self.setting(name).check(value)
        return self.get(name)


class ForgetsItsGoalWhenAskedTwice(RightMotor):
    """Goes nowhere if it is told twice to go to the same place while it moves."""

    caught_by = "does-so-in-any-order"
    asked: ClassVar[float | None] = None

    def begin_move(self, target):
        if self.is_moving and target == self.asked:
            self.go(self.place())
        else:
            super().begin_move(target)
        self.asked = target


class LosesItsTargetAtARefusal(RightMotor):
    """A target that is refused while it moves makes it stop."""

    caught_by = "does-so-in-any-order"

    def move_to(self, target):
        if not self.axis.lower <= target <= self.axis.upper and self.is_moving:
            self.halt()
        super().move_to(target)
