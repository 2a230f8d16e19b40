"""What a router ought to do, in a few plain lines: who gets what, and what is reported."""

from dataclasses import dataclass, field

EVERYBODY = "ManagerProcessBase"
KIND = "Probe"
Post = tuple[str, int]


@dataclass
class RouterModel:
    """A dictionary of queues.

    Args:
        names: The managers.
        limit: How many messages wait for a manager that does not read.
        in_pipe: How many messages its pipe holds at most.

    Attributes:
        state: `running`, `stalled`, `resuming`, `quitting` or `gone`.
        due: What each manager is to get, in order, whether it did yet or not.
        got: How many of these it got.
        refused: What is to be reported for each.
        unknown: What is to be reported for nobody.
        doubtful: What its sender may have died too early to send.
        large: What no pipe holds whole.
        excused: What was refused while its receiver's queue was full, or when it was gone.
    """

    names: tuple[str, ...]
    limit: int
    in_pipe: int
    state: dict[str, str] = field(init=False)
    due: dict[str, list[Post]] = field(init=False)
    got: dict[str, int] = field(init=False)
    refused: dict[str, list[Post]] = field(init=False)
    unknown: list[Post] = field(default_factory=list)
    doubtful: set[Post] = field(default_factory=set)
    large: set[Post] = field(default_factory=set)
    excused: set[Post] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.state = dict.fromkeys(self.names, "running")
        self.due = {name: [] for name in self.names}
        self.refused = {name: [] for name in self.names}
        self.got = dict.fromkeys(self.names, 0)

    def send(self, to: str, post: Post) -> None:
        """A message came in at the router."""
        if to not in (*self.names, KIND, EVERYBODY):
            self.unknown.append(post)
        for name in self.names if to in (KIND, EVERYBODY) else (to,):
            if self.state.get(name) in ("running", "stalled", "resuming"):
                self.due[name].append(post)
            elif name in self.state and to != EVERYBODY:
                self.refused[name].append(post)

    def waiting(self, name: str) -> int:
        """Return how many messages a manager has not got yet."""
        return len(self.due[name]) - self.got[name]

    def compare(self, name: str, got: list[Post], reported: list[Post]) -> str:
        """Compare what a manager got, and what was reported of it; return what is wrong, or ""."""
        if len(set(reported)) != len(reported):
            return f"R1: {name}: a message is reported twice: {reported}"
        if both := [post for post in got if post in reported]:
            return f"R1: {name} got {both[0]}, and it is reported as not delivered"
        for post in self.refused[name]:
            if post not in reported and post not in self.doubtful:
                return f"R1: {post} to {name}, which is {self.state[name]}, is not reported"
        refused = [post for post in reported if post not in self.refused[name]]
        expected = [p for p in self.due[name] if p not in refused and (p not in self.doubtful
                                                                       or p in got)]  # fmt: skip
        self.got[name] = len(got) + len([p for p in refused if p in self.due[name]])
        if invented := [post for post in got if post not in self.due[name]]:
            return f"R1: {name} got {invented[0]}, which nobody sent to it"
        if got != expected[: len(got)]:
            return f"R1: {name} got {got}, and was to get {expected}"
        missing = expected[len(got) :]
        state = self.state[name]
        if state == "running" and missing:
            return f"R1: {name} reads, and did not get {missing}"
        if state == "stalled" and len(missing) > self.limit + self.in_pipe:
            return f"R5: {len(missing)} messages wait for {name}: {self.limit} may"
        if state == "gone" and (len(missing) > self.in_pipe or self.large & set(missing)):
            return f"R1: {name} is gone, and {missing} are neither delivered nor reported"
        if new := [post for post in refused if post not in self.excused]:
            if state == "running":
                return f"R1: {new} to {name} are refused, and it reads"
            most = len(missing) + len(self.doubtful & set(self.due[name]) - set(got))
            if state == "stalled" and most < self.limit:
                return f"R1: {new} to {name} are refused though only {most} wait"
            self.excused.update(new)
        return ""
