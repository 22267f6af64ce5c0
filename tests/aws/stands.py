"""Stand-ins for AWS on loopback: moto in this process, SeaweedFS as a program of its own."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

from polytune.aws.access import Access
from polytune.aws.failures import AwsFailure

weed_program = Path(sys.executable).with_name("weed")
key, secret = "polytune-tests", "no-real-secret"


@dataclass(frozen=True)
class Stand:
    """A server to point an Access at."""

    url: str
    ca_bundle: str = ""

    def access(self, secret_key: str = secret, region: str = "us-east-1") -> Access:
        """Keys and addresses that lead here and nowhere else."""
        environment = {
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": secret_key,
            "AWS_ENDPOINT_URL": self.url,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/nonexistent",
            "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
        }
        if self.ca_bundle:
            environment["AWS_CA_BUNDLE"] = self.ca_bundle
        return Access(region, environment=environment)


class _Quiet(WSGIRequestHandler):  # type: ignore[misc]
    def log(self, type: str, message: str, *args: object) -> None:
        return


@contextmanager
def moto_stand(certificate: ssl.SSLContext | None = None, ca_bundle: str = "") -> Iterator[Stand]:
    """moto on a free port; with a certificate over TLS."""
    application = DomainDispatcherApplication(create_backend_app)
    server = make_server(
        "127.0.0.1", 0, application, threaded=True, request_handler=_Quiet, ssl_context=certificate
    )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        scheme = "https" if certificate else "http"
        yield Stand(f"{scheme}://127.0.0.1:{server.server_address[1]}", ca_bundle)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def weed_stand(folder: Path) -> Iterator[Stand]:
    """SeaweedFS with its data in the folder, up after about four seconds; checks signatures and checksums."""
    names = ("s3", "s3.grpc", "master", "master.grpc", "volume", "volume.grpc", "filer", "filer.grpc")
    ports = dict(zip(names, _free_ports(len(names)), strict=True))
    identity = {
        "name": "polytune",
        "credentials": [{"accessKey": key, "secretKey": secret}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    settings = folder / "identities.json"
    settings.write_text(json.dumps({"identities": [identity]}))
    (folder / "data").mkdir()
    options = {
        "dir": folder / "data",
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "s3": "true",
        "s3.config": settings,
        "s3.localSocket": folder / "s3.sock",
        "filer.localSocket": folder / "filer.sock",
        "master.volumeSizeLimitMB": 1024,
        "master.telemetry": "false",
        "volume.max": 50,
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "s3.iam": "false",
    }
    for name, port in ports.items():
        owner, _, kind = name.partition(".")
        options[f"{owner}.port.{kind}" if kind else f"{owner}.port"] = port
    command = [str(weed_program), "server", *(f"-{name}={value}" for name, value in options.items())]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    try:
        stand = Stand(f"http://127.0.0.1:{ports['s3']}")
        _wait(stand, process, folder / "log")
        yield stand
    finally:
        process.kill()
        process.wait()
        for owner in ("s3", "master", "volume", "filer"):
            Path(f"/tmp/seaweedfs-{owner}-grpc-{ports[f'{owner}.grpc']}.sock").unlink(missing_ok=True)


def _wait(stand: Stand, process: subprocess.Popen[bytes], log: Path) -> None:
    probe = stand.access().service("s3", attempts=1, read_timeout_seconds=5)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            probe.call("CreateBucket", {"Bucket": "ready"})
            probe.call("PutObject", {"Bucket": "ready", "Key": "probe", "Body": b"?"})
        except AwsFailure:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"SeaweedFS does not answer:\n{log.read_text(errors='replace')[-3000:]}")


def _free_ports(count: int) -> list[int]:
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
