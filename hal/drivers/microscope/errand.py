"""A call that the library makes no end of, in a thread that nobody has to wait for."""

import threading
from collections.abc import Callable

from hal.drivers.microscope.errors import translated


class Errand:
    """Makes a call in a thread of its own. Some of the library's calls wait without a bound.

    Args:
        call: What to do.
        doing: What that is, for the message of an error.
    """

    def __init__(self, call: Callable[[], object], doing: str) -> None:
        self._call, self._doing = call, doing
        self._over = threading.Event()
        self._error: Exception | None = None
        threading.Thread(target=self._run, name=doing, daemon=True).start()

    def wait(self, seconds: float) -> bool:
        """Wait so long at most, and return whether the call has returned.

        Raises:
            DeviceError: It failed; told once.
        """
        if not self._over.wait(max(seconds, 0.0)):
            return False
        error, self._error = self._error, None
        if error is not None:
            with translated(self._doing):
                raise error
        return True

    def join(self) -> None:
        """Wait until the call has returned, however it did."""
        self._over.wait()

    def _run(self) -> None:
        try:
            self._call()
        except Exception as error:  # noqa: BLE001, RUF100 - it is raised where somebody waits
            self._error = error
        finally:
            self._over.set()
