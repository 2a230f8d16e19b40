from pathlib import Path

import mm_test_adapters
import pymmcore_nano as mm
import pytest

from hal.drivers.micromanager import MicroManagerFocus, MicroManagerStage
from hal.errors import LimitError, OptionError, SettingError, UnsupportedError

SLOW_STAGE = {
    "adapter": "NotificationTester",
    "device": "NTAsyncStage",
    "lower_nm": 0,
    "upper_nm": 1e6,
    "resolution_nm": 100.0,
    "can_home": True,
}


def test_positions_are_in_nm_although_micro_managers_are_in_um():
    with MicroManagerStage() as stage:
        stage.move_to_nm(12_345.0)
        assert stage._core.getPosition("device") == pytest.approx(12.345)
        assert stage.position_nm == pytest.approx(12_345.0)


def test_the_focus_is_a_stage_under_its_own_name():
    with MicroManagerFocus() as focus:
        focus.move_to_nm(-500.0)
        assert focus.position_nm == pytest.approx(-500.0)
        assert focus.identity.driver == "micromanager.focus"


def test_a_target_outside_the_axis_is_refused_before_the_device_is_asked():
    with MicroManagerStage() as stage:
        stage.begin_move = lambda _: pytest.fail("the device was asked")
        with pytest.raises(LimitError, match="-300000 to 300000 nm"):
            stage.move_to_nm(300_001.0)


def test_a_limit_that_only_the_device_knows_is_a_limit_error_too():
    with (
        MicroManagerStage(upper_nm=1e9) as stage,
        pytest.raises(LimitError, match="Position out of range"),
    ):
        stage.move_to_nm(400_000.0)


@pytest.mark.parametrize("can_home", [False, True])
def test_the_demonstration_stage_has_no_home_whatever_the_option_says(can_home):
    with (
        MicroManagerStage(can_home=can_home) as stage,
        pytest.raises(UnsupportedError, match=r"home|homing"),
    ):
        stage.home()


def test_a_stage_that_takes_its_time_moves_until_it_is_there():
    with MicroManagerStage(**SLOW_STAGE, properties={"UpdateInterval_s": 0.005}) as stage:
        stage.move_to_nm(2_000.0)
        assert stage.is_moving
        clock = stage.context.clock
        deadline_ns = clock.monotonic_ns() + 5 * 10**9
        while stage.is_moving and clock.monotonic_ns() < deadline_ns:
            clock.sleep_s(0.001)
        assert not stage.is_moving
        assert stage.position_nm == pytest.approx(2_000.0)


def test_a_stage_that_is_under_way_can_be_stopped():
    with MicroManagerStage(**SLOW_STAGE, properties={"SlewTimePerStep_s": 0.1}) as stage:
        stage.move_to_nm(1e6)
        stage.stop()
        assert not stage.is_moving
        assert stage.position_nm < 1e5
        assert stage.target_nm == stage.position_nm


@pytest.mark.parametrize("is_moving", [False, True])
def test_a_stage_whose_adapter_can_not_stop_is_left_alone_only_while_it_stands(
    monkeypatch, is_moving
):
    class Core:
        def stop(self, label):
            raise mm.CMMError(f'Error in device "{label}": Unsupported device command (11)')

        def deviceBusy(self, label):  # noqa: N802
            return is_moving

        def unloadAllDevices(self):  # noqa: N802
            pass

    stage = MicroManagerStage()
    stage._loaded = Core()
    if is_moving:
        with pytest.raises(UnsupportedError):
            stage.halt()
    else:
        stage.halt()
    stage.close()


def test_the_limits_of_a_stage_that_nobody_told_are_asked_for():
    with pytest.raises(OptionError, match="lower_nm and upper_nm are needed"):
        MicroManagerStage(adapter="PIZStage", device="PIZStage")
    with pytest.raises(OptionError, match="must be less"):
        MicroManagerStage(lower_nm=5, upper_nm=5)


def test_the_position_is_no_setting_which_would_pass_by_the_limits():
    with MicroManagerStage() as stage:
        assert "Position" not in [setting.name for setting in stage.settings]
        with pytest.raises(SettingError, match="Position"):
            stage.set("Position", 1e9)


def test_two_stages_are_two_devices():
    with MicroManagerStage() as height, MicroManagerFocus() as focus:
        height.move_to_nm(1000.0)
        assert focus.position_nm == 0.0


def test_a_device_is_taken_from_a_configuration_file_with_the_hub_that_it_needs():
    directory = Path(mm_test_adapters.device_adapter_path())
    configuration = directory / "MMConfig_demo.cfg"
    stage = MicroManagerStage(
        configuration=str(configuration), device="Z", lower_nm=-1000, upper_nm=1000
    )
    with stage:
        assert stage.identity.vendor == "Micro-Manager DemoCamera"
        stage.move_to_nm(500.0)
        assert stage.position_nm == pytest.approx(500.0)
    with pytest.raises(OptionError, match=r"device = 'Y' is not in .*choose: Z"):
        MicroManagerStage(
            configuration=str(configuration), device="Y", lower_nm=0, upper_nm=1
        ).open()
    with pytest.raises(OptionError, match=r"nope\.cfg'.*no such file"):
        MicroManagerStage(configuration="nope.cfg", device="Z", lower_nm=0, upper_nm=1).open()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"adapter": "DemoCamra"}, "adapter = 'DemoCamra': choose one of DemoCamera"),
        ({"device": "DSatge"}, "device = 'DSatge': choose one of .*DStage"),
        ({"device": "DCam"}, "is a CameraDevice; micromanager.stage needs a StageDevice"),
        ({"adapter_path": "/nowhere"}, "adapter_path = '/nowhere': no such directory"),
    ],
)
def test_a_wrong_option_is_named_with_the_choices_that_there_are(options, words):
    stage = MicroManagerStage(lower_nm=0, upper_nm=1, **options)
    with pytest.raises(OptionError, match=words):
        stage.open()
    assert not stage.is_open
