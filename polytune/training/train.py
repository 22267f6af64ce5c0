"""`python -m polytune.training.train JOB_FOLDER`: runs the training described by the job's request.

The result is written last, on success and on failure. If a job folder has no result, the program was killed;
running it again restarts the training from the beginning.
"""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

import msgspec

from polytune.errors import DataError, PolytuneError
from polytune.files import remove_tree, write_whole
from polytune.training.process import check_folder, explained, set_environment
from polytune.training.protocol import (
    OUTPUT_NAME,
    PROGRESS_NAME,
    RESULT_NAME,
    Completed,
    Directory,
    Failed,
    TrainRequest,
    TrainResult,
    encode,
    read_request,
)
from polytune.training.rows import JobRows, read_rows


def main(arguments: list[str]) -> int:
    """Exit status: 0 if the training completed, 1 if it failed, 2 for wrong usage."""
    if len(arguments) != 1 or not Path(arguments[0]).is_dir():
        sys.stderr.write("usage: python -m polytune.training.train JOB_FOLDER\n")
        return 2
    # Not its absolute path: the workspace may be moved while this works in its folder.
    job_folder = Path(arguments[0])
    _start_clean(job_folder)
    result = attempt(job_folder)
    # Written as a whole and after everything else: the engine takes the file for the end of the job.
    write_whole(job_folder / RESULT_NAME, encode(result))
    return 0 if isinstance(result, Completed) else 1


def attempt(job_folder: Path) -> TrainResult:
    """The result of the job's training. Every exception becomes a result."""
    try:
        return _train(job_folder)
    except PolytuneError as error:
        return Failed(message=_one_line(str(error)))
    except Exception as error:  # noqa: BLE001 - the boundary of the job
        traceback.print_exc()
        return Failed(message=_one_line(explained("training", error)))


def _train(job_folder: Path) -> Completed:
    request = read_request(job_folder)
    # Check before importing torch, so that a wrong path or an invalid row is reported within a second.
    if isinstance(request.base, Directory):
        base = job_folder / request.base.path
        check_folder(base.resolve())
        request = msgspec.structs.replace(request, base=Directory(path=str(base)))
    rows = _rows(job_folder, request)
    threads = set_environment(request.threads)
    from polytune.training.learning import learn

    return learn(job_folder, request, rows, threads)


def _rows(job_folder: Path, request: TrainRequest) -> JobRows:
    train_file = (job_folder / request.train_file).resolve()
    training = read_rows(train_file)
    if len(training) < request.batch_size:
        raise DataError(
            f"{train_file}: {len(training)} rows do not fill one batch of "
            f"{request.batch_size}; write more rows or lower batch_size"
        )
    given = request.validation_file
    validation = read_rows((job_folder / given).resolve()) if given else []
    return JobRows(training=training, validation=validation)


def _start_clean(job_folder: Path) -> None:
    # The result goes first: a crash in here must not leave an old result beside new output.
    (job_folder / RESULT_NAME).unlink(missing_ok=True)
    (job_folder / PROGRESS_NAME).unlink(missing_ok=True)
    for left_over in (OUTPUT_NAME, ".trainer"):
        remove_tree(job_folder / left_over)


def _one_line(text: str) -> str:
    return " ".join(text.split())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
