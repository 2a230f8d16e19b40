"""A small rig: a camera that sends the truth, one bead, few workers, and no motor."""

RIG = """[camera]
driver = "sim.devices.truth:TruthCamera"
options = {{ n_tethered = 1, framerate_hz = {framerate_hz} }}
[motors]
{motors}[beads]
rois = [[0, 16, 0, 16]]
roi_px = 16
tracker = "sim.truth_tracker:read_truth"
[acquisition]
on = {on}
[settings]
"video processors n" = {workers}
"video buffer n images" = {n_images}
"video buffer n stacks" = {n_stacks}
"tracks max datapoints" = 1000
"""
SMALL_RIG = RIG.format(framerate_hz=50, motors="", on="true", workers=1, n_images=5, n_stacks=3)
