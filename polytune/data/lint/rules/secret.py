"""secret: a text contains a key, token or password, which a model may repeat.

The patterns follow the issuers' documentation. Made-up secrets are ignored: those with fewer than six
different characters, and placeholders such as `YOUR_KEY`. AWS's own example key is a warning.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from polytune.data.lint.rules.interface import Hit, LintBlock, Rule
from polytune.formats.interface import Finding, Severity

_shapes = {
    b"A(?<![A-Za-z0-9]A)": {
        "an AWS access key id": rb"(?:KIA|SIA)[A-Z2-7][A-Z0-9]{15}(?![A-Za-z0-9])",
        "a Google API key": rb"Iza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])",
    },
    b"-": {
        "a private key": rb"----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----",
        "an API key of the form sk-": rb"(?<=\bsk-)(?:[a-z]{3,12}[0-9]*-)*[A-Za-z0-9_-]{20,}",
        "a Slack token": rb"(?<=xox[abeoprs]-)(?:[0-9A-Za-z]+-)+[0-9A-Za-z]{10,}",
        "a GitLab token": rb"(?<=glpat-)[A-Za-z0-9_-]{20,}",
        "a PyPI token": rb"(?<=pypi-)AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,}",
    },
    b"_": {
        "a GitHub token": rb"(?:(?<=gh[oprsu]_)[A-Za-z0-9]{36}|(?<=github_)pat_[A-Za-z0-9_]{50,})",
        "a Stripe key": rb"(?<=[rs]k_)live_[A-Za-z0-9]{16,}",
        "a Hugging Face token": rb"(?<=\bhf_)[A-Za-z]{30,}",
        "an npm token": rb"(?<=\bnpm_)[A-Za-z0-9]{36}",
    },
    b"J(?<=eyJ)(?<![A-Za-z0-9_-]eyJ)": {"a JSON web token": rb"[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{16,}"},
    b"G(?<=SG)(?<![A-Za-z0-9]SG)": {"a SendGrid key": rb"\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}"},
}
"""Each pattern starts with a rare character, which is found at memory speed, and looks back from it."""
_patterns = [
    (tuple(kinds), re.compile(first + b"(?:" + b"|".join(b"(%b)" % each for each in kinds.values()) + b")"))
    for first, kinds in _shapes.items()
]
_aws_secret = re.compile(rb"secret_?(?:access_?)?key['\"]?\s*[=:]\s*['\"]?[a-z0-9/+]{40}(?![a-z0-9/+=])")
_password = re.compile(rb"://[^\s/:@\"'<>`]{1,64}:([^\s/:@\"'<>`]{3,64})@[^\s/:@\"'<>`]")
_made_up = re.compile(
    r"example|your|xxx|<|\$|\{|\*\*|placeholder|changeme|redacted|dummy|sample|password|passwd|^pass$|^pwd$|^secret$|^user$",
    re.IGNORECASE,
)
fewest_different = 6


class Secret(Rule):
    """Names the kind of secret; messages show only the beginning of the secret itself."""

    name = "secret"
    severity = "error"
    example = "assistant: aws_access_key_id = AKIA..."
    fix = "Replace it by a placeholder and revoke it: whoever can ask the model may get it."

    def check(self, block: LintBlock) -> Iterator[Finding]:
        for kinds, pattern in _patterns:
            for match in pattern.finditer(block.content):
                kind = kinds[(match.lastindex or 1) - 1]
                yield from self._judged(block, block.hit(*match.span()), kind)
        for hit in block.hits(_aws_secret, block.lowered):
            yield from self._judged(block, hit, "an AWS secret key")
        if b"://" in block.content:
            for match in _password.finditer(block.content):
                if not _made_up.search(match.group(1).decode(errors="replace")):
                    hit = block.hit(match.start(), match.end())
                    yield self.finding(hit.row, hit.passage.field, "an address contains a password")

    def _judged(self, block: LintBlock, hit: Hit, kind: str) -> Iterator[Finding]:
        token = re.split(r"[=:'\"\s]+", hit.text)[-1] if kind == "an AWS secret key" else hit.text
        severity: Severity | None = None
        if kind.startswith("an AWS") and "EXAMPLE" in token:
            kind, severity = f"{kind} (the one that AWS documents)", "warning"
        elif kind != "a private key" and _is_made_up(token, kind):
            return
        before = re.split(rb"[^\w-]", block.content[max(0, hit.start - 8) : hit.start])[-1]
        shown = f"{before.decode(errors='replace')}{hit.text}"[:12]
        yield self.finding(hit.row, hit.passage.field, f"{kind}: {shown}\u2026", severity=severity)


def _is_made_up(token: str, kind: str) -> bool:
    if len(set(token)) < fewest_different or _made_up.search(token):
        return True
    if "sk-" in kind:
        return not (any(c.isdigit() for c in token) and any(c.isupper() for c in token))
    return False
