"""Each acquisition mode does what it says, from the rig file and while running."""

from systemtools import small_rig


def test_a_small_rig_tracks(live):
    def story(system):
        yield "a first track", lambda now: now.tracks_rows > 0

    report = live(small_rig(), story)
    assert report.is_clean


def test_a_small_rig_tracks2(live):
    import time, cProfile

    t = time.time()

    def story(system):
        yield "x", lambda now: now.state == "running"
        print(time.time() - t, "running")
        yield "x", lambda now: now.frames.delivered > 0
        print(time.time() - t, "frames")
        yield "x", lambda now: system.logged("found")
        print(time.time() - t, "found")
        yield "a first track", lambda now: now.tracks_rows > 0
        print(time.time() - t, "track")
        print([(l.t_s, l.text) for l in now.log]) if 0 else None

    report = live(small_rig(), story)
    print(time.time() - t, "end")
    assert report.is_clean
