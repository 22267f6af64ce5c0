"""`python -m polytune.training.answer --model DIR`: answers batches of questions until its input ends.

    <- {"ready": true, "parameters": 922240, "device": "cpu"}
    -> {"id": 1, "requests": [{"system": "...", "prompt": "..."}]}
    <- {"id": 1, "answers": [{"text": "...", "input_tokens": 9, "output_tokens": 40, "finish": "stop"}]}

One JSON text per line. A batch that cannot be answered gets an `error`, and the program goes on with the
next one. Output of libraries goes to stderr.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, get_args

import msgspec

from polytune.errors import PolytuneError
from polytune.training.process import check_folder, explained, set_environment
from polytune.training.protocol import (
    AnswerBatch,
    Device,
    ModelAnswer,
    ModelQuestion,
    QuestionBatch,
    Ready,
    Sampling,
    decode,
    encode,
)

cached_model = "smollm2-135m"
Answering = Callable[[list[ModelQuestion]], list[ModelAnswer]]


def main(arguments: list[str]) -> int:
    """Exit status: 0 at the end of the input, 1 if the model could not be loaded."""
    options = _parser().parse_args(arguments)
    out = _own_stdout()
    try:
        threads = set_environment(options.threads)
        sampling = Sampling(max_tokens=options.max_tokens, temperature=options.temperature, seed=options.seed)
        folder = _model_folder(options.model, options.cache_folder)
        # torch is imported here, so that a broken install is reported in the protocol's first line.
        from polytune.training.answering import Answerer

        answerer = Answerer(folder, options.device, threads, sampling)
    except Exception as error:  # noqa: BLE001 - the boundary of the program
        _say(out, Ready(ready=False, error=_why(error)))
        return 1
    _say(out, Ready(ready=True, parameters=answerer.parameters, device=answerer.device))
    for line in sys.stdin.buffer:
        _say(out, reply(line, answerer.answers))
    return 0


def _model_folder(model: str, cache_folder: Path | None) -> Path:
    if model == cached_model and cache_folder is not None:
        from polytune.training.smollm2 import converted

        return converted(cache_folder)
    check_folder(Path(model))
    return Path(model)


def reply(line: bytes, answering: Answering) -> AnswerBatch:
    """The answers to one line of input, or the reason why there are none."""
    number = None
    try:
        batch = decode(line, QuestionBatch, "question batch")
        number = batch.id
        return AnswerBatch(id=number, answers=answering(batch.requests))
    except Exception as error:  # noqa: BLE001 - one bad batch does not end the program
        return AnswerBatch(id=number, error=_why(error))


def _why(error: Exception) -> str:
    if isinstance(error, PolytuneError):
        return " ".join(str(error).split())
    # An unexpected error may be a defect: the full traceback goes to stderr, one line to the caller.
    traceback.print_exc()
    return explained("answering", error)


def _say(out: BinaryIO, value: msgspec.Struct) -> None:
    out.write(encode(value))
    out.flush()


def _own_stdout() -> BinaryIO:
    """The original standard output; file descriptor 1 now writes to standard error."""
    # Redirect the descriptor, not only sys.stdout: native libraries print to it directly, and a stray line
    # would break the protocol.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return out


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m polytune.training.answer", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--model", required=True, help=f"folder of a Hugging Face model, or {cached_model}")
    parser.add_argument("--cache-folder", type=Path, help="where converted base models are kept")
    parser.add_argument("--threads", type=int, default=0, help="compute threads; 0: every core")
    parser.add_argument("--device", choices=get_args(Device), default="auto")
    parser.add_argument("--max-tokens", type=int, default=512, help="longest answer")
    parser.add_argument("--temperature", type=float, default=0.0, help="0: always the likeliest token")
    parser.add_argument("--seed", type=int, default=0)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
