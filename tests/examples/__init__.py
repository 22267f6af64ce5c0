"""Examples for the contract suites: `tests/examples/<family>/<member>.yaml`, one document for each example.

A suite runs over all members of its family, and a member without an example fails. Every example may say:

    spec:         fields of the member's spec, without `kind`
    files:        file name -> text, laid into the example's folder
    environment:  variable -> value
    serves:       a JSON value; a server on this machine answers every request with it. `{text}` in it
                  becomes a text that no request got before, `{server}` in spec and environment its address

and what its family asks for besides (the `Example` class of the suite).
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Generic, TypeVar

import msgspec
import yaml

from polytune.registry import Family
from polytune.settings import Settings

folder = Path(__file__).parent


class Example(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What every family's examples may say."""

    spec: dict[str, Any] = {}
    files: dict[str, str] = {}
    environment: dict[str, str] = {}
    serves: object = None


E = TypeVar("E", bound=Example)


@dataclass(frozen=True)
class Named(Generic[E]):
    """One example of a member."""

    member: str
    number: int
    """Counted from 1."""
    example: E

    def __str__(self) -> str:
        return self.member if self.number == 1 else f"{self.member} {self.number}"


def members_with_examples(family: str) -> set[str]:
    """The names of the files with examples."""
    return {path.stem for path in (folder / family).glob("*.yaml")}


def examples_of(family: Family[Any], layout: type[E]) -> list[Named[E]]:
    """Every example of every member that has one; `test_house_examples` finds those that have none."""
    found = []
    for member in family.names():
        path = folder / family.name / f"{member}.yaml"
        documents = yaml.safe_load_all(path.read_text(encoding="utf-8")) if path.exists() else ()
        for number, document in enumerate(documents, 1):
            found.append(Named(member, number, msgspec.convert(document, layout)))
    return found


@dataclass(frozen=True)
class Place:
    """An example with everything that it names at hand."""

    fields: Mapping[str, Any]
    """Its spec, with `kind`."""
    folder: Path
    settings: Settings


@contextmanager
def placed(named: Named[E], folder: Path, settings: Settings) -> Iterator[Place]:
    """The example's files are in the folder, and its server answers inside the `with`."""
    for name, text in named.example.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    with _serving(named.example.serves) as address:

        def filled(value: object) -> Any:
            return json.loads(json.dumps(value).replace("{server}", address))

        environment = {**settings.environment, **filled(named.example.environment)}
        fields = {"kind": named.member, **filled(named.example.spec)}
        yield Place(fields, folder, replace(settings, environment=environment))


@contextmanager
def _serving(body: object) -> Iterator[str]:
    if body is None:
        yield ""
        return
    server = _Server(("127.0.0.1", 0), _handler(json.dumps(body)))
    thread = Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # sixty-four questions arrive at once


def _handler(body: str) -> type[BaseHTTPRequestHandler]:
    counter = itertools.count(1)

    class Answering(BaseHTTPRequestHandler):
        """Answers every request with the example's body."""

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", "0")))
            content = body.replace("{text}", f"answer number {next(counter)}").encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST

        def log_message(self, format: str, *args: object) -> None:
            """Nothing is printed."""

    return Answering
