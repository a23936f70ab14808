"""The daemon's threads: each has a name for `top -H`, and one that wakes up does not push another off its
core, unless whoever started it has chosen otherwise."""
# labels: quick

import os
from pathlib import Path

from millrace_harness import Scenario, eventually, main

OWN = {"log-inbox", "log-events", "log-trail", "state", "shard-0", "control-0", "reader-0"}


class Threads(Scenario):
    def threads(self, millrace):
        """Name to scheduling policy; without the allocator's own, which are there before us."""
        tasks = list(Path(f"/proc/{millrace.process.pid}/task").iterdir())
        named = {(task / "comm").read_text("utf-8").strip(): os.sched_getscheduler(int(task.name))
                 for task in tasks}
        return {name: policy for name, policy in named.items() if not name.startswith("jemalloc")}

    def start(self, under=()):
        millrace = self.order_broker(self.target()).start(under=under)
        eventually(lambda: set(self.threads(millrace)) >= OWN, 10,
                   lambda: f"they have names: {self.threads(millrace)}")
        return self.threads(millrace)

    def test_they_have_names_and_wake_up_in_turn(self):
        self.assertEqual({os.SCHED_BATCH}, set(self.start().values()))

    def test_a_policy_that_was_chosen_stays(self):
        self.assertEqual({os.SCHED_IDLE}, set(self.start(under=("chrt", "--idle", "0")).values()))


if __name__ == "__main__":
    main()
