from sim.campaign.stories import story_digest, violation_key
from sim.world.trace import Step


def steps(t_ns=0, frames=40, worker=1):
    return [
        Step(0, "CameraManager", "note.state", "state", "running"),
        Step(t_ns, "world", "fault.crash", "", f"VideoWorker-{worker} is killed at {t_ns / 1e9} s"),
        Step(t_ns, f"VideoWorker-{worker}", "process.end", "", "-9"),
        Step(t_ns + 5, "VideoProcessorManager", "note.error", "", f"it died, {frames} lost"),
    ]


def test_times_and_numbers_do_not_tell_failures_apart():
    one = story_digest("B1: 40 frames are missing", steps())
    assert story_digest("B1: 8 frames are missing", steps(123_456_789, 8, 3)) == one


def test_the_order_of_what_happened_and_what_is_not_of_the_cause_do_not_either():
    many = steps()
    many.append(Step(9, "focus", "note.info", "", "moved"))
    many.append(Step(9, "focus", "process.end", "", "0"))
    assert story_digest("B1: x", reversed(many)) == story_digest("B1: x", steps())


def test_another_property_another_text_or_another_cause_is_another_failure():
    digests = {
        story_digest("B1: x", steps()),
        story_digest("B2: x", steps()),
        story_digest("B1: y", steps()),
        story_digest("B1: x", steps()[:1]),
    }
    assert len(digests) == 4


def test_of_a_traceback_its_first_and_its_last_line_count():
    text = 'F failed:\n  File "a.py", line 7, in f\nKeyError: 3'
    assert violation_key(text) == "F failed: KeyError: #"
    assert violation_key("S3: mgs-0a1b2c3d4e-Video is left") == "S3: mgs-#-Video is left"
    assert violation_key("Probe-1 failed: 7") == violation_key("Probe-2 failed: 8")
