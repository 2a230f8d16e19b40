import pytest

import hal
from hal import registry
from hal.errors import DriverError, MissingExtraError, OptionError, UnknownDriverError

MODULE = '''
import hal

class Grey(hal.Camera):
    """A grey camera.

    And more about it.
    """
    shared_memory = {"bench": 8}
    identity = hal.Identity("lab", "grey", "", "lab.grey", False)
    frame_format = hal.FrameFormat(2, 2, 8)
    is_open = False
    def __init__(self, *, level: int, rate_hz: float = 1.0):
        if level > 255:
            raise ValueError(f"level = {level}: at most 255")
    def open(self): ...
    def close(self): ...
    def start(self): ...
    def stop(self): ...
    def fetch_into(self, out): ...

class Loose(Grey):
    def __init__(self, **anything): ...

not_a_class = 1
'''

ENTRY_POINTS = """
[magscope.drivers]
lab.grey = lab_grey:Grey
lab.absent = lab_nowhere:Grey
lab.renamed = lab_grey:Gone
lab.broken = lab_broken
lab.broken-import = lab_broken:Camera
lab.extra = lab_extra:Camera [vendor]
lab.needs = lab_extra:Camera
lab.no-class = lab_grey:not_a_class

[magscope.adapters]
lab_other.Cam = lab_adapters:cam
lab_other.Odd = lab_adapters:nothing
"""

OTHER = """
class Cam: ...
class Mine(Cam): ...
class Odd: ...
class Foreign: ...
"""

ADAPTERS = """
from lab_grey import Loose

def cam(device, name):
    return type(device.__name__, (Loose,), {"made_for": (device, name)})
"""


@pytest.fixture
def lab(tmp_path, monkeypatch):
    info = tmp_path / "lab_drivers-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lab-drivers\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    (tmp_path / "lab_grey.py").write_text(MODULE)
    (tmp_path / "lab_broken.py").write_text("raise RuntimeError('no\\nlicence')\n")
    (tmp_path / "lab_other.py").write_text(OTHER)
    (tmp_path / "lab_adapters.py").write_text(ADAPTERS)
    (tmp_path / "lab_extra.py").write_text("import vendor_sdk_of_nobody\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def listed(name: str) -> registry.DriverEntry:
    return next(entry for entry in registry.available_drivers() if entry.name == name)


def test_a_driver_of_any_installed_package_is_listed_with_its_kind_and_first_line(lab):
    entry = listed("lab.grey")
    assert (entry.kind, entry.summary, entry.problem) == ("camera", "A grey camera.", "")
    assert entry.target == "lab_grey:Grey"


def test_a_broken_driver_is_listed_with_its_reason_in_one_line_and_hides_no_other(lab):
    names = [entry.name for entry in registry.available_drivers()]
    assert names == sorted(names)
    assert {"lab.grey", "lab.absent", "lab.broken-import", "replay"} <= set(names)
    problem = listed("lab.broken-import").problem
    assert "RuntimeError: no licence" in problem
    assert "\n" not in problem
    assert listed("lab.broken-import").kind == ""


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("lab.absent", UnknownDriverError, "no module 'lab_nowhere'"),
        ("lab.renamed", UnknownDriverError, "module lab_grey has no 'Gone'"),
        ("lab.no-class", DriverError, "not a class"),
        ("lab.broken-import", DriverError, "fails to import"),
        ("lab.broken", DriverError, "'lab_broken' should be package.module:Class"),
        ("lab.needs", MissingExtraError, "pip install vendor_sdk_of_nobody"),
        ("lab.extra", MissingExtraError, r'pip install "lab-drivers\[vendor\]"'),
        ("lab.greys", UnknownDriverError, "no driver 'lab.greys'.*lab.grey.*package.module:Class"),
        ("nowhere_at_all:Camera", UnknownDriverError, "no module 'nowhere_at_all'"),
        ("lab_grey:Gray", UnknownDriverError, "has no 'Gray'"),
        ("lab_grey:", UnknownDriverError, "package.module:Class"),
        (":Grey", UnknownDriverError, "package.module:Class"),
    ],
)
def test_a_driver_that_can_not_be_loaded_says_why_and_what_to_do(lab, name, kind, words):
    with pytest.raises(kind, match=words):
        registry.load_driver(name)


def test_the_extra_of_our_own_driver_is_named_with_the_line_that_installs_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pymmcore_nano", None)
    for name in list(__import__("sys").modules):
        if name.startswith("hal.drivers.micromanager"):
            monkeypatch.delitem(__import__("sys").modules, name)
    with pytest.raises(MissingExtraError, match=r'pip install "magscope-rig\[micromanager\]"'):
        registry.load_driver("micromanager.camera")


def test_a_class_in_any_module_is_a_driver_too(lab):
    camera = registry.create("lab_grey:Grey", {"level": 3})
    assert isinstance(camera, hal.Camera)
    assert bytes(camera.context.shared("bench")) == bytes(8)


def test_a_class_of_another_library_becomes_a_driver_by_the_adapter_for_its_base(lab):
    driver = registry.load_driver("lab_other:Mine")
    assert issubclass(driver, hal.Camera)
    assert driver.made_for[0].__name__ == "Mine"
    assert driver.made_for[1] == "lab_other:Mine"


def test_an_adapter_that_fails_says_so_and_what_has_none_stays_what_it_is(lab):
    with pytest.raises(DriverError, match="the adapter lab_adapters:nothing fails: Attr"):
        registry.load_driver("lab_other:Odd")
    assert registry.load_driver("lab_other:Foreign").__name__ == "Foreign"


def test_no_adapter_is_imported_for_a_class_that_needs_none(lab, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "microscope", None)  # as if not installed
    for name in list(__import__("sys").modules):
        if name.startswith("hal.drivers.microscope"):
            monkeypatch.delitem(__import__("sys").modules, name)
    assert registry.load_driver("lab_other:Foreign").__name__ == "Foreign"
    with pytest.raises(MissingExtraError, match=r'pip install "magscope-rig\[microscope\]"'):
        registry.load_driver("microscope.camera")


def test_a_device_is_built_closed_and_given_its_context(lab):
    context = hal.DeviceContext(seed=5)
    camera = registry.create("lab.grey", {"level": 3}, context)
    assert camera.context is context
    assert not camera.is_open


def test_an_unknown_option_is_refused_with_the_options_that_there_are(lab):
    with pytest.raises(OptionError, match=r"no option 'levle'; it has: level, rate_hz"):
        registry.create("lab.grey", {"levle": 3})


def test_an_option_that_is_needed_and_not_given_is_named(lab):
    with pytest.raises(OptionError, match="needs the option 'level'"):
        registry.create("lab.grey", {"rate_hz": 3.0})


def test_an_option_that_the_driver_refuses_is_an_option_error(lab):
    with pytest.raises(OptionError, match="level = 300: at most 255"):
        registry.create("lab.grey", {"level": 300})


def test_a_driver_that_takes_any_option_is_given_any_option(lab):
    assert registry.create("lab_grey:Loose", {"whatever": 1})
