"""`python -m polytune.data.worker`: applies functions to blocks of files until its input ends.

    -> (function, path, span)      pickled, on standard input
    <- the result, or an exception pickled, on standard output, in the same order

Its input also ends when the process that started it is killed, so it never outlives that one.
"""

from __future__ import annotations

import gc
import os
import pickle
import sys
import traceback
from contextlib import suppress
from typing import BinaryIO

from polytune.data.lines import block_at


def main() -> None:
    """Every question has been answered, or nobody listens any more."""
    gc.disable()  # blocks leave no cycles behind
    questions, answers = sys.stdin.buffer, _own_stdout()
    with suppress(EOFError, BrokenPipeError, pickle.UnpicklingError):
        while True:
            pickle.dump(answer(questions), answers, pickle.HIGHEST_PROTOCOL)
            answers.flush()


def answer(questions: BinaryIO) -> object:
    """The result for the next question; an exception in its place, with where it was raised as a note."""
    function, path, span = pickle.load(questions)
    try:
        result: object = function(block_at(path, span))
    except Exception as error:  # noqa: BLE001 - raised again in the process that asked
        error.add_note(traceback.format_exc())
        return error
    return result


def _own_stdout() -> BinaryIO:
    """The real standard output; whatever a library prints goes to standard error."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return out


if __name__ == "__main__":
    main()
