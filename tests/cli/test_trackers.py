"""The tracker that a rig file names."""

from pathlib import Path

import pytest

from magscope.rig import RigError, read_rig
from magscope.trackers import BUILT_IN, load_tracker
from magscope.tracking import track_crops


def test_the_built_in_tracker_is_the_one_of_the_tracking_module():
    assert load_tracker(BUILT_IN) is track_crops


@pytest.mark.parametrize(
    "name", ["magscope.tracking", "magscope.tracking:nothing", "no.module:f", "magscope:__name__"]
)
def test_a_rig_file_that_names_no_tracker_is_refused_with_the_name_and_what_is_expected(name):
    with pytest.raises(RigError, match=r"package\.module:function") as refusal:
        read_rig(f'[beads]\ntracker = "{name}"\n', Path("rig.toml"))
    assert name in str(refusal.value)
