import mmap
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal import SharedRecord


def make_record(layout: str) -> tuple[SharedRecord, memoryview]:
    memory = memoryview(bytearray(SharedRecord.size(layout)))
    return SharedRecord(memory, layout), memory


class DiesInTheMiddle:
    """Stands in for the record's packer: writes the first bytes of the slot and no more."""

    def __init__(self, fields, n_bytes):
        self._fields = fields
        self._n_bytes = n_bytes
        self.size = fields.size

    def pack_into(self, memory, offset, *values):
        memory[offset : offset + self._n_bytes] = self._fields.pack(*values)[: self._n_bytes]
        raise InterruptedError

    def unpack_from(self, memory, offset):
        return self._fields.unpack_from(memory, offset)


def test_a_record_that_was_never_written_reads_zero():
    record, _ = make_record("qdd")
    assert record.version == 0
    assert record.read() == (0, 0.0, 0.0)


@given(st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False))))
def test_what_was_written_last_is_read_by_any_reader(rows):
    record, memory = make_record("qd")
    for row in rows:
        record.write(*row)
        assert SharedRecord(memory, "qd").read() == row
    assert record.version == len(rows)


@pytest.mark.parametrize("n_written_before", range(5))
@pytest.mark.parametrize("n_bytes", range(0, 25, 4))
def test_a_writer_that_dies_at_any_byte_leaves_the_older_record(n_written_before, n_bytes):
    record, memory = make_record("qdd")
    for k in range(n_written_before):
        record.write(k + 1, k + 1, k + 1)
    before = record.read()
    whole = record._fields
    record._fields = DiesInTheMiddle(whole, n_bytes)
    with pytest.raises(InterruptedError):
        record.write(-1, -1.0, -1.0)

    successor = SharedRecord(memory, "qdd")
    assert successor.read() == before
    assert successor.version == n_written_before
    successor.write(9, 9.0, 9.0)
    assert successor.read() == (9, 9.0, 9.0)


def test_a_reader_that_was_overtaken_by_two_writes_reads_again():
    record, memory = make_record("qq")
    record.write(1, 1)
    reader = SharedRecord(memory, "qq")
    whole = reader._fields

    class Slow:
        size = whole.size
        n_reads = 0

        def unpack_from(self, memory, offset):
            self.n_reads += 1
            if self.n_reads == 1:
                record.write(2, 2)
                record.write(3, 3)
            return whole.unpack_from(memory, offset)

    reader._fields = Slow()
    assert reader.read() == (3, 3)
    assert reader._fields.n_reads == 2


def test_update_writes_what_the_change_makes_of_the_record():
    record, _ = make_record("qd")
    record.write(1, 2.0)
    record.update(lambda row: (row[0] + 1, row[1] * 2))
    assert record.read() == (2, 4.0)


def test_memory_that_is_too_small_is_refused_with_the_size_that_is_needed():
    with pytest.raises(ValueError, match=f"needs {SharedRecord.size('qd')} bytes, not 8"):
        SharedRecord(memoryview(bytearray(8)), "qd")


def test_a_reader_in_another_process_never_sees_half_a_record(tmp_path):
    path = tmp_path / "record"
    path.write_bytes(bytes(SharedRecord.size("qqqq")))
    writer = (
        "import mmap, sys\n"
        "from hal import SharedRecord\n"
        "with open(sys.argv[1], 'r+b') as file, mmap.mmap(file.fileno(), 0) as memory:\n"
        "    record = SharedRecord(memoryview(memory), 'qqqq')\n"
        "    for k in range(1, 100_001):\n"
        "        record.write(k, -k, 2 * k, 3 * k)\n"
        "    del record\n"
    )
    process = subprocess.Popen([sys.executable, "-c", writer, str(path)])
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as memory:
        record = SharedRecord(memoryview(memory), "qqqq")
        newest = 0
        while newest < 100_000 and process.poll() is None:
            k, *rest = record.read()
            assert rest == [-k, 2 * k, 3 * k]
            assert k >= newest
            newest = k
        assert process.wait(timeout=30) == 0
        assert record.read()[0] == 100_000
        record._memory.release()
