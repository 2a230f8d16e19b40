"""Whether somebody at the terminal has pressed Enter, without waiting for it."""

import os
import sys

if sys.platform == "win32":
    import msvcrt

    def enter_was_pressed() -> bool:
        """Whether Enter was pressed since the last look; other keys are thrown away."""
        pressed = False
        while sys.stdin is not None and sys.stdin.isatty() and msvcrt.kbhit():
            pressed = msvcrt.getwch() in "\r\n" or pressed
        return pressed

else:
    import select

    _READ_BYTES = 4096

    def enter_was_pressed() -> bool:
        """Whether Enter was pressed since the last look; other keys are thrown away.

        Never reads from a terminal while another job has it, which would stop this one.
        """
        try:
            descriptor = sys.stdin.fileno()
            if not os.isatty(descriptor) or os.tcgetpgrp(descriptor) != os.getpgrp():
                return False
            if not select.select([descriptor], [], [], 0)[0]:
                return False
            return b"\n" in os.read(descriptor, _READ_BYTES)
        except (AttributeError, OSError, ValueError):  # there is no terminal, or no longer
            return False
