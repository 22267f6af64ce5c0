"""The emulator as one object: serves all areas of Bedrock on a local port; stops without leaving threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Thread

from polytune.emulator.bedrock.batch import BatchArea
from polytune.emulator.bedrock.call import Area
from polytune.emulator.bedrock.control import control_prefix
from polytune.emulator.bedrock.copies import Copies
from polytune.emulator.bedrock.customization import CustomizationArea
from polytune.emulator.bedrock.deployments import Deployments
from polytune.emulator.bedrock.imports import Imports
from polytune.emulator.bedrock.models import ModelsArea
from polytune.emulator.bedrock.profiles import Profiles
from polytune.emulator.bedrock.runtime import Runtime
from polytune.emulator.bedrock.server import EmulatedService, LoopbackServer
from polytune.emulator.bedrock.tags import Tags
from polytune.emulator.bedrock.throughput import Throughput
from polytune.emulator.bedrock.world import World
from polytune.errors import Busy

AREAS: tuple[Callable[[World], Area], ...] = (
    CustomizationArea,
    ModelsArea,
    Deployments,
    Throughput,
    Imports,
    Copies,
    Profiles,
    BatchArea,
    Runtime,
    Tags,
)
"""Every area, in the order in which they are settled and listed by `/_control/state`."""

# How often the server checks whether it has been asked to stop; `stop` takes up to this long.
poll_seconds = 0.05


class Emulator:
    """Bedrock's control plane and runtime for one account, on 127.0.0.1."""

    def __init__(
        self,
        world: World | None = None,
        areas: Sequence[Callable[[World], Area]] = AREAS,
        *,
        signed: bool = True,
    ) -> None:
        """`signed`: whether requests without an Authorization header are refused."""
        self.world = world or World()
        self.service = EmulatedService(self.world, [area(self.world) for area in areas], signed=signed)
        self._server: LoopbackServer | None = None
        self._thread: Thread | None = None

    def start(self, port: int = 0) -> str:
        """The emulator is running. Returns its address. Raises Busy if the port is taken."""
        try:
            server = LoopbackServer(self.service, port)
        except OSError as error:
            raise Busy(f"port {port} of 127.0.0.1: {error.strerror}. Choose another port.") from error
        thread = Thread(target=server.serve_forever, args=(poll_seconds,), daemon=True, name="emulator")
        self._server, self._thread = server, thread
        thread.start()
        return self.address

    @property
    def address(self) -> str:
        """`http://127.0.0.1:port`: the endpoint of both services. Raises RuntimeError before `start`."""
        if self._server is None:
            raise RuntimeError("the emulator has not been started")
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def control(self) -> str:
        """The base address of the clock, the faults and the state: `<control>/advance`."""
        return f"{self.address}{control_prefix}"

    def stop(self) -> None:
        """The emulator has stopped, and every connection is closed."""
        if self._server is None or self._thread is None:
            return
        # Stop accepting first: hanging up before would let a client reconnect.
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._server.hang_up()
        self._server = self._thread = None

    @contextmanager
    def serving(self, port: int = 0) -> Iterator[Emulator]:
        """The emulator runs inside the `with`."""
        self.start(port)
        try:
            yield self
        finally:
            self.stop()
