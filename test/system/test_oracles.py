"""What Carom reads is what Node and nginx read, or Carom refuses, or the difference is known and the
standard is with us (test/oracle/differences.md). CAROM_SEED=... gives other cases."""

import os
import sys
import unittest
from pathlib import Path

from programs import SANITIZED

sys.path.insert(0, str(Path(__file__).parent.parent / "oracle"))
import oracles  # noqa: E402
import servers  # noqa: E402

CASES = 4000
SECONDS = 20  # a machine that is busy asks fewer


@unittest.skipIf(SANITIZED, "a comparison of answers: the plain build is enough")
@unittest.skipIf(servers.missing(), "needs node and nginx")
class Oracles(unittest.TestCase):
    def test_differences_are_known(self):
        run = oracles.Run(os.environ.get("CAROM_SEED", "1"))
        run.report(run.go(CASES, SECONDS))
        run.show_unknown()
        self.assertEqual(run.unknown(), [], f"seed {run.seed}")


if __name__ == "__main__":
    unittest.main()
