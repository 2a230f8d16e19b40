"""Hat curves: the magnets turn to one side and to the other, at several forces.

    magscope run --script examples/hat_curve.py --for 35 --record out

Heights are for the simulated rig with its MyOne beads. At low force a tether buckles and shortens
on both sides; at high force it gets no shorter when it is unwound. A nicked one never does.
"""

from magscope.scripting import Script

MAGNET_HEIGHTS_NM = {"0.27 pN": 8e6, "0.58 pN": 6e6, "2.1 pN": 3e6}
TURNS = 15.0
TURNS_PER_S = 5.0
SETTLE_S = 1.0

script = Script()
script("set_motor_setting", "magnet_rotation", "speed_turns_per_s", TURNS_PER_S)
script("move_motor", "magnet_rotation", -TURNS, wait=True)
side = TURNS
for force, height_nm in MAGNET_HEIGHTS_NM.items():
    script("move_motor", "magnet_height", height_nm, wait=True)
    script("sleep", SETTLE_S)
    script("note", f"hat curve at {force}")
    script("move_motor", "magnet_rotation", side, wait=True)
    side = -side
script("move_motor", "magnet_rotation", 0.0, wait=True)
script("note", "end of the hat curves")
