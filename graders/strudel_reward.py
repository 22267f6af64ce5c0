"""Rewards Strudel patterns: brackets that match, a tempo, sounds, and no prose around the code.

Bedrock calls `grade` for every answer that the model draws while it learns; `polytune` tries it beforehand.
"""

import re

pairs = {")": "(", "]": "[", "}": "{"}


def grade(sample):
    """A score from 0 to 1 with its parts."""
    code = sample["answer"].strip()
    parts = {
        "balanced": balanced(code),
        "sounds": bool(re.search(r"\b(s|sound|note|n)\(", code)),
        "tempo": bool(re.search(r"\bset(cps|cpm)\(", code)),
        "code_only": not re.search(r"```|^(here|sure|this)\b", code, re.IGNORECASE | re.MULTILINE),
    }
    weights = {"balanced": 0.4, "sounds": 0.3, "tempo": 0.1, "code_only": 0.2}
    score = sum(weights[name] for name, holds in parts.items() if holds) if code else 0.0
    return {"score": round(score, 3), "metrics": {name: float(holds) for name, holds in parts.items()}}


def balanced(code):
    """Whether every bracket is closed by its own kind; quoted text is not looked into."""
    open_brackets = []
    for mark in re.sub(r'"[^"]*"|`[^`]*`|\'[^\']*\'', "", code):
        if mark in pairs.values():
            open_brackets.append(mark)
        elif mark in pairs and (not open_brackets or open_brackets.pop() != pairs[mark]):
            return False
    return not open_brackets
