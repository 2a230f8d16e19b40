import pickle

import pytest
from core_tools import RULES, kill, take_lock_and_hang, until
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from magscope.flag import IllegalTransitionError, PoolFlag
from magscope.utils import PoolVideoFlag

READY, RUNNING, FINISHED = PoolVideoFlag
NEXT = {READY: RUNNING, RUNNING: FINISHED, FINISHED: READY}


def yes():
    return True


def no():
    return False


def flag_in(state):
    """Return a flag in a state; stack 1 is worker 4's unless it was never handed out."""
    flag = PoolFlag()
    if state is not READY:
        flag.claim(4, yes)
    if state is FINISHED:
        flag.finish(4, 1)
    return flag


def test_a_new_flag_is_ready_and_has_handed_out_nothing():
    flag = PoolFlag()
    assert flag.read() == (READY, 0, 0)
    assert flag.value is READY
    assert flag.epoch == 0


def test_p1_a_stack_goes_round_from_manager_to_worker_to_camera():
    flag = PoolFlag()
    for epoch in (1, 2, 3):
        assert flag.claim(epoch + 5, yes) == epoch
        assert flag.read() == (RUNNING, epoch + 5, epoch)
        flag.finish(epoch + 5, epoch)
        assert flag.read() == (FINISHED, epoch + 5, epoch)
        flag.make_ready()
        assert flag.value is READY
    assert flag.epoch == 3


@pytest.mark.parametrize("state", PoolVideoFlag)
@pytest.mark.parametrize("to", PoolVideoFlag)
def test_p1_setting_the_value_makes_the_one_legal_transition_alone(state, to):
    flag = flag_in(state)
    before = flag.read()
    if NEXT[state] is to:
        flag.value = to
        assert flag.read() == (to, *before[1:])
    else:
        with pytest.raises(IllegalTransitionError, match=f"{state.name} → {to.name}"):
            flag.value = to
        assert flag.read() == before


@pytest.mark.parametrize("wrong", [3, -1, 99, "READY"])
def test_p1_what_is_no_state_is_refused_and_changes_nothing(wrong):
    flag = flag_in(RUNNING)
    with pytest.raises(ValueError, match="PoolVideoFlag"):
        flag.value = wrong
    assert flag.read() == (RUNNING, 4, 1)


@pytest.mark.parametrize("state", [RUNNING, FINISHED])
def test_p4_a_stack_that_is_somebodys_can_not_be_claimed(state):
    flag = flag_in(state)
    before = flag.read()
    assert flag.claim(5, yes) is None
    assert flag.read() == before


def test_p4_nothing_is_claimed_where_no_stack_waits():
    flag = PoolFlag()
    assert flag.claim(5, no) is None
    assert flag.read() == (READY, 0, 0)


def test_p4_whether_a_stack_waits_is_asked_while_no_purge_can_come_between(runtime, start):
    flag, has_it = PoolFlag(), runtime.event()

    def look():
        start(take_lock_and_hang, flag.get_lock(), has_it)  # a purge holds this lock
        runtime.wait([], timeout_s=0.05)
        assert not has_it.is_set()
        return True

    assert flag.claim(1, look) == 1
    until(has_it.is_set)


@pytest.mark.parametrize("state", [READY, FINISHED])
def test_p1_only_a_running_stack_can_be_finished(state):
    flag = flag_in(state)
    before = flag.read()
    with pytest.raises(IllegalTransitionError, match=state.name):
        flag.finish(4, 1)
    assert flag.finish_for_dead(4) is False
    assert flag.read() == before


@pytest.mark.parametrize(("owner", "epoch"), [(5, 1), (4, 0), (4, 2), (0, 0)])
def test_p1_the_late_write_of_a_replaced_owner_is_refused(owner, epoch):
    flag = flag_in(RUNNING)
    with pytest.raises(IllegalTransitionError, match=f"worker {owner} can not finish"):
        flag.finish(owner, epoch)
    assert flag.read() == (RUNNING, 4, 1)


def test_p1_an_owner_that_was_taken_for_dead_can_not_finish_its_next_stack():
    flag = flag_in(RUNNING)
    assert flag.finish_for_dead(4)
    flag.make_ready()
    assert flag.claim(4, yes) == 2
    with pytest.raises(IllegalTransitionError):
        flag.finish(4, 1)
    flag.finish(4, 2)


def test_p2_a_supervisor_finishes_for_the_dead_owner_and_for_nobody_else():
    flag = flag_in(RUNNING)
    assert flag.finish_for_dead(5) is False
    assert flag.value is RUNNING
    assert flag.finish_for_dead(4) is True
    assert flag.read() == (FINISHED, 4, 1)
    assert flag.finish_for_dead(4) is False


@pytest.mark.parametrize("state", [READY, RUNNING])
def test_p1_only_a_finished_stack_is_made_ready(state):
    flag = flag_in(state)
    with pytest.raises(IllegalTransitionError):
        flag.make_ready()
    assert flag.value is state


def test_p2_workers_may_be_replaced_without_end():
    flag = PoolFlag()
    for owner in (2**14 - 1, 2**14, 2**20 + 3):
        epoch = flag.claim(owner, yes)
        flag.finish(owner, epoch)
        flag.make_ready()
        flag.claim(owner, yes)
        assert flag.finish_for_dead(owner)
        flag.make_ready()


def test_the_value_may_be_set_by_who_holds_its_lock():
    flag = PoolFlag()
    with flag.get_lock():
        flag.value = RUNNING
    assert flag.value is RUNNING


def test_p2_the_flag_can_be_finished_after_a_death_inside_its_lock(runtime, start):
    flag, has_it = flag_in(RUNNING), runtime.event()
    child = start(take_lock_and_hang, flag.get_lock(), has_it)
    until(has_it.is_set)
    kill(child)
    assert flag.finish_for_dead(4)


def test_a_flag_is_one_word_that_its_copies_share():
    flag = flag_in(RUNNING)
    copied = pickle.loads(pickle.dumps(flag))
    copied.finish(4, 1)
    assert flag.value is FINISHED


class FlagAgainstModel(RuleBasedStateMachine):
    """P1: whoever tries what, the flag makes the legal transitions and no others."""

    workers = st.integers(1, 3)

    def __init__(self):
        super().__init__()
        self.flag = PoolFlag()
        self.state, self.owner, self.epoch_now = READY, 0, 0

    @rule(worker=workers, waits=st.booleans())
    def claim(self, worker, waits):
        got = self.flag.claim(worker, lambda: waits)
        if self.state is READY and waits:
            self.state, self.owner, self.epoch_now = RUNNING, worker, self.epoch_now + 1
            assert got == self.epoch_now
        else:
            assert got is None

    @rule(worker=workers, late=st.integers(0, 2))
    def finish(self, worker, late):
        if self.state is RUNNING and worker == self.owner and not late:
            self.flag.finish(worker, self.epoch_now)
            self.state = FINISHED
        else:
            with pytest.raises(IllegalTransitionError):
                self.flag.finish(worker, self.epoch_now - late)

    @rule(worker=workers)
    def bury(self, worker):
        is_its = self.state is RUNNING and worker == self.owner
        assert self.flag.finish_for_dead(worker) is is_its
        if is_its:
            self.state = FINISHED

    @rule()
    def make_ready(self):
        if self.state is FINISHED:
            self.flag.make_ready()
            self.state = READY
        else:
            with pytest.raises(IllegalTransitionError):
                self.flag.make_ready()

    @rule(to=st.sampled_from(PoolVideoFlag))
    def set_value(self, to):
        if NEXT[self.state] is to:
            self.flag.value = to
            self.state = to
        else:
            with pytest.raises(IllegalTransitionError):
                self.flag.value = to

    @invariant()
    def the_flag_is_as_the_model_says(self):
        assert self.flag.read() == (self.state, self.owner, self.epoch_now)


TestFlagAgainstModel = FlagAgainstModel.TestCase
TestFlagAgainstModel.settings = RULES
