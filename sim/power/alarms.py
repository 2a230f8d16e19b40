"""Worlds of the code as it is: none of them may fail."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

from sim.power.results import Results
from sim.power.trial import Result
from sim.power.watchdog import TrialError, run_trials

SEEDS_A_CHUNK = 250
_PACKAGES = ("hal", "magscope", "sim")
_NOT_MEASURED = ("sim/power/", "sim/campaign/", "magscope/cli/")


def chunks(seeds: range) -> list[range]:
    """Return the ranges that are run one at a time; those of an earlier, shorter run are among."""
    starts = range(seeds.start, seeds.stop, SEEDS_A_CHUNK)
    return [range(start, min(start + SEEDS_A_CHUNK, seeds.stop)) for start in starts]


def key_of(strategy: str, seeds: range, code: str) -> str:
    """Return under what the result of a range is kept; another code's results are not this one's.

    Args:
        strategy: Of the trials.
        seeds: Of the worlds.
        code: A digest of the code; see `digest_of_code`.
    """
    return f"correct {code} {strategy} {seeds.start}:{seeds.stop}"


def digest_of_code() -> str:
    """Return what changes with the code that is measured and with what measures it."""
    found = sha256()
    for package in _PACKAGES:
        spec = find_spec(package)
        assert spec is not None
        top = Path(str(spec.origin)).parent
        for path in sorted(top.rglob("*.py")):
            name = path.relative_to(top.parent).as_posix()
            if not name.startswith(_NOT_MEASURED):
                found.update(name.encode() + b"\0" + path.read_bytes())
    return found.hexdigest()[:16]


def run_alarms(
    strategy: str, seeds: range, directory: Path, results: Results, *, code: str, at_once: int
) -> Iterator[Result]:
    """Run the worlds that have no result yet, so many processes at once; yield each range's result.

    Raises:
        TrialError: A process ended without a result.
    """
    waiting = []
    for part in chunks(seeds):
        known = results.get(key_of(strategy, part, code))
        if known is None:
            waiting.append(part)
        else:
            yield known
    with ThreadPoolExecutor(at_once) as pool:  # its threads only wait for processes
        futures = {
            pool.submit(
                run_trials, None, directory, strategy, [part], float("inf"), stops=False
            ): part
            for part in waiting
        }
        try:
            for future in as_completed(futures):
                (result,) = future.result()
                results.add(key_of(strategy, futures[future], code), result)
                yield result
        except (TrialError, KeyboardInterrupt):
            pool.shutdown(cancel_futures=True)
            raise


def upper_bound(failures: int, worlds: int) -> float:
    """Return the largest share of worlds that may fail, with 95 % confidence, if none has failed.

    The rule of three, exactly: 1 - 0.05^(1/n).
    """
    if failures or not worlds:
        return 1.0
    return float(1.0 - 0.05 ** (1.0 / worlds))
