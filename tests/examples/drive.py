"""Run a rig file or a script until it has shown what it is to show; print the report as JSON.

`python drive.py RIG|- SCRIPT|- RECORD|-`: until a stack was processed and the script has finished.
"""

import json
import sys
from pathlib import Path

from magscope.report import Snapshot
from magscope.rig import load_rig
from magscope.scope import MagScope

DEADLINE_S = 40.0


def main(rig: str, script: str, record: str) -> int:
    scope = MagScope(load_rig(None if rig == "-" else Path(rig)))
    scope.script_path = None if script == "-" else Path(script)
    if record != "-":
        scope.record_dir = Path(record)
        scope.record_dir.mkdir()
    scope.run_for_s = DEADLINE_S
    is_done = False

    def look(now: Snapshot) -> None:
        nonlocal is_done
        has_finished = any("script finished" in line.text for line in now.log)
        has_processed = now.frames.processed + now.frames.lost > 0
        is_done = is_done or (has_processed and (script == "-" or has_finished))
        if is_done and now.state == "running":
            scope.stop()

    scope.observe(look, 0.05)
    scope.start()
    print(json.dumps(scope.report.to_json()))
    return 0 if is_done and scope.report.is_clean else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
