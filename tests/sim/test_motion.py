import math

from hypothesis import assume, given
from hypothesis import strategies as st

from sim.motion import Motion, at_rest, halt, move

POSITION = st.floats(-1000.0, 1000.0)
SPEED = st.floats(0.1, 500.0)
ACCELERATION = st.floats(1.0, 5000.0)
SHARE = st.floats(0.0, 1.0)


def _at(motion: Motion, share: float) -> int:
    return motion.start_ns + int(share * (motion.end_ns - motion.start_ns))


@st.composite
def motions_under_way(draw: st.DrawFn) -> tuple[Motion, int, float]:
    """A motion, a time within it, and its acceleration."""
    acceleration = draw(ACCELERATION)
    motion = move(10**9, draw(POSITION), 0.0, draw(POSITION), draw(SPEED), acceleration)
    return motion, _at(motion, draw(SHARE)), acceleration


@given(POSITION, POSITION, SPEED, ACCELERATION)
def test_a_motion_from_rest_takes_the_time_that_the_formula_says(
    start: float, target: float, speed: float, acceleration: float
) -> None:
    distance = abs(target - start)
    motion = move(0, start, 0.0, target, speed, acceleration)
    if distance >= speed * speed / acceleration:
        expected = distance / speed + speed / acceleration
    else:
        expected = 2.0 * math.sqrt(distance / acceleration)
    assert math.isclose(motion.duration_s, expected, rel_tol=1e-9, abs_tol=1e-12)
    assert motion.state_at(motion.end_ns) == (target, 0.0)


@given(motions_under_way(), POSITION, SPEED, SHARE)
def test_position_and_velocity_never_jump(
    under_way: tuple[Motion, int, float], target: float, speed: float, share: float
) -> None:
    first, turn_ns, acceleration = under_way
    second = move(turn_ns, *first.state_at(turn_ns), target, speed, acceleration)
    top = max(abs(first.velocity), 500.0, math.sqrt(acceleration * 4000.0))
    for motion in (first, second):
        for near_ns in (_at(motion, share), motion.end_ns - 500, motion.start_ns):
            before, after = motion.state_at(near_ns), motion.state_at(near_ns + 1000)
            if near_ns >= motion.start_ns:
                assert abs(after[0] - before[0]) <= top * 1.1e-6 + 1e-6
                assert abs(after[1] - before[1]) <= acceleration * 1.1e-6 + 1e-6


@given(motions_under_way(), POSITION, SPEED)
def test_a_new_target_is_reached_from_the_present_position_and_velocity(
    under_way: tuple[Motion, int, float], target: float, speed: float
) -> None:
    first, turn_ns, acceleration = under_way
    position, velocity = first.state_at(turn_ns)
    second = move(turn_ns, position, velocity, target, speed, acceleration)
    assert second.state_at(turn_ns) == ((position, velocity) if second.phases else (target, 0.0))
    end, rest = position, velocity
    for seconds, rate in second.phases:
        end += (rest + 0.5 * rate * seconds) * seconds
        rest += rate * seconds
    assert math.isclose(end, target, rel_tol=1e-9, abs_tol=1e-6)
    assert abs(rest) <= 1e-6


@given(motions_under_way(), POSITION, SPEED, SHARE)
def test_speed_and_acceleration_keep_to_their_limits(
    under_way: tuple[Motion, int, float], target: float, speed: float, share: float
) -> None:
    first, turn_ns, acceleration = under_way
    _, velocity = first.state_at(turn_ns)
    second = move(turn_ns, *first.state_at(turn_ns), target, speed, acceleration)
    largest = max(speed, abs(velocity)) * (1.0 + 1e-9) + 1e-6
    assert abs(second.state_at(_at(second, share))[1]) <= largest
    assert all(abs(rate) in (0.0, acceleration) for _, rate in second.phases)
    assert len(second.phases) <= 4


@given(motions_under_way(), SHARE)
def test_no_motion_leaves_the_range_of_its_ends(
    under_way: tuple[Motion, int, float], share: float
) -> None:
    first, turn_ns, acceleration = under_way
    stop = halt(turn_ns, *first.state_at(turn_ns), acceleration)
    low, high = sorted((first.position, first.end))
    for motion in (first, stop):
        position = motion.position_at(_at(motion, share))
        assert low - 1e-6 <= position <= high + 1e-6


@given(motions_under_way())
def test_a_halt_brakes_to_rest_in_the_shortest_time(
    under_way: tuple[Motion, int, float],
) -> None:
    first, stop_ns, acceleration = under_way
    position, velocity = first.state_at(stop_ns)
    stop = halt(stop_ns, position, velocity, acceleration)
    assert math.isclose(stop.duration_s, abs(velocity) / acceleration, abs_tol=1e-12)
    assert stop.state_at(stop.end_ns)[1] == 0.0
    assert math.isclose(
        stop.end, position + velocity * abs(velocity) / (2.0 * acceleration), abs_tol=1e-9
    )


@given(POSITION, POSITION, ACCELERATION)
def test_a_lower_speed_in_the_middle_of_a_motion_is_braked_to(
    start: float, target: float, acceleration: float
) -> None:
    assume(abs(target - start) > 1.0)
    fast = move(0, start, 0.0, target, 1e4, acceleration)
    middle_ns = fast.end_ns // 4
    position, velocity = fast.state_at(middle_ns)
    slow = move(middle_ns, position, velocity, target, abs(velocity) / 2.0, acceleration)
    assert slow.duration_s > fast.duration_s - middle_ns / 1e9
    assert slow.state_at(slow.end_ns) == (target, 0.0)


def test_an_axis_at_rest_stays_there() -> None:
    motion = at_rest(5.0, 100)
    assert motion.is_over(100)
    assert motion.state_at(0) == motion.state_at(10**12) == (5.0, 0.0)
