"""The Dockerfile: what it copies is there, and what it says agrees with the daemon."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from pathlib import Path, PurePosixPath

import pytest

from ifrud.settings import AdminSettings
from tests.deploy.deployed import CHART, ROOT, compose, read_yaml

TEXT = re.sub(r"\\\n\s*", " ", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
INSTRUCTIONS = [line.partition(" ")[::2] for line in TEXT.splitlines() if line and not line.startswith("#")]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


CHOICE = next(rest for name, rest in INSTRUCTIONS if name == "RUN" and rest.startswith("case"))


def said(instruction: str) -> list[str]:
    return [rest.strip() for name, rest in INSTRUCTIONS if name == instruction]


def copied() -> list[str]:
    """Paths of the repository that the image is built from."""
    return [path for rest in said("COPY") if not rest.startswith("--from=") for path in rest.split()[:-1]]


@pytest.mark.parametrize("path", copied())
def test_a_path_that_is_copied_exists_and_is_not_ignored(path: str) -> None:
    assert (ROOT / path).exists()
    assert f"!{path}" in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()


def test_all_that_the_package_is_built_from_is_copied() -> None:
    whole = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = whole["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    needed = {"pyproject.toml", PROJECT["readme"], *PROJECT["license-files"], *packages}
    assert {
        path for path in needed if not any(PurePosixPath(path).is_relative_to(source) for source in copied())
    } == set()


def test_the_python_of_the_image_is_one_that_the_package_allows() -> None:
    [version] = [rest.partition("=")[2] for rest in said("ARG") if rest.startswith("PYTHON_VERSION=")]
    lowest = PROJECT["requires-python"].removeprefix(">=")
    assert tuple(map(int, version.split("."))) >= tuple(map(int, lowest.split(".")))


def installed(folder: Path, **arguments: str) -> str:
    """What the step that installs torch asks pip for, with these build arguments."""
    pip = folder / "pip"
    pip.write_text('#!/bin/sh\necho "$@"\n')
    pip.chmod(0o755)
    done = subprocess.run(
        ["sh", "-c", CHOICE], env={"PATH": f"{folder}:/bin", **arguments}, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


def test_torch_is_that_for_cpus_unless_that_for_gpus_is_asked_for(tmp_path: Path) -> None:
    [default] = [rest.partition("=")[2] for rest in said("ARG") if rest.startswith("TORCH=")]
    alone = "--no-deps --constraint constraints.txt torch\n"
    assert installed(tmp_path, TORCH=default) == f"install --index-url https://download.pytorch.org/whl/cpu {alone}"
    assert installed(tmp_path, TORCH="cuda") == f"install {alone}"
    assert installed(tmp_path, TORCH="cuda", TORCH_INDEX="https://i") == f"install --index-url https://i {alone}"
    assert installed(tmp_path, TORCH="rocm") == "TORCH is rocm; allowed are cpu and cuda\n"


def test_a_digest_given_as_a_build_argument_names_the_base_of_every_stage_that_has_one() -> None:
    bases = [rest.partition(" AS ")[0] for rest in said("FROM")]
    stages = {rest.partition(" AS ")[2] for rest in said("FROM")}
    assert {base for base in bases if base not in stages} == {
        "python:${PYTHON_VERSION}-slim-bookworm${PYTHON_DIGEST:+@${PYTHON_DIGEST}}",
        "scratch",
    }


def test_labels_say_where_the_image_comes_from() -> None:
    [labels] = said("LABEL")
    names = dict(re.findall(r'org\.opencontainers\.image\.([\w.]+)="([^"]*)"', labels))
    assert names["licenses"] == PROJECT["license"]
    assert f"VERSION={PROJECT['version']}" in said("ARG")
    assert {name: names[name] for name in ("version", "revision", "source", "created", "base.digest")} == {
        "version": "${VERSION}",
        "revision": "${REVISION}",
        "source": "${SOURCE}",
        "created": "${CREATED}",
        "base.digest": "${PYTHON_DIGEST}",
    }
    declared = {rest.partition("=")[0] for rest in said("ARG")}
    assert set(re.findall(r"\$\{(\w+)\}", labels)) <= declared


def test_the_image_runs_the_daemon() -> None:
    [entrypoint] = said("ENTRYPOINT")
    *init, command = json.loads(entrypoint)
    assert init == ["tini", "--"]
    assert command in PROJECT["scripts"]


def test_the_user_is_a_number_that_is_not_root_and_the_chart_uses_the_same() -> None:
    [user] = said("USER")
    number, group = map(int, user.split(":"))
    assert number > 0
    chart = read_yaml(CHART / "values.yaml")["podSecurityContext"]
    assert (chart["runAsUser"], chart["runAsGroup"], chart["fsGroup"]) == (number, group, group)


def test_compiled_loops_go_to_a_volume_that_compose_file_and_chart_mount() -> None:
    [volume] = said("VOLUME")
    [cache] = re.findall(r"NUMBA_CACHE_DIR=(/\S+)", TEXT)
    assert PurePosixPath(cache).is_relative_to(volume)
    for name in ("base", "ifrud"):
        assert f"compiled:{volume}" in compose()["services"][name]["volumes"]
    chart = (CHART / "templates" / "deployment.yaml").read_text(encoding="utf-8")
    assert re.search(rf"- name: cache\s+mountPath: {volume}$", chart, re.MULTILINE)


def test_the_image_carries_loops_for_the_processor_that_it_tells_numba() -> None:
    assert "NUMBA_CPU_NAME=$CPU_NAME NUMBA_CPU_FEATURES=$CPU_FEATURES" in " ".join(said("ENV")[-1].split())
    assert "NUMBA_CACHE_DIR=$IFRU_COMPILED ifru compile" in said("RUN")[-1]
    assert [name for name, rest in INSTRUCTIONS if "CPU_NAME" in rest or "ifru compile" in rest] == [
        "ARG",
        "ENV",
        "RUN",
    ]


def test_the_port_is_the_default_admin_port_and_its_health_is_asked_for() -> None:
    [port], [health] = said("EXPOSE"), said("HEALTHCHECK")
    assert int(port) == AdminSettings().port
    assert f"'{port}'" in health
    assert "/healthz" in health


def test_chart_compose_file_and_package_have_the_same_version() -> None:
    version = PROJECT["version"]
    assert read_yaml(CHART / "Chart.yaml")["appVersion"] == version
    images = {service["image"] for service in compose()["services"].values() if "build" in service}
    assert images == {f"ifrud:{version}"}
