"""`ifrud demo`, as a newcomer runs it."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
from pathlib import Path

import httpx
import pytest

from ifrud.requests.receipts import Receipt
from tests.acceptance.running import await_, command, environment, get, run, whole_lines, write_ratings
from tests.models.installed import install_bent

KEYS = {
    "requests": int,
    "deletions": int,
    "versions.answer": int,
    "versions.refinement": int,
    "versions.proof": int,
    "latency_ms.p50": float,
    "latency_ms.p99": float,
    "residual_influence": float,
    "left.forget": float,
    "left.neighbours": float,
    "left.holdout": float,
    "auc.before": float,
    "auc.after": float,
    "auc.retrained": float,
    "rms.true": float,
    "rms.bound": float,
    "seconds.update": float,
    "seconds.retrain": float,
}


@pytest.fixture(scope="module")
def ratings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "ratings.csv"
    write_ratings(path)
    return path


def at(document: dict[str, object], key: str) -> object:
    value: object = document
    for name in key.split("."):
        assert isinstance(value, dict)
        value = value[name]
    return value


def test_without_a_network_it_generates_data_says_so_and_ends_near_the_retrained_model(tmp_path: Path) -> None:
    closed = {"https_proxy": "http://127.0.0.1:1", "XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run(
        [command("ifrud"), "demo", "--json", "--events", "60"],
        capture_output=True,
        text=True,
        env=environment() | closed,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "MovieLens-100K cannot be had" in done.stderr
    found = json.loads(done.stdout)
    assert {key: type(at(found, key)) for key in KEYS} == KEYS
    assert "generated" in found["data"]
    assert found["model"]["verdict"] == "proven optimal"
    assert (found["requests"], found["dead_letters"], found["nothing_to_erase"]) == (59, 1, 1)
    assert found["deletions"] > found["requests"], "whole users were among the requests"
    # A batch of nothing but a bad event is a version too: it says how far the source was read.
    assert 0 < found["versions"]["answer"] <= found["requests"] + found["dead_letters"]
    assert found["latency_ms"]["p50"] <= found["latency_ms"]["p99"]
    for version in (found, found["refined"]):
        assert version["left"]["forget"] < 0.05
        assert version["left"]["holdout"] < 0.15
        assert version["rms"]["true"] <= version["rms"]["bound"]
        assert abs(version["auc"]["after"] - version["auc"]["retrained"]) < 0.001
    assert found["refined"]["left"]["holdout"] < found["left"]["holdout"]
    assert list(tmp_path.iterdir()) == []


def test_it_runs_on_a_file_of_ones_own_and_keeps_what_it_did_in_a_folder(ratings: Path, tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    done = run("ifrud", "demo", "--data", str(ratings), "--rank", "8", "--events", "30", "--dir", str(folder))
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert lines[0].startswith("Data: ratings.csv; 250 users, 120 items, 4,800 rows to train on, 1,200 held out")
    assert "requests 29, of which 1 had nothing to erase" in lines
    assert "dead letters 1 (subject: is missing)" in lines
    assert any(line.startswith("The last version's predictions are proven to be no further than") for line in lines)
    receipts = [Receipt.read(line) for line in (folder / "receipts.jsonl").read_bytes().splitlines()]
    assert len({receipt.request_id for receipt in receipts}) == 29
    verified = run(
        "ifru", "verify", (folder / "store").as_uri(), "--version", "1", "--requests", str(folder / "requests.jsonl")
    )
    assert verified.returncode == 0, verified.stderr
    again = run("ifrud", "demo", "--data", str(ratings), "--dir", str(folder))
    assert again.returncode == 2
    assert "is not empty" in again.stderr


def test_lightgcn_and_preferences_are_forgotten_in_it_with_a_proof(ratings: Path) -> None:
    model = ("--model", "lightgcn", "--loss", "bpr", "--rank", "8")
    done = run("ifrud", "demo", *model, "--data", str(ratings), "--events", "20", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {key: type(at(found, key)) for key in KEYS} == KEYS
    assert found["model"]["name"] == "lightgcn"
    assert found["left"]["forget"] < 0.05
    assert found["rms"]["true"] <= found["rms"]["bound"]


def test_a_model_from_outside_forgets_in_it_without_a_proof(ratings: Path, tmp_path: Path) -> None:
    install_bent(tmp_path)
    line = ["demo", "--model", "bent", "--data", str(ratings), "--rank", "3", "--l2", "0.2", "--events", "20"]
    places = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [command("ifrud"), *line],
        capture_output=True,
        text=True,
        env=environment() | {"PYTHONPATH": places},
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "There is no proof for models of this kind" in done.stdout
    head = next(line.split() for line in done.stdout.splitlines() if line.startswith("pairs"))
    assert head == ["pairs", "before", "after", *(["retrain", "1", "retrain", "2", "retrain", "3"])]


def test_neural_scores_are_held_against_several_retrained_models(ratings: Path) -> None:
    done = run("ifrud", "demo", "--model", "neumf", "--data", str(ratings), "--rank", "8", "--events", "20", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["model"]["name"] == "neumf"
    assert len(found["retrained"]) == 3
    assert found["after"]["forget"]["loss"] > found["before"]["forget"]["loss"]


def test_in_a_narrow_terminal_no_line_is_wider_than_it(ratings: Path) -> None:
    columns = 36
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    shown = bytearray()
    reader = threading.Thread(target=_read_all, args=(ours, shown))
    reader.start()
    size = {"COLUMNS": str(columns), "LINES": "50", "TERM": "xterm"}
    line = [command("ifrud"), "demo", "--data", str(ratings), "--rank", "8", "--events", "20"]
    done = subprocess.run(
        line, stdin=theirs, stdout=theirs, stderr=theirs, env=environment() | size, timeout=120, check=False
    )
    os.close(theirs)
    reader.join()
    os.close(ours)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    assert done.returncode == 0, text
    assert max(len(part) for part in re.split(r"[\r\n]+", text)) <= columns
    assert "version" in text
    assert "19 of 20 sent" in text or "20 of 20 sent" in text
    assert "…" not in text


def _read_all(terminal: int, shown: bytearray) -> None:
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:
            return
        if not part:
            return
        shown += part


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_an_interrupt_leaves_no_daemon_behind(ratings: Path, tmp_path: Path, number: signal.Signals, code: int) -> None:
    folder = tmp_path / "kept"
    line = [command("ifrud"), "demo", "--data", str(ratings), "--rank", "8", "--events", "400", "--dir", str(folder)]
    # A shell has what it runs in the background ignore SIGINT, and these tests may run there.
    heeds = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"
    line = [sys.executable, "-c", heeds, *line]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()) as demo:
        await_(lambda: (folder / "receipts.jsonl").exists() or demo.poll() is not None, "the first receipt")
        log = whole_lines(folder / "log.jsonl")
        admin = next(said["url"] for said in map(json.loads, log) if "url" in said)
        assert get(f"{admin}/healthz").status_code == 200
        demo.send_signal(number)
        assert demo.wait(timeout=60) == code
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{admin}/healthz")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--data", "nothing.csv"], "nothing.csv: there is no such file"),
        (["--data", "nothing.csv", "--generated"], "--data and --generated"),
        (["--generated", "--l2", "0"], "--l2 is 0.0; allowed are numbers above 0"),
        (["--generated", "--model", "ials", "--loss", "bpr"], "--model ials: loss: Input should be 'squared'"),
        (["--generated", "--model", "slim"], "the model 'slim' is not known; known are "),
        (["--generated", "--label", "rating=>4"], "label rule 'rating=>4' is not understood"),
    ],
)
def test_what_cannot_be_used_ends_it_with_2_and_one_line(flags: list[str], said: str) -> None:
    done = run("ifrud", "demo", *flags)
    assert done.returncode == 2
    assert done.stderr.startswith("ifrud demo: ")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
