"""Judges answers, one per line: put the rules of your own task into `fault`.

polytune starts this program once and writes one case per line to its standard input: a JSON object with
`id`, `prompt`, `answer`, `reference` and `variables`. Each case is answered by one line of JSON with `id`,
`passed` and a `reason`.
"""

from __future__ import annotations

import json
import re
import sys

status_line = re.compile(r"(?P<service>\w+): (ok|degraded|down)\. (?P<sentence>[^.]+)\.")
most_words = 12


def fault(prompt: str, answer: str) -> str:
    """What is wrong with an answer; '' when nothing is."""
    found = status_line.fullmatch(answer.strip())
    if found is None:
        return "it is not `Service: state. Sentence.`"
    if found["service"] not in prompt:
        return f"the prompt does not mention {found['service']}"
    return "the sentence is too long" if len(found["sentence"].split()) > most_words else ""


for line in sys.stdin:
    case = json.loads(line)
    reason = fault(case["prompt"], case["answer"])
    verdict = {"id": case["id"], "passed": not reason, "reason": reason}
    sys.stdout.write(json.dumps(verdict) + "\n")
    # polytune waits for this verdict: do not leave it in a buffer.
    sys.stdout.flush()
