import pytest

from magscope.board import FIELDS, Board


@pytest.fixture
def board():
    made = Board(["a", "b"], create=True)
    yield made
    made.close()


def test_a_record_reads_0_before_it_was_written(board):
    assert board.read("a", ["beats", "steps"]) == {"beats": 0, "steps": 0}


def test_each_process_has_a_record_of_its_own_wherever_the_board_is_opened(board):
    other = Board(["a", "b"], create=False)
    board.write("a", {"beats": 1, "steps": -2})
    other.write("b", {"beats": 2**62})
    assert other.read("a", ["beats", "steps"]) == {"beats": 1, "steps": -2}
    assert board.read("b", ["beats", "steps"]) == {"beats": 2**62, "steps": 0}
    other.close()


def test_a_whole_record_is_written_at_once(board):
    board.write("a", {str(n): n for n in range(FIELDS)})
    board.write("a", {"0": 7})
    assert board.read("a", [str(n) for n in range(FIELDS)]) == {
        "0": 7, **{str(n): 0 for n in range(1, FIELDS)},
    }  # fmt: skip


def test_more_fields_than_a_record_has_are_refused_by_number(board):
    with pytest.raises(ValueError, match=f"at most {FIELDS}"):
        board.write("a", {str(n): n for n in range(FIELDS + 1)})


def test_who_has_no_record_is_unknown(board):
    with pytest.raises(KeyError):
        board.read("nobody", [])


def test_a_board_that_nobody_made_can_not_be_opened():
    with pytest.raises(FileNotFoundError):
        Board(["a"], create=False)


def test_closing_may_be_repeated(board):
    board.close()
    board.close()


def test_a_board_of_nobody_can_be_made():
    Board([], create=True).close()
