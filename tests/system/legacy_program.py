"""A lab's own program: its camera and hardware, put into a MagScope by hand."""

import json
import multiprocessing
import sys
from pathlib import Path

from legacy_rig import MyCamera, MyFocus, MyThermometer

from magscope.scope import MagScope


def main(method, directory, script):
    multiprocessing.set_start_method(method)
    scope = MagScope()
    scope.camera_manager.camera = MyCamera()
    scope.add_hardware(MyThermometer())
    scope.add_hardware(MyFocus())
    scope.settings = {"video buffer n images": 10, "video processors n": 1, "bead roi width": 16}
    scope.record_dir = Path(directory)
    scope.script_path = Path(script)

    def look(now):
        is_over = any("script finished" in line.text for line in now.log)
        if is_over and now.frames.processed >= 20 and now.state == "running":
            scope.stop()

    scope.observe(look, 0.05)
    scope.start()
    print(json.dumps(scope.report.to_json()))
    return 0 if scope.report.is_clean else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
