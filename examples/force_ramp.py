"""Force ramp: the magnets come down, so that the force rises, and go up again.

    magscope run --script examples/force_ramp.py --for 30 --record out

Heights are for the simulated rig, whose MyOne beads feel 0.13 pN at 10 mm and 6.8 pN at 1 mm.
"""

from magscope.scripting import Script

WEAK_NM = 10e6
STRONG_NM = 1e6
STEPS = 6
DWELL_S = 1.0
RAMP_S = 4.0
SPEED_NM_PER_S = 5e6

script = Script()
script("note", "low force")
script("move_motor", "magnet_height", WEAK_NM, speed=SPEED_NM_PER_S, wait=True)
script("sleep", DWELL_S)

script("note", "up and down in steps")
step_nm = (STRONG_NM - WEAK_NM) / STEPS
for n in [*range(1, STEPS + 1), *reversed(range(STEPS))]:
    script("move_motor", "magnet_height", WEAK_NM + n * step_nm, wait=True)
    script("sleep", DWELL_S)

script("note", "up and down without a stop")
ramp_nm_per_s = abs(STRONG_NM - WEAK_NM) / RAMP_S
script("move_motor", "magnet_height", STRONG_NM, speed=ramp_nm_per_s, wait=True)
script("move_motor", "magnet_height", WEAK_NM, speed=ramp_nm_per_s, wait=True)
script("note", "end of the ramp")
