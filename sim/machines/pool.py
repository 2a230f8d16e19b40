"""`PoolVideoFlagMachine`: the flag and the ring of frames between camera, pool and workers."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from magscope.flag import IllegalTransitionError
from magscope.utils import PoolVideoFlag
from sim.machines.base import StageMachine
from sim.machines.pool_model import FINISHED, RUNNING, PoolModel
from sim.machines.pool_parts import Camera, Hand, Pool, frame_values
from sim.machines.stage import Order, Stage

N_IMAGES, N_STACKS, WORKERS = 2, 4, 2
LAST_OPERATION = 24
SELDOM = 2
HOLD = st.one_of(st.just(-1), st.integers(0, 6), st.integers(0, LAST_OPERATION))
WHICH = st.integers(0, WORKERS - 1)


class PoolVideoFlagMachine(StageMachine):
    """The real flag, ring, camera manager's turn and worker's task, against `PoolModel`.

    A worker may be held at any of its operations while the others go on, and may die at any.
    """

    def __init__(self) -> None:
        super().__init__()
        self.most_unread = 0
        self.switches = 0
        self.late = 0
        self.in_a_row = 0
        self.deaths = 0

    @initialize(on=st.booleans())
    def start(self, on: bool) -> None:
        """Start the camera manager, the pool's manager and the workers."""
        stage = self.stage = Stage()
        self.pool = Pool(stage, n_images=N_IMAGES, n_stacks=N_STACKS)
        self.camera = Camera(stage, self.pool)
        self.model = PoolModel(N_IMAGES, N_IMAGES * N_STACKS, is_on=True)
        self.flag = self.pool.shared.video_process_flag
        self.hired = 0
        self.hands = [self._hire() for _ in range(WORKERS)]
        if not on:
            self.switch()

    def _hire(self) -> Hand:
        self.hired += 1
        return Hand(self.stage, self.pool, self.hired)

    @property
    def is_free(self) -> bool:
        """Whether no lock is in the hands of a worker that is held."""
        return self.is_up and self.pool.holder() is None

    @property
    def may_hand_out(self) -> bool:
        """Whether somebody is idle; a stack need not be there, but mostly is."""
        has_stack = self.model.has_stack or self.model.epoch % 3 == 0
        return has_stack and any(hand.is_idle for hand in self.hands)

    def _ask(self, actor: Any, do: Any) -> Any:
        order: Order = actor.tell(do)
        self.stage.settle()
        if not order.is_done:
            self.check(f"B5: {actor.name} waits for ever")
        if order.error is not None:
            raise order.error
        return order.result

    @precondition(lambda self: self.is_free and (self.in_a_row < SELDOM or not self.may_hand_out))
    @rule(count=st.integers(0, N_IMAGES * N_STACKS))
    def frames_arrive(self, count: int) -> None:
        """The device has frames ready, and the camera manager takes its turn."""
        self.done(f"{count} frames arrive")
        self.in_a_row += 1
        self._catch_up()
        self.model.waiting += count
        self.camera.waiting += count
        self.model.turn()
        self._ask(self.camera.actor, self.camera.manager.do_main_loop)
        self.most_unread = max(self.most_unread, self.model.unread)

    @precondition(lambda self: self.is_free and (self.switches < SELDOM or not self.model.is_on))
    @rule()
    def switch(self) -> None:
        """Acquisition is switched on or off."""
        self.switches += 1
        self.model.is_on = not self.model.is_on
        self.done(f"acquisition is switched {'on' if self.model.is_on else 'off'}")
        self._ask(
            self.camera.actor, lambda: self.camera.manager.set_acquisition_on(self.model.is_on)
        )

    @precondition(lambda self: self.is_free and self.may_hand_out)
    @rule(which=WHICH, hold_after=HOLD,
          is_bad=st.integers(0, 4).map(lambda n: n == 4))  # fmt: skip
    def hand_out(self, which: int, hold_after: int, is_bad: bool) -> None:
        """The oldest stack is handed to a worker, which works on it, or is held half way."""
        self.in_a_row = 0
        idle = [hand for hand in self.hands if hand.is_idle]
        hand = idle[which % len(idle)]
        self._catch_up()
        epoch = self._ask(self.pool.actor, lambda: self.pool.claim(hand.number))
        expected = self.model.claim(hand.number)
        if epoch != expected:
            self.check(f"P1: stack {epoch} is handed out, and it was to be {expected}")
        if epoch is None:
            return
        held = f", is held at operation {hold_after}" if hold_after >= 0 else ""
        self.done(f"{hand.name} gets stack {epoch}{held}{', and can not do it' * is_bad}")
        hand.expected = frame_values(self.model.first, N_IMAGES)
        hand.begin(epoch, is_bad=is_bad, hold_after=hold_after)
        self._after(hand)

    @precondition(lambda self: self.is_up and any(hand.is_held for hand in self.hands))
    @rule(which=WHICH)
    def let_go(self, which: int) -> None:
        """A worker that was held goes on."""
        held = [hand for hand in self.hands if hand.is_held]
        hand = held[which % len(held)]
        self.done(f"{hand.name} goes on")
        hand.let_go()
        self._after(hand)

    def _after(self, hand: Hand) -> None:
        """See what a worker has come to."""
        self._catch_up()
        if hand.is_held:
            return
        if hand.order is None or not hand.order.is_done:
            self.check(f"B5: {hand.name} waits for ever")
            return
        if hand.order.error is not None and not hand.is_bad:
            self.check(f"B2: {hand.name} failed: {hand.order.error!r}")
        if not hand.is_bad and hand.seen != hand.expected:
            self.check(f"B2: {hand.name} was handed {hand.expected}, and saw {hand.seen}")
        if (self.model.state, self.model.epoch) == (RUNNING, hand.epoch):
            self.check(f"P2: {hand.name} has done stack {hand.epoch}, and holds it still")
        hand.order = None

    @precondition(lambda self: self.is_up and self.model.epoch > self.deaths)
    @rule(which=WHICH)
    def kill(self, which: int) -> None:
        """A worker dies, wherever it is; its manager gives back what it held, and hires another."""
        holder = self.pool.holder()
        if holder is not None:  # the others wait for it, as long as it only hangs
            which = [hand.actor.process.pid for hand in self.hands].index(holder)
        hand = self.hands[which]
        self.deaths += 1
        self.done(f"{hand.name} is killed")
        self.stage.kill(hand.actor)
        self.stage.settle()
        self._catch_up(hand)
        held = self._ask(self.pool.actor, lambda: self.flag.finish_for_dead(hand.number))
        expected = self.model.finish_for_dead(hand.number)
        if held != expected:
            self.check(f"P2: {hand.name} is dead, and its stack is given back: {held}")
        self.hands[which] = self._hire()

    @precondition(lambda self: self.is_free and self.late < self.model.epoch)
    @rule(owner=st.integers(1, WORKERS + 4), back=st.integers(0, 3))
    def finish_late(self, owner: int, back: int) -> None:
        """Somebody whose stack it is not, or no longer, gives it back."""
        self._catch_up()
        epoch = self.model.epoch - back
        if (self.model.owner, self.model.epoch) == (owner, epoch):
            return
        self.late += 1
        self.done(f"worker {owner} gives back stack {epoch}, which is not its own")
        self._refused(lambda: self.flag.finish(owner, epoch), f"stack {epoch} of worker {owner}")

    @precondition(lambda self: self.is_free and self.late <= self.model.epoch)
    @rule(state=st.sampled_from(PoolVideoFlag))
    def set_outright(self, state: PoolVideoFlag) -> None:
        """Somebody sets the flag to what it can not become now."""
        self._catch_up()
        if self.model.may_become(state.name):
            return
        self.late += 1
        self.done(f"somebody sets the flag {state.name}")
        self._refused(lambda: setattr(self.flag, "value", state), f"the flag as {state.name}")

    def _refused(self, do: Any, what: str) -> None:
        try:
            self._ask(self.pool.actor, do)
        except IllegalTransitionError:
            return
        self.check(f"P1: {what} is accepted")

    @property
    def flag_state(self) -> str:
        """The state of the flag."""
        return self.flag.read()[0].name

    def _catch_up(self, dead: Hand | None = None) -> None:
        """Take note if a worker that was held, or died, had given its stack back before."""
        for hand in (*self.hands, *([dead] if dead else [])):
            holds = (self.model.state, self.model.owner) == (RUNNING, hand.number)
            if holds and self.flag_state == FINISHED and hand.order is not None:
                self.model.finish(hand.number, hand.epoch)

    @invariant()
    def agrees_with_the_model(self) -> None:
        """Flag, ring and account are those of the model."""
        if not self.is_up:
            return
        self._catch_up()
        state, owner, epoch = self.flag.read()
        model, buffer = self.model, self.camera.buffer
        if (state.name, epoch) != (model.state, model.epoch) or (epoch and owner != model.owner):
            self.check(
                f"P1: the flag is {state.name}, stack {epoch} of worker {owner}; it was to be "
                f"{model.state}, stack {model.epoch} of worker {model.owner}"
            )
        if (buffer.written, buffer.released) != (model.written, model.released):
            self.check(
                f"B1: {buffer.written} frames are written and {buffer.released} released; it was "
                f"to be {model.written} and {model.released}"
            )
        if not 0 <= buffer.written - buffer.released <= model.total:
            self.check(f"B4: {buffer.written - buffer.released} frames are in the ring")
        counted = (self.camera.manager.purged, self.camera.manager.discarded)
        if counted != (model.purged, model.discarded):
            self.check(
                f"B1: {counted} frames are reported as purged and discarded; it was to be "
                f"{model.purged} and {model.discarded}"
            )
        self.check_processes()

    def observe(self) -> dict[str, float]:
        """Steer towards a full ring, and towards what is dropped."""
        dropped = self.model.purged + self.model.discarded
        return {"most frames in the ring": float(self.most_unread), "dropped": float(dropped)}
