"""SIGKILL at some steps of a process, with a real broker and a real bucket.

`python -m tests.acceptance.kills --seeds 20` kills at all of them, so often.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.acceptance.running import environment
from tests.fixtures.kafka import Kafka

ROOT = Path(__file__).parents[2]
POINTS = (
    "after dead letters",
    "during put model",
    "during create answers",
    "before repeated receipts",
    "during proof",
)


def test_nothing_is_lost_done_twice_or_torn_at_whatever_step_a_process_is_killed(kafka: Kafka, s3_url: str) -> None:
    servers = ("--bootstrap", kafka.bootstrap, "--bucket", f"{s3_url}/kills")
    line = [sys.executable, "-m", "tests.acceptance.kills.plays", *servers, "--points", *POINTS]
    done = subprocess.run(line, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
