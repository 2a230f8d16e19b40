from sim.bench import DEFAULT_POSITIONS, FOCUS, MAGNET_HEIGHT, SHARED_MEMORY, AxisRecord
from sim.motion import at_rest, move


def _memory() -> memoryview:
    return memoryview(bytearray(SHARED_MEMORY["bench"]))


def test_an_axis_without_a_motor_stands_at_its_default() -> None:
    record = AxisRecord(_memory(), MAGNET_HEIGHT)
    assert not record.is_written
    assert record.position_at(0) == record.mean_position(0, 10) == DEFAULT_POSITIONS[MAGNET_HEIGHT]


def test_a_reader_of_the_memory_computes_the_writers_position_bit_for_bit() -> None:
    memory = _memory()
    writer, reader = AxisRecord(memory, FOCUS), AxisRecord(memory, FOCUS)
    motion = move(10**9, 1.1, 0.3, 777.7, 100.0, 333.3)
    writer.write(motion)
    assert reader.motion == motion
    for time_ns in range(10**9, 10 * 10**9, 10**8 + 7):
        assert reader.position_at(time_ns) == motion.position_at(time_ns)


def test_axes_do_not_touch_each_other() -> None:
    memory = _memory()
    for i, name in enumerate(DEFAULT_POSITIONS):
        AxisRecord(memory, name).write(at_rest(float(i), 1))
    positions = [AxisRecord(memory, name).position_at(2) for name in DEFAULT_POSITIONS]
    assert positions == [0.0, 1.0, 2.0]


def test_the_past_is_remembered_over_several_commands() -> None:
    record = AxisRecord(_memory(), FOCUS)
    for i in range(20):
        record.write(at_rest(float(i), i * 1000))
    assert record.position_at(19_500) == 19.0
    assert record.position_at(14_500) == 14.0
    assert record.position_at(5_000) == 12.0  # older than what is remembered


def test_the_mean_position_is_exact_within_a_phase_and_at_rest() -> None:
    record = AxisRecord(_memory(), FOCUS)
    record.write(move(0, 0.0, 0.0, 1000.0, 100.0, 50.0))
    assert record.mean_position(10**9, 2 * 10**9) == (25.0 + 4.0 * 56.25 + 100.0) / 6.0
    assert record.mean_position(10**12, 10**12 + 10) == 1000.0


def test_the_memory_can_be_closed_once_it_is_released() -> None:
    memory = _memory()
    record = AxisRecord(memory, FOCUS)
    record.release()
    memory.release()
