"""Encodes a conversation as tokens, the same way for training and answering. Needs no torch.

The tokenizer's own chat template is used. Without one the layout is

    system

    User: ...

    Assistant: ...

The loss is computed over the answer and the tokens that end it, never over the prompt.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from jinja2 import TemplateError

from polytune.errors import DataError
from polytune.training.rows import TrainingPrompt, TrainingRow, TrainingTurn

Message = dict[str, str]

_ROLE_NAMES = {"user": "User", "assistant": "Assistant"}
_PROBE = "probe"


class Tokenizer(Protocol):
    """The part of a Hugging Face tokenizer that is used here."""

    chat_template: Any
    bos_token_id: int | None
    eos_token_id: int | None

    def apply_chat_template(
        self, conversation: list[Message], *, tokenize: bool, add_generation_prompt: bool
    ) -> Any:
        """The conversation, rendered by the template."""

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        """The text's tokens. Names of special tokens in the text become those tokens."""


@dataclass(frozen=True)
class Encoded:
    """A row as tokens. The first `asked` tokens are the prompt and do not count in the loss."""

    tokens: list[int]
    asked: int


def encode_prompt(tokenizer: Tokenizer, asked: TrainingPrompt) -> list[int]:
    """The tokens of the prompt, up to where the model's answer begins."""
    # A template writes its own special tokens; adding them again would double the begin-of-sequence token.
    if tokenizer.chat_template:
        return tokenizer.encode(_rendered(tokenizer, asked, answering=True), add_special_tokens=False)
    start = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
    return start + tokenizer.encode(plain_prompt(asked), add_special_tokens=False)


def encode_row(tokenizer: Tokenizer, row: TrainingRow, closing: list[int]) -> Encoded:
    """The row's tokens, followed by `closing` (see `closing_tokens`)."""
    # Encode prompt and answer separately: encoded together, a token could span their border, and the model
    # would be trained on a prompt that it never sees when it answers.
    prompt = encode_prompt(tokenizer, row.asked)
    answer = tokenizer.encode(row.answer, add_special_tokens=False)
    return Encoded(tokens=[*prompt, *answer, *closing], asked=len(prompt))


def closing_tokens(tokenizer: Tokenizer) -> list[int]:
    """The tokens that end an answer: the template's, up to and including the end-of-sequence token.

    Raises DataError if the tokenizer has no end-of-sequence token.
    """
    end = tokenizer.eos_token_id
    if end is None:
        raise DataError("the base model's tokenizer has no eos_token; add one to its tokenizer_config.json")
    tokens = _template_closing(tokenizer) if tokenizer.chat_template else []
    return tokens[: tokens.index(end) + 1] if end in tokens else [*tokens, end]


def plain_prompt(asked: TrainingPrompt) -> str:
    """The prompt for a tokenizer without a chat template."""
    parts = [asked.system] if asked.system else []
    parts += [f"{_ROLE_NAMES[turn.role]}: {turn.text}" for turn in asked.turns]
    return "\n\n".join([*parts, "Assistant:"]) + " "


def _template_closing(tokenizer: Tokenizer) -> list[int]:
    # Templates are programs that cannot be inspected, so render a known answer and see what follows it.
    turns = (TrainingTurn(role="user", text=_PROBE), TrainingTurn(role="assistant", text=_PROBE))
    text = _rendered(tokenizer, TrainingPrompt(system="", turns=turns), answering=False)
    _, _, after = text.rpartition(_PROBE)
    return tokenizer.encode(after.rstrip("\n"), add_special_tokens=False)


def _rendered(tokenizer: Tokenizer, asked: TrainingPrompt, *, answering: bool) -> str:
    try:
        return _apply(tokenizer, _messages(asked), answering=answering)
    except TemplateError:
        # Some templates (Gemma's) refuse a system role; there it belongs to the first question.
        return _apply(tokenizer, _messages(_folded(asked)), answering=answering)


def _apply(tokenizer: Tokenizer, messages: list[Message], *, answering: bool) -> str:
    return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=answering))


def _messages(asked: TrainingPrompt) -> list[Message]:
    system = [{"role": "system", "content": asked.system}] if asked.system else []
    return system + [{"role": turn.role, "content": turn.text} for turn in asked.turns]


def _folded(asked: TrainingPrompt) -> TrainingPrompt:
    first = TrainingTurn(role=asked.turns[0].role, text=f"{asked.system}\n\n{asked.turns[0].text}".strip())
    return TrainingPrompt(system="", turns=(first, *asked.turns[1:]))
