"""A camera of python-microscope while it takes frames: started, looked after, and stopped."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hal.clock import NS_PER_S, Clock
from hal.drivers.microscope.errand import Errand
from hal.drivers.microscope.errors import Overheard, in_a_line, translated
from hal.drivers.microscope.inbox import Arrival, Inbox, PartedError, Parting
from hal.drivers.microscope.making import shut_down
from hal.drivers.microscope.triggers import Trigger
from hal.errors import DeviceError, DeviceTimeoutError

_LOOK_S = 0.0002


class Running:
    """Starts and stops the library's threads, and tells when one of them fails.

    The library catches what is raised in its threads, and writes it to its log. It waits without a
    bound for a thread to end, and for ever if that thread has just been started.

    Args:
        device: The library's camera.
        enable: Enables it, or raises.
        clock: The time.
        timeout_s: How long what should take no time may take, beside an exposure.
    """

    def __init__(
        self, device: Any, enable: Callable[[Any], None], clock: Clock, timeout_s: float
    ) -> None:
        self._device, self._enable, self._clock = device, enable, clock
        self._timeout_s = timeout_s
        self._overheard = Overheard()
        self._overheard.begin()
        self._ending: Errand | None = None
        self._ended_by: BaseException | None = None
        self._is_client = False
        for name in ("_fetch_loop", "_dispatch_loop"):
            if hasattr(device, name):
                setattr(device, name, self._guarded(getattr(device, name)))
        self.exposure_s = 0.0
        self.inbox: Inbox | None = None

    @property
    def patience_s(self) -> float:
        """How long to wait for a frame, or for a frame under way to end."""
        return self.exposure_s + self._timeout_s

    def start(self, inbox: Inbox, trigger: Trigger) -> None:
        """Let the camera take frames, which go into `inbox`.

        Raises:
            DeviceTimeoutError: It has not stopped since the last time.
            DeviceError: It can not be enabled or triggered.
        """
        self.settle()
        self._device.set_client(inbox)
        self.inbox, self._is_client = inbox, True
        try:
            self._begin(inbox, trigger)
        except BaseException:
            self.stop(0.0)
            raise

    def stop(self, seconds: float) -> None:
        """Let the camera take no more frames; wait so long at most for one that is under way.

        Raises:
            DeviceError: It can not be disabled.
        """
        inbox, self.inbox = self.inbox, None
        if inbox is None:
            return
        inbox.end()
        self._end(for_good=True)
        assert self._ending is not None
        self._ending.wait(seconds)

    def settle(self) -> None:
        """Wait until the camera has stopped.

        Raises:
            DeviceTimeoutError: It does not within the exposure and `timeout_s`.
            DeviceError: It failed to stop.
        """
        if self._ending is None:
            return
        if not self._ending.wait(self.patience_s):
            raise DeviceTimeoutError(
                f"the camera has not stopped within {self.patience_s:g} s: it hangs in a call of "
                "its library; close it, and switch it off and on"
            )
        self._ending = None

    @contextmanager
    def paused(self, trigger: Trigger) -> Iterator[None]:
        """Stop a camera that takes frames, and let it go on afterwards with the next number.

        Raises:
            DeviceError: It can not be stopped, or not be started again.
        """
        inbox = self.inbox
        if inbox is None or inbox.has_failed:
            self.settle()
            yield
            return
        inbox.end()
        self._end(for_good=False)
        self.settle()
        try:
            yield
        finally:
            self._begin(inbox, trigger)

    def trial(self, trigger: Trigger) -> Any:
        """Return one frame of a camera that is stopped or paused.

        Raises:
            DeviceTimeoutError: None comes within the exposure and `timeout_s`.
            DeviceError: The camera failed.
        """
        device = self._device
        box = Inbox(self._clock, 1)
        device.set_client(box)
        try:
            self._begin(box, trigger)
            if trigger.is_for_each_frame:
                with translated("sending a trigger"):
                    device.trigger()
            if not box.wait(self.patience_s):
                box.fail(self._what_is_wrong(box, trigger) or _nothing_came(self.patience_s))
            with translated("taking a frame to see what frames are like"):
                arrival = box.take()
            assert arrival is not None
            return arrival.pixels
        finally:
            box.end()
            self._end(for_good=False)
            try:
                self.settle()
            finally:
                device.set_client(None)

    def next(self, trigger: Trigger) -> Arrival | None:
        """Return the oldest frame that waits, or None.

        Raises:
            DeviceTimeoutError: No frame has come for longer than one takes.
            DeviceError: The camera, or a thread of the library, failed. It is stopped then, and
                this is raised until it is started anew.
        """
        inbox = self.inbox
        if inbox is None:
            return None
        if not inbox.waits:
            error = self._what_is_wrong(inbox, trigger)
            if error is not None:
                inbox.fail(error)
        try:
            with translated("the camera failed while taking frames"):
                return inbox.take()
        except DeviceError:
            if self._ending is None:
                self._end(for_good=True)
            raise

    def fail(self, error: Exception) -> None:
        """Take nothing more: a frame makes no sense."""
        if self.inbox is not None:
            self.inbox.fail(error)

    def last_errand(self, root: Any) -> Callable[[], None]:
        """Return what ends it all: the camera, and the library's threads."""
        self._overheard.end()
        ending, device = self._ending, self._device

        def end() -> None:
            if ending is not None:
                ending.join()
            try:
                shut_down(root)
            finally:
                if _lives(device, "_dispatch_thread"):
                    device.set_client(Parting())
                    device._put(RuntimeError("closed"), 0.0)  # noqa: SLF001 - else it lives on

        return end

    def _begin(self, inbox: Inbox, trigger: Trigger) -> None:
        self._ended_by = None
        self._overheard.forget()
        self._enable(self._device)
        self._wait_for_the_thread()
        for name in ("_fetch_thread", "_dispatch_thread"):
            self._overheard.threads.add(_ident(self._device, name))
        with translated("sending a trigger"):
            inbox.begin()
            if trigger.is_for_the_start:
                self._device.trigger()

    def _guarded(self, loop: Callable[[], None]) -> Callable[[], None]:
        """Return what a thread of the library does, with a note of what ended it."""

        def guarded() -> None:
            try:
                loop()
            except PartedError:  # as it was told to
                return
            except BaseException as error:  # noqa: BLE001, RUF100 - raised where frames are fetched
                self._ended_by = error

        return guarded

    def _end(self, *, for_good: bool) -> None:
        """Disable the camera in a thread: that waits for the exposure that is under way."""
        if self._ending is not None:
            return
        device = self._device

        def disable() -> None:
            try:
                device.disable()
            finally:
                if for_good and self._is_client:
                    self._is_client = False
                    device.set_client(None)

        self._ending = Errand(disable, "stopping the camera")

    def _wait_for_the_thread(self) -> None:
        """See the library's thread begin: one that is told to end before that never ends."""
        deadline_ns = self._clock.monotonic_ns() + round(self._timeout_s * NS_PER_S)
        while not getattr(self._device, "_fetch_thread_run", True):
            if getattr(self._device, "_using_callback", False):
                return
            if self._clock.monotonic_ns() > deadline_ns:
                raise DeviceTimeoutError(
                    f"the library's thread has not begun within {self._timeout_s:g} s"
                )
            self._clock.sleep_s(_LOOK_S)

    def _what_is_wrong(self, inbox: Inbox, trigger: Trigger) -> Exception | None:
        # What went wrong in the other thread is delivered like a frame, in its turn.
        error = self._overheard.first_in(_ident(self._device, "_dispatch_thread"))
        if error is not None:
            return error
        threads = ["_dispatch_thread"]
        if not getattr(self._device, "_using_callback", False):
            threads.append("_fetch_thread")
        is_gone = any(
            hasattr(self._device, name) and not _lives(self._device, name) for name in threads
        )
        if is_gone or self._ended_by is not None:
            reasons = [*self._overheard.everywhere(), self._ended_by]
            why = "; ".join(in_a_line(reason) for reason in reasons if reason is not None)
            return DeviceError(
                f"a thread of the library's has ended by itself ({why or 'without a word'}); no "
                "frame comes any more: start the camera again"
            )
        if trigger.is_ours and inbox.silent_ns > self.patience_s * NS_PER_S:
            return _nothing_came(self.patience_s)
        return None


def _nothing_came(seconds: float) -> DeviceTimeoutError:
    return DeviceTimeoutError(
        f"no frame has come for {seconds:g} s, the exposure and timeout_s together: is the camera "
        "on, and does its trigger come? start it again"
    )


def _lives(device: Any, name: str) -> bool:
    thread = getattr(device, name, None)
    return thread is not None and thread.is_alive()


def _ident(device: Any, name: str) -> int | None:
    ident: int | None = getattr(getattr(device, name, None), "ident", None)
    return ident
