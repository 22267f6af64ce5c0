"""Tokens as Bedrock itself counts them: CountTokens, which asks no model and costs nothing.

One call a text; for a whole file, count a few dozen rows and calibrate the estimate on them:
`CalibratedTokens(BedrockTokens(access, model_id), texts)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

from polytune.aws.access import Access
from polytune.aws.failures import AwsFailure
from polytune.data.tokens import TokenCounter
from polytune.errors import DataError

calls_at_once = 8
one_token = "a"
"""One token in every tokenizer; what a count of it exceeds 1 by is what frames a message."""
refusals = ("ValidationException", "ResourceNotFoundException")


class BedrockTokens(TokenCounter):
    """Counts with one model of an account."""

    exact = True
    error = ""

    def __init__(self, access: Access, model_id: str) -> None:
        """`model_id` as calls of the model name it. Not every model can be counted for."""
        self.access = access
        self.model_id = model_id

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, in order; a text is counted once, a blank one has none.

        Raises DataError when Bedrock does not count for this model, else AwsFailure.
        """
        different = [text for text in dict.fromkeys(texts) if text.strip()]
        if not different:
            return [0] * len(texts)
        framing = self._framing
        with ThreadPoolExecutor(calls_at_once) as threads:
            counted = dict(zip(different, threads.map(self._counted, different), strict=True))
        return [max(1, counted[text] - framing) if text in counted else 0 for text in texts]

    @cached_property
    def _framing(self) -> int:
        """What a message has besides its text."""
        return self._counted(one_token) - 1

    def _counted(self, text: str) -> int:
        message = {"role": "user", "content": [{"text": text}]}
        members = {"modelId": self.model_id, "input": {"converse": {"messages": [message]}}}
        try:
            answer = self.access.service("bedrock-runtime").call("CountTokens", members)
        except AwsFailure as failure:
            if failure.code not in refusals:
                raise
            raise DataError(f"Bedrock counts no tokens for {self.model_id}: {failure.said}") from failure
        return int(answer["inputTokens"])
