"""The machines find nothing in the system as it is; `python -m sim.machines` runs them longer."""

from hypothesis import settings

from sim import machines
from sim.machines.profiles import of


def case(machine, examples, steps):
    test = machine.TestCase
    test.settings = settings(of(machine, "ci"), max_examples=examples, stateful_step_count=steps)
    return test


TestRouter = case(machines.RouterMachine, 60, 20)
TestShutdown = case(machines.ShutdownMachine, 40, 10)
TestPoolVideoFlag = case(machines.PoolVideoFlagMachine, 100, 25)
TestSystem = case(machines.SystemMachine, 12, 10)
