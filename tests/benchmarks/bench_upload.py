"""One GiB to S3: `Objects.put_file` beside `aws s3 cp`, in turn, against SeaweedFS on loopback.

    python -m tests.benchmarks.bench_upload [--mebibytes 1024] [--rounds 3]

Installs the AWS CLI 1.x into a temporary environment. Prints each time, the medians in MiB/s, and how much
of the CLI's throughput polytune reaches: within each round, both sides have the same neighbours on the
machine. Data lies under the system's temporary folder and is removed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from polytune.aws.objects import Objects
from polytune.files import chunk_bytes, digest_of
from tests.aws.stands import Stand, weed_stand

bucket = "bench"


def main() -> None:
    """Measures and prints."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--mebibytes", type=int, default=1024)
    options.add_argument("--rounds", type=int, default=3)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="polytune-bench-") as name:
        folder = Path(name)
        cli = _cli(folder / "cli")
        file = folder / "train.jsonl"
        with file.open("wb") as out:
            for _ in range(chosen.mebibytes):
                out.write(os.urandom(chunk_bytes))
        with weed_stand(_made(folder / "weed")) as stand:
            _compare(stand, cli, file, chosen.rounds)


def _compare(stand: Stand, cli: Path, file: Path, rounds: int) -> None:
    objects = Objects(stand.access())
    service = stand.access().service("s3")
    service.call("CreateBucket", {"Bucket": bucket})
    digest = digest_of(file)
    ours: list[float] = []
    theirs: list[float] = []
    key = f"sha256-{digest}/train.jsonl"

    def put() -> None:
        assert objects.put_file(file, f"s3://{bucket}/{key}", digest)

    def copy() -> None:
        _copy(stand, cli, file, f"s3://{bucket}/{key}")

    for turn in range(rounds + 1):
        for work, seconds in ((put, ours), (copy, theirs))[:: 1 if turn % 2 else -1]:
            begun = time.monotonic()
            work()
            seconds.append(time.monotonic() - begun)
            service.call("DeleteObject", {"Bucket": bucket, "Key": key})
        note = "warm-up, not counted" if turn == 0 else f"round {turn}"
        print(f"{note}: polytune {ours[-1]:.2f} s, aws s3 cp {theirs[-1]:.2f} s", flush=True)
    del ours[0], theirs[0]
    mebibytes = file.stat().st_size / (1 << 20)
    mine, cli_s = statistics.median(ours), statistics.median(theirs)
    print(f"polytune   {mebibytes / mine:7.1f} MiB/s (median of {rounds})")
    print(f"aws s3 cp  {mebibytes / cli_s:7.1f} MiB/s")
    pairs = [there / here for here, there in zip(ours, theirs, strict=True)]
    print(f"ratio      {cli_s / mine:7.2f} of the medians")
    print(f"ratio      {statistics.median(pairs):7.2f} median of the rounds' own (must be 0.95 or more)")


def _copy(stand: Stand, cli: Path, file: Path, uri: str) -> None:
    environment = {**os.environ, **stand.access().environment, "AWS_DEFAULT_REGION": "us-east-1"}
    command = [str(cli), "s3", "cp", "--only-show-errors", str(file), uri]
    subprocess.run(command, env=environment, check=True)


def _cli(folder: Path) -> Path:
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / "bin" / "python"
    subprocess.run([str(python), "-m", "pip", "install", "-q", "awscli>=1.40,<2"], check=True)
    return folder / "bin" / "aws"


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


if __name__ == "__main__":
    main()
