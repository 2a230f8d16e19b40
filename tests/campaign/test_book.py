import pytest
from campaign_tools import HereEngine, carried_out, source

from sim.campaign.book import RESULTS, Book, BookError
from sim.campaign.summary import summarise


def facts(book):
    """What a campaign comes to, whichever way it went."""
    found = [(d.failed.digest, d.worlds, d.like_it, d.file) for d in book.distinct()]
    totals = {key: value for key, value in book.totals.items() if key != "wall_s"}
    return book.hash, len(book.done), sorted(found), totals, dict(book.reached)


def test_a_campaign_that_was_ended_at_any_line_or_within_it_goes_on_to_the_same_end(tmp_path):
    whole, _ = carried_out(tmp_path / "whole", "two_failures", 60)
    text = (tmp_path / "whole" / RESULTS).read_bytes()
    ends = [place + 1 for place, byte in enumerate(text) if byte == 10]
    assert len(ends) > 8
    places = [0, 1, ends[0] - 1, *ends, *(end + 20 for end in ends[:-1]), len(text) - 1]
    for number, place in enumerate(places):
        directory = tmp_path / str(number)
        directory.mkdir()
        (directory / RESULTS).write_bytes(text[:place])
        book, ending = carried_out(directory, "two_failures", 60)
        assert ending == "done"
        assert facts(book) == facts(whole)
        files = {path.name for path in (directory / "failures").iterdir()}
        assert len(files) == 2
        with Book(directory, source("two_failures")) as again:
            assert facts(again) == facts(whole)


def test_a_second_start_runs_nothing_again(tmp_path):
    first, _ = carried_out(tmp_path, "two_failures", 50)
    engine = HereEngine(source("two_failures"))
    again, ending = carried_out(tmp_path, "two_failures", 50, engine=engine)
    assert (engine.jobs, ending) == ([], "done")
    assert facts(again) == facts(first)


def test_more_seeds_may_be_added_later(tmp_path):
    carried_out(tmp_path / "a", "two_failures", 30)
    grown, _ = carried_out(tmp_path / "a", "two_failures", 80)
    whole, _ = carried_out(tmp_path / "b", "two_failures", 80)
    assert facts(grown)[0] == facts(whole)[0]
    assert grown.failed_worlds == whole.failed_worlds == 9


def test_a_line_that_can_not_be_read_is_run_again_and_one_that_is_there_twice_counts_once(tmp_path):
    whole, _ = carried_out(tmp_path, "two_failures", 50)
    path = tmp_path / RESULTS
    lines = path.read_text().splitlines()
    lines[2] = lines[2][:20] + "#" + lines[2][21:]
    lines.append(lines[4])
    path.write_text("\n".join(lines) + "\n")
    again, _ = carried_out(tmp_path, "two_failures", 50)
    assert facts(again)[:2] == facts(whole)[:2]
    assert again.failed_worlds == whole.failed_worlds


@pytest.mark.parametrize("key", ["source", "code"])
def test_results_of_something_else_are_not_gone_on_with(tmp_path, key):
    carried_out(tmp_path, "good", 20)
    path = tmp_path / RESULTS
    title, *rest = path.read_text().splitlines()
    path.write_text("\n".join([title.replace(f'"{key}":"', f'"{key}":"other'), *rest]) + "\n")
    with pytest.raises(BookError, match="--fresh"):
        Book(tmp_path, source("good"))
    with Book(tmp_path, source("good"), fresh=True) as book:
        assert len(book.done) == 0


@pytest.mark.parametrize("text", ["a letter", "a letter\n", '{"campaign":7}\n'])
def test_a_file_that_is_no_campaign_s_is_left_alone(tmp_path, text):
    (tmp_path / RESULTS).write_text(text)
    with pytest.raises(BookError, match="is no campaign's"):
        Book(tmp_path, source("good"))
    assert (tmp_path / RESULTS).read_text() == text


def test_failures_like_others_are_counted_but_not_looked_at(tmp_path):
    book, _ = carried_out(tmp_path, "many_stories", 30)
    distinct = book.distinct()
    assert len(distinct) == 5
    assert sum(d.worlds for d in distinct) + sum(d.like_it for d in distinct) == 30
    assert len(list((tmp_path / "failures").iterdir())) == 5


def test_states_that_were_never_reached_are_named(tmp_path):
    from standins import STATES

    from sim.campaign.drive import Campaign, Goal

    with Book(tmp_path, source("good")) as book:
        campaign = Campaign(book, HereEngine(source("good")), Goal(0, 20))
        campaign.run()
        summary = summarise(book, campaign.progress, "done", frozenset(STATES))
    assert summary["reached"] == {STATES[0]: 4}
    assert summary["never_reached"] == [STATES[1]]
