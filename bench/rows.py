"""rows: the lines of the table, and how often things are done for them."""

import dataclasses
import statistics


@dataclasses.dataclass(frozen=True)
class Rounds:
    """How often each thing is done."""

    starts: int
    reloads: int
    floods: int
    memories: int
    soak: int
    idle_s: int
    pools: int
    asks: int


FULL = Rounds(starts=300, reloads=500, floods=9, memories=15, soak=10000, idle_s=10, pools=7, asks=5)
QUICK = Rounds(starts=60, reloads=100, floods=3, memories=5, soak=500, idle_s=3, pools=1, asks=2)


@dataclasses.dataclass
class Row:
    """One line of the table: figures, what was measured beside them, and what is to be reached."""

    what: str
    unit: str
    ours: list
    floor: list = dataclasses.field(default_factory=list)
    reach: str = ""
    met: bool | None = None

    @property
    def ratio(self):
        if not self.floor or not statistics.median(self.floor):
            return None
        return statistics.median(self.ours) / statistics.median(self.floor)

    def at_most(self, times):
        self.reach, self.met = f"<= {times} x", self.ratio is not None and self.ratio <= times
        return self

    def at_least(self, times):
        self.reach, self.met = f">= {times} x", self.ratio is not None and self.ratio >= times
        return self

    def below(self, limit):
        self.reach, self.met = f"<= {limit}", statistics.median(self.ours) <= limit
        return self

    def above(self, limit):
        self.reach, self.met = f">= {limit}", statistics.median(self.ours) >= limit
        return self

    def same(self):
        self.reach, self.met = "the same", self.ours == self.floor
        return self
