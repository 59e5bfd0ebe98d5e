"""`ifru collect`: what it prints, and what it certifies."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from typer.testing import CliRunner

from examples.verify_certificate import verified
from ifru.cli import app
from ifru.snapshots import FullState, Reader, candidates, open_store
from ifru.snapshots.errors import OutdatedCandidate
from tests.daemon.world import World, erase_user

NOW = {"full_after_s": 0, "purge_receipts_s": 0}
EXAMPLE = Path(__file__).parents[2] / "examples" / "verify_certificate.py"


def ran(*arguments: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["collect", *arguments])
    assert done.exit_code == code, (done.output, done.exception)
    return done.output


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path, store=open_store((tmp_path / "store").as_uri()))
    world.submit(erase_user("r1", 3), erase_user("r2", 1000))
    world.drain(**NOW)
    world.submit(erase_user("r3", 4))
    world.drain(full_after_s=10**6)
    return world


@pytest.fixture
def url(world: World) -> str:
    return (world.folder / "store").as_uri()


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A private key, with its public one in `public.pem`."""
    private = Ed25519PrivateKey.generate()
    file = tmp_path / "key.pem"
    file.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "public.pem").write_bytes(public)
    return file


def test_by_default_what_was_the_newest_within_30_days_stays(url: str) -> None:
    said = json.loads(ran(url, "--json"))
    assert (said["versions"], said["files"], said["purged"]) == ([], [], None)


def test_it_says_what_it_would_do_and_then_what_it_did(url: str) -> None:
    said = json.loads(ran(url, "--older-than", "0s", "--dry-run", "--json"))
    text = ran(url, "--older-than", "0s", "--dry-run")
    assert "versions would be collected" in text
    done = json.loads(ran(url, "--older-than", "0s", "--json"))
    assert (said.pop("dry_run"), done.pop("dry_run")) == (True, False)
    assert (said.pop("purged"), done.pop("purged")) == (None, 3)
    assert said == done
    assert done["versions"] == [1, 2]
    assert done["waiting"] == [{"source": "", "request_id": "r3", "version": 5}]
    assert not done["bucket_keeps_versions"]
    text = ran(url, "--older-than", "0s", "--keep", "2")
    assert "what versions up to 3 erased" in text
    assert "1 requests, for the next full version" in text


def test_a_candidate_that_is_too_old_is_not_removed_in_silence(world: World, url: str) -> None:
    newest = world.newest()
    state = FullState(newest.manifest.model, newest.parameters, newest.dataset)
    cut, residual = Reader(world.store).manifest(2), newest.manifest.residual
    candidates.leave(world.store, candidates.new_name(cut), cut, state, residual, {}, newest.manifest.time)
    [name] = json.loads(ran(url, "--older-than", "0s", "--json"))["refused"]
    assert world.store.list("candidates") == [f"candidates/{name}/rejected.json"]
    with pytest.raises(OutdatedCandidate, match="Train again"):
        candidates.leave(world.store, candidates.new_name(cut), cut, state, residual, {}, newest.manifest.time)
    assert len(world.store.list("candidates")) == 1


@pytest.mark.parametrize("wrong", ["30", "d", "1.5d", "-1d", "1w", "100000d", ""])
def test_what_is_no_time_is_refused_with_what_is_allowed(wrong: str) -> None:
    assert "30d, 12h, 5m, 0s" in str(failure("memory://never-opened", f"--older-than={wrong}"))


def test_a_certificate_says_what_is_gone_and_anybody_checks_it_without_the_store(
    world: World, url: str, key: Path, tmp_path: Path
) -> None:
    train = Reader(world.store).manifest(1).file("train")
    ledger = Reader(world.store).manifest(1).file("ledger")
    signed = tmp_path / "certificate.json"
    ran(url, "--older-than", "0s", "--certificate", str(signed), "--signing-key", str(key))
    said = verified(signed, tmp_path / "public.pem")
    assert said["requests"] == [{"source": "", "id": "r1", "version": 3}]
    deleted = {file["path"]: file["sha256"] for file in said["deleted"]}
    assert deleted[train.path] == train.sha256
    assert ledger.path not in deleted
    assert (said["versions"], said["hash_key_id"]) == ([1, 3], world.newest().manifest.hash_key_id)
    assert datetime.now(UTC) - datetime.fromisoformat(said["time"]) < timedelta(hours=1)
    shown = subprocess.run(
        [sys.executable, str(EXAMPLE), str(signed), str(tmp_path / "public.pem")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "request 'r1' of '', erased by version 3" in shown.stdout


def test_a_certificate_that_somebody_changed_or_another_key_signed_is_refused(
    url: str, key: Path, tmp_path: Path
) -> None:
    signed, public = tmp_path / "certificate.json", tmp_path / "public.pem"
    ran(url, "--older-than", "0s", "--certificate", str(signed), "--signing-key", str(key))
    whole = signed.read_text()
    signed.write_text(whole.replace("r1", "r2"))
    with pytest.raises(InvalidSignature):
        verified(signed, public)
    signed.write_text(whole)
    other = Ed25519PrivateKey.generate().public_key()
    public.write_bytes(other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    with pytest.raises(InvalidSignature):
        verified(signed, public)


def test_a_certificate_begins_where_it_is_told_to(url: str, key: Path, tmp_path: Path) -> None:
    signed = tmp_path / "certificate.json"
    options = ("--certificate", str(signed), "--signing-key", str(key))
    ran(url, "--older-than", "0s", *options, "--since", "3")
    said = verified(signed, tmp_path / "public.pem")
    assert (said["requests"], said["deleted"]) == ([], [])


def test_nothing_is_certified_that_is_not_so(world: World, url: str, key: Path, tmp_path: Path) -> None:
    options = ("--certificate", str(tmp_path / "certificate.json"), "--signing-key", str(key))
    assert "nothing was purged yet" in str(failure(url, *options))
    file = Reader(world.store).manifest(1).file("train")
    data = world.store.get(file.path)
    ran(url, "--older-than", "0s")
    world.store.put(file.path, data)
    ran(url, "--older-than", "0s", *options)
    assert not world.store.exists(file.path)


@pytest.mark.parametrize("content", [b"no key", None, X25519PrivateKey.generate()], ids=["text", "missing", "x25519"])
def test_a_key_that_is_none_is_refused_before_anything_is_collected(
    world: World, url: str, tmp_path: Path, content: object
) -> None:
    file = tmp_path / "wrong.pem"
    if isinstance(content, X25519PrivateKey):
        content = content.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    if isinstance(content, bytes):
        file.write_bytes(content)
    error = failure(url, "--older-than", "0s", "--certificate", str(tmp_path / "c"), "--signing-key", str(file))
    assert str(file) in str(error)
    assert Reader(world.store).manifest(1).version == 1


def test_a_certificate_without_a_key_is_refused(url: str, tmp_path: Path) -> None:
    assert "belong together" in str(failure(url, "--certificate", str(tmp_path / "c")))


def failure(*arguments: str) -> BaseException | None:
    return CliRunner().invoke(app, ["collect", *arguments]).exception
