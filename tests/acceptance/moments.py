"""SIGTERM at random moments: `python -m tests.acceptance.moments --count 20 --init /usr/bin/tini`.

The daemon is process 1 of a namespace, or the child of an init that is. Signals come while it starts, loads its model,
commits versions and proves one. Each daemon goes on where the one before it ended; at last one answers all that is
left, and no request may be lost or answered in two ways.

Linux drops signals for process 1 that it does not catch. So the first moment is when the daemon, or its init, can take
one; until then, which is the start of Python for a daemon without an init, nothing can be done but to kill it.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from tests.acceptance.running import (
    PATIENCE,
    Places,
    await_,
    distinct,
    environment,
    erase_user,
    lines,
    pairs,
    run,
    whole_lines,
    write_ratings,
)

NAMESPACE = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child"]
PHASES = ("start", "load", "commit", "proof")
AFTER = {"start": 4.0, "load": 2.0, "commit": 1.0, "proof": 2.0}
"""Seconds after its beginning within which a phase is interrupted."""


class Process:
    """A daemon in a namespace of its own."""

    def __init__(self, folder: Path, places: Places, init: list[str]) -> None:
        self._log = folder / "log.jsonl"
        self._log.unlink(missing_ok=True)
        options = [
            "--admin-port",
            "0",
            "--set",
            "brake_share=1",
            "--set",
            "refine_after_ms=20",
            "--set",
            "prove_share=1",
        ]
        line = [*NAMESPACE, *init, sys.executable, "-m", "ifrud", "run", *places.flags(), *options]
        with self._log.open("wb") as out:
            self._process = subprocess.Popen(line, stdout=out, stderr=out, env=environment())

        self._first = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        await_(self._takes_signals, "a process 1 that takes signals")

    def _takes_signals(self) -> bool:
        if not (children := self._first.read_text().split()):
            return False
        first = Path("/proc") / children[0]
        if (first / "task" / children[0] / "children").read_text():
            return True  # An init waits for signals once it has started what it is to look after.
        status = (first / "status").read_text().splitlines()
        [caught] = [int(line.split()[1], 16) for line in status if line.startswith("SigCgt")]
        return bool(caught >> (signal.SIGTERM - 1) & 1)

    def says(self, word: bytes) -> bool:
        return any(word in line for line in whole_lines(self._log)) or self._process.poll() is not None

    def terminate(self) -> tuple[int, float, str]:
        """Exit code, seconds that it took, and the last line of the log."""
        before = time.monotonic()
        subprocess.run(["kill", self._first.read_text().split()[0]], check=True)
        code = self._process.wait(PATIENCE)
        last = [line.decode() for line in whole_lines(self._log)][-1:]
        return code, time.monotonic() - before, (last or ["-"])[0][:60]


def until(phase: str, process: Process, feed: Callable[[], None], draw: random.Random) -> None:
    """Waits until a random moment of a phase."""
    if phase != "start":
        await_(lambda: process.says(b"admin port"), "the admin port")
    if phase in ("commit", "proof"):
        await_(lambda: process.says(b'"ready'), "readiness")
        feed()
    end = time.monotonic() + draw.uniform(0, AFTER[phase])
    while time.monotonic() < end:
        if phase == "commit":
            feed()
        time.sleep(0.02)


def played(count: int, init: list[str], folder: Path, seed: int) -> bool:
    """Prints a line for each moment. Whether all went well."""
    draw, sent = random.Random(seed), list[str]()
    write_ratings(folder / "ratings.csv")
    store = folder / "store"
    run("ifru", "train", str(folder / "ratings.csv"), "--out", store.as_uri(), "--rank", "8", "--l2", "0.1")
    urls = ((folder / f"{name}.jsonl").as_uri() for name in ("events", "receipts", "dead"))
    places = Places(store, *urls)
    users = sorted({user for user, _ in pairs(places.version().dataset)})
    draw.shuffle(users)

    def feed() -> None:
        if len(sent) < len(users) // 2:
            sent.append(users[len(sent)])
            with (folder / "events.jsonl").open("ab") as out:
                out.write(erase_user(f"r{len(sent)}", sent[-1]) + b"\n")

    good = True
    for moment in range(count):
        phase = PHASES[moment % len(PHASES)]
        process = Process(folder, places, init)
        until(phase, process, feed, draw)
        code, seconds, last = process.terminate()
        allowed = (0, 128 + signal.SIGTERM)
        good &= code in allowed
        print(f"{phase:<7} exit {code:>3} after {seconds:5.2f} s, version {places.published():>3}  {last}", flush=True)
    done = run("ifrud", "run", *places.flags(), "--admin-port", "0", "--set", "brake_share=1", "--drain")
    answers = distinct(lines(places.receipts))
    states = {name: {each for each in found if '"published"' in str(each)} for name, found in answers.items()}
    lost = [name for name in (f"r{k + 1}" for k in range(len(sent))) if len(states.get(name, ())) != 1]
    left = {user for user, _ in pairs(places.version().dataset)} & set(sent)
    letters = lines(places.dead_letters)
    print(
        f"drained with {done.returncode}: {len(sent)} requests, {len(lost)} lost or answered in two ways, "
        f"{len(left)} users left, {len(letters)} dead letters"
    )
    return good and not (done.returncode or lost or left or letters)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20, help="signals for each way to run the daemon")
    parser.add_argument("--init", help="an init, such as /usr/bin/tini; without it the daemon is process 1 only")
    parser.add_argument("--only-init", action="store_true", help="not as process 1 itself")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    good = True
    for init in ([] if asked.only_init else [[]]) + ([[asked.init, "--"]] if asked.init else []):
        print(f"process 1 is {'the init' if init else 'the daemon'}")
        folder: AbstractContextManager[str] = tempfile.TemporaryDirectory()
        with folder as name:
            good &= played(asked.count, init, Path(name), asked.seed)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
