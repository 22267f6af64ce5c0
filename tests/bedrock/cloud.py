"""An AWS account on this machine for whole runs of the program, and a door to it that can kill the caller.

A door is a real HTTP proxy before Bedrock, or before S3: at a chosen call it sends SIGKILL to the program,
before the call reaches the service or after it was carried out, which are the moments that a crash can fall
between.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Literal

from polytune.emulator.bedrock.rehearsal import Rehearsal
from tests.pipeline.program import Said, workspace

small = (
    "--set",
    "steps.generate.teacher={kind: composer}",
    "--set",
    "steps.generate.count=40",
    "--set",
    "steps.evaluate.limit=2",
)
"""Few rows from a teacher that costs nothing; everything from `upload` on is as shipped."""
file = "experiments/strudel-nova-lite-v1.yaml"


@dataclass
class Door:
    """A proxy before a service."""

    address: str
    victim: int = 0
    """The process to kill; 0 for nobody."""
    pattern: str = ""
    """Which call kills, as `METHOD path`."""
    when: Literal["before", "after"] = "before"
    killed: list[str] = field(default_factory=list)

    def kills(self, call: str, moment: str) -> bool:
        """Whether the caller has just been killed."""
        if not self.victim or moment != self.when or not re.search(self.pattern, call):
            return False
        os.kill(self.victim, signal.SIGKILL)
        self.killed.append(call)
        self.victim = 0
        return True


@dataclass(frozen=True)
class Cloud:
    """One account, and workspaces that work in it."""

    rehearsal: Rehearsal
    door: Door
    """Before Bedrock."""
    storage: Door
    """Before S3, IAM and STS."""

    def control(self, what: str, body: object = None) -> Any:
        """What the emulator's control address answers."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.rehearsal.emulator.control}/{what}", data=data)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def faults(self, *faults: Mapping[str, Any]) -> None:
        """These faults are scripted."""
        self.control("faults", list(faults))

    @property
    def jobs(self) -> list[dict[str, Any]]:
        """The customization jobs that the account has seen."""
        found: list[dict[str, Any]] = self.control("state")["jobs"]
        return found

    @property
    def deployments(self) -> list[dict[str, Any]]:
        """The deployments that the account has."""
        found: list[dict[str, Any]] = self.control("state")["deployments"]
        return found

    def environment(self) -> dict[str, str]:
        """Where a program finds this account: behind the doors."""
        return {
            **os.environ,
            **self.rehearsal.environment(),
            "AWS_ENDPOINT_URL_BEDROCK": self.door.address,
            "AWS_ENDPOINT_URL": self.storage.address,
            "POLYTUNE_THREADS": "1",
        }

    def start(self, root: Path, *words: str) -> subprocess.Popen[str]:
        """The program at work in a workspace."""
        if not (root / "experiments").exists():
            root.mkdir(exist_ok=True)
            workspace(root)
        return subprocess.Popen(
            [sys.executable, "-m", "polytune", *words],
            cwd=root,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment(),
        )

    def said(self, root: Path, *words: str) -> Said:
        """The program's answer, to its end."""
        with self.start(root, *words) as process:
            out, err = process.communicate(timeout=120)
        assert "Traceback" not in err, err
        return Said(process.returncode, out, err)

    def killed(
        self, root: Path, pattern: str, when: Literal["before", "after"], door: Door | None = None
    ) -> None:
        """A run was killed at the first call through the door (Bedrock's) that fits the pattern."""
        passed = door or self.door
        passed.pattern, passed.when = pattern, when
        with self.start(root, "run", file, *small) as process:
            passed.victim = process.pid
            _, err = process.communicate(timeout=120)
        assert process.returncode == -signal.SIGKILL, err
        assert passed.killed, "the call never came"


@contextmanager
def opened(rehearsal: Rehearsal) -> Iterator[Cloud]:
    """The account, empty, with doors before it."""
    beside = rehearsal.environment()["AWS_ENDPOINT_URL"]
    with _door(rehearsal.emulator.address) as door, _door(beside) as storage:
        cloud = Cloud(rehearsal, door, storage)
        cloud.control("reset", {})
        yield cloud


@contextmanager
def _door(address: str) -> Iterator[Door]:
    """A door before the service at an address."""
    target = address.removeprefix("http://")
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    door = Door(f"http://127.0.0.1:{server.server_address[1]}")
    server.RequestHandlerClass = _handler(door, target)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield door
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(door: Door, target: str) -> type[BaseHTTPRequestHandler]:
    class Passage(BaseHTTPRequestHandler):
        """One request through the door."""

        protocol_version = "HTTP/1.1"

        def _pass(self) -> None:
            call = f"{self.command} {self.path}"
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.close_connection = True
            if door.kills(call, "before"):
                return
            onward = http.client.HTTPConnection(target, timeout=30)
            try:
                onward.request(self.command, self.path, body, dict(self.headers))
                answer = onward.getresponse()
                content = answer.read()
            except (http.client.HTTPException, ConnectionError):
                return
            finally:
                onward.close()
            if door.kills(call, "after"):
                return
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("transfer-encoding", "connection", "server", "date"):
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _pass

        def log_message(self, format: str, *args: object) -> None:
            """Nothing is printed."""

    return Passage
