"""The examples of devices: short, and whole; `test_conformance` runs them through everything."""

import tomllib
from pathlib import Path

import numpy as np
import pytest

from hal.registry import check_options, create, load_driver

EXAMPLES = Path(__file__).parents[2] / "examples"
RIG_FILES = (
    "genicam.toml",
    "micromanager.toml",
    "micromanager_stage.toml",
    "microscope.toml",
    "zaber_on_bench.toml",
)


@pytest.mark.parametrize("name", ["custom_camera.py", "custom_motor.py"])
def test_an_example_of_a_device_has_fewer_than_40_lines(name):
    assert len((EXAMPLES / name).read_text().splitlines()) < 40


def test_the_example_camera_gives_frames_at_the_rate_of_its_option(
    examples_on_path, clock, context
):
    camera = create("custom_camera:MyCamera", {"framerate_hz": 200.0}, context)
    camera.open()
    camera.start()
    out = np.zeros(camera.frame_format.shape, camera.frame_format.dtype)
    clock.sleep_s(0.0151)
    infos = []
    while info := camera.fetch_into(out):
        infos.append((info.frame_number, int(out[0, 0])))
    assert infos == [(0, 0), (1, 1), (2, 2), (3, 3)]


def test_the_example_motor_takes_the_time_that_its_speed_says(examples_on_path, clock, context):
    motor = create("custom_motor:MyMotor", {}, context)
    motor.open()
    motor.move_to_nm(2e6)
    clock.sleep_s(1.0)
    assert motor.is_moving
    assert motor.position_nm == pytest.approx(1e6)
    clock.sleep_s(1.0)
    assert not motor.is_moving
    assert motor.position_nm == 2e6


@pytest.mark.parametrize("name", RIG_FILES)
def test_the_example_rigs_name_drivers_and_options_that_there_are(examples_on_path, name):
    rig = tomllib.loads((EXAMPLES / name).read_text())
    parts = [rig["camera"]] if "camera" in rig else []
    for part in parts + list(rig.get("motors", {}).values()):
        driver = load_driver(part["driver"])
        check_options(part["driver"], driver, part.get("options", {}))
