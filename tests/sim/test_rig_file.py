import tomllib
from importlib.resources import as_file, files

from hal.registry import create


def test_the_default_rig_names_drivers_options_settings_and_a_table_that_exist(rig) -> None:
    with as_file(files("sim") / "rigs" / "default.toml") as path:
        described = tomllib.loads(path.read_text())
        assert (path.parent / described["beads"]["zlut"]).is_file()
    devices = {"camera": described["camera"], **described["motors"]}
    assert set(devices) == {"camera", "magnet_height", "magnet_rotation", "focus"}
    for device in devices.values():
        opened = rig.open(create(device["driver"], device.get("options"), rig.context))
        for name, value in device.get("settings", {}).items():
            assert opened.set(name, value) == value
