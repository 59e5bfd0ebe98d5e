"""Kills daemons at all points: `python -m tests.acceptance.kills --seeds 20`, with a broker and a bucket of its own.

KAFKA_HOME names Apache Kafka, or KAFKA_BOOTSTRAP a broker that runs already.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.fixtures.kafka_brokers import running_broker
from tests.fixtures.seaweedfs import running_seaweedfs


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        kafka, bucket = Path(folder, "kafka"), Path(folder, "seaweedfs")
        kafka.mkdir()
        bucket.mkdir()
        with running_broker(kafka, os.environ) as broker, running_seaweedfs(bucket) as (name, environment):
            servers = ("--bootstrap", broker.bootstrap, "--bucket", f"s3://{name}/kills")
            # A process of its own: these clients have started threads, and it makes copies of itself.
            line = [sys.executable, "-m", "tests.acceptance.kills.plays", *servers, *sys.argv[1:]]
            return subprocess.run(line, env={**os.environ, **environment}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
