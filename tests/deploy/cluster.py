"""A real Kubernetes API: etcd and kube-apiserver, without nodes and controllers. Objects are checked and stored."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

TOKEN = "of-the-tests"
PATIENCE = 240.0


class Cluster:
    """A client of the API as its administrator."""

    def __init__(self, url: str, folder: Path) -> None:
        self._folder, self.url = folder, url
        self.http = httpx.Client(
            base_url=url, verify=False, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=PATIENCE
        )

    def create(self, path: str, body: dict[str, Any], dry_run: bool = False) -> dict[str, Any]:
        """The object as it was stored. Raises ValueError with the server's words where it is refused."""
        answer = self.http.post(path, json=body, params={"dryRun": "All"} if dry_run else {})
        if answer.is_error:
            raise ValueError(answer.json()["message"])
        created: dict[str, Any] = answer.json()
        return created

    def get(self, path: str) -> dict[str, Any]:
        answer = self.http.get(path)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def replace(self, path: str, body: dict[str, Any]) -> None:
        self.http.put(path, json=body).raise_for_status()

    def helm(self, program: str, *arguments: str) -> str:
        """What helm said. Raises RuntimeError with it where it failed."""
        environment = os.environ | {
            "HELM_KUBEAPISERVER": self.url,
            "HELM_KUBETOKEN": TOKEN,
            "HELM_KUBEINSECURE_SKIP_TLS_VERIFY": "true",
            "HELM_CACHE_HOME": str(self._folder / "helm-cache"),
            "HELM_CONFIG_HOME": str(self._folder / "helm-config"),
            "HELM_DATA_HOME": str(self._folder / "helm-data"),
        }
        done = subprocess.run([program, *arguments], env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)
        return done.stdout + done.stderr


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports: list[int] = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _await(url: str, log: Path) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            if httpx.get(url, verify=False, headers={"Authorization": f"Bearer {TOKEN}"}).is_success:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    raise TimeoutError(f"{url} did not answer:\n{log.read_text()[-2000:]}")


@contextmanager
def started(assets: Path, folder: Path) -> Iterator[Cluster]:
    """A cluster of its own, until the block ends. assets: the folder with etcd and kube-apiserver."""
    client, peer, api = _free_ports(3)
    etcd_url, peer_url = f"http://127.0.0.1:{client}", f"http://127.0.0.1:{peer}"
    key, public = folder / "sa.key", folder / "sa.pub"
    for command in (["genrsa", "-out", str(key), "2048"], ["rsa", "-in", str(key), "-pubout", "-out", str(public)]):
        subprocess.run(["openssl", *command], capture_output=True, check=True)
    (folder / "tokens.csv").write_text(f'{TOKEN},admin,admin,"system:masters"\n')
    etcd = f"""--data-dir {folder}/etcd --unsafe-no-fsync --initial-cluster default={peer_url}
        --listen-client-urls {etcd_url} --advertise-client-urls {etcd_url}
        --listen-peer-urls {peer_url} --initial-advertise-peer-urls {peer_url}"""
    server = f"""--etcd-servers={etcd_url} --cert-dir={folder}/certs --secure-port={api} --bind-address=127.0.0.1
        --service-account-key-file={public} --service-account-signing-key-file={key}
        --service-account-issuer=https://kubernetes.default.svc --token-auth-file={folder}/tokens.csv
        --authorization-mode=RBAC --service-cluster-ip-range=10.0.0.0/24 --disable-admission-plugins=ServiceAccount"""
    running = []
    try:
        for name, options in (("etcd", etcd), ("kube-apiserver", server)):
            with (folder / f"{name}.log").open("wb") as log:
                running.append(subprocess.Popen([assets / name, *options.split()], stdout=log, stderr=log))
        url = f"https://127.0.0.1:{api}"
        _await(f"{url}/readyz", folder / "kube-apiserver.log")
        yield Cluster(url, folder)
    finally:
        for process in reversed(running):
            process.kill()
            process.wait()
