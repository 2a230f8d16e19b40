import inspect

import pytest

from hal import errors

CLASSES = [
    c for _, c in inspect.getmembers(errors, inspect.isclass) if c.__module__ == errors.__name__
]

BUILT_INS = {
    errors.DeviceTimeoutError: TimeoutError,
    errors.DisconnectedError: ConnectionError,
    errors.LimitError: ValueError,
    errors.SettingError: ValueError,
    errors.UnsupportedError: NotImplementedError,
    errors.UnknownDriverError: LookupError,
    errors.MissingExtraError: ImportError,
    errors.OptionError: ValueError,
}


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_is_a_device_error_with_a_docstring_and_a_place_in_the_tree(kind):
    assert issubclass(kind, errors.DeviceError)
    assert kind.__doc__
    assert kind.__name__ in errors.__doc__


@pytest.mark.parametrize(("kind", "built_in"), BUILT_INS.items())
def test_an_error_is_also_the_built_in_that_fits(kind, built_in):
    assert issubclass(kind, built_in)
    with pytest.raises(built_in, match="why"):
        raise kind("why")


def test_what_makes_a_driver_unusable_is_a_driver_error():
    for kind in (errors.UnknownDriverError, errors.MissingExtraError, errors.OptionError):
        assert issubclass(kind, errors.DriverError)
