"""The bodies of InvokeModel, in each vendor's own layout: parses requests and writes answers.

nova        {"messages": [{"role", "content": [{"text"}]}], "system": [{"text"}], "inferenceConfig": {...}}
anthropic   {"anthropic_version", "messages": [{"role", "content"}], "system", "max_tokens", ...}
llama       {"prompt", "max_gen_len", ...}
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from polytune.emulator.bedrock.call import invalid
from polytune.emulator.bedrock.completions import Completion, EmulatedQuestion

malformed = "Malformed input request, please reformat your input and try again."
start_message = (
    "A conversation must start with a user message. "
    "Try again with a conversation that starts with a user message."
)
alternate_roles = (
    "A conversation must alternate between user and assistant roles. "
    "Make sure the conversation alternates between user and assistant roles and try again."
)
# Llama requests carry their chat template in the prompt. Strip it: the emulated model answers the text.
llama_markup = re.compile(r"<\|[^|]*\|>(?:(?:system|user|assistant)<\|end_header_id\|>)?")

Layout = Literal["nova", "anthropic", "llama"]
Body: TypeAlias = dict[str, Any]
Positive: TypeAlias = Annotated[int, msgspec.Meta(gt=0)]


class TextBlock(msgspec.Struct, frozen=True):
    """One content block. Blocks other than text are ignored."""

    text: str | None = None


class BodyMessage(msgspec.Struct, frozen=True):
    """One turn. In Anthropic's layout the content may be a plain string."""

    role: str
    content: list[TextBlock] | str


class InferenceConfig(msgspec.Struct, frozen=True):
    """Nova's inference limits. Nova accepts both spellings of the token limit."""

    maxTokens: Positive | None = None
    max_new_tokens: Positive | None = None
    stopSequences: list[str] = []


class NovaBody(msgspec.Struct, frozen=True):
    """A request to Amazon Nova, and the relevant part of a Converse request."""

    messages: list[BodyMessage]
    system: list[TextBlock] = []
    inferenceConfig: InferenceConfig = InferenceConfig()


class AnthropicBody(msgspec.Struct, frozen=True):
    """A request to Claude."""

    anthropic_version: str
    max_tokens: Positive
    messages: list[BodyMessage]
    system: list[TextBlock] | str = ""
    stop_sequences: list[str] = []


class LlamaBody(msgspec.Struct, frozen=True):
    """A request to Llama."""

    prompt: str
    max_gen_len: Positive = 512


@dataclass(frozen=True)
class Read:
    """A parsed request, and the layout of its answer."""

    layout: Layout
    question: EmulatedQuestion


def read(raw: bytes) -> Read:
    """The question in a request body. Raises EmulatedError if it matches none of the layouts."""
    # The layout is told by its distinctive member, not by the model: custom and imported models have ARNs
    # that do not name their vendor.
    try:
        body = msgspec.json.decode(raw)
        if not isinstance(body, dict):
            raise invalid(malformed)
        if "anthropic_version" in body:
            return Read("anthropic", _anthropic(msgspec.convert(body, AnthropicBody)))
        if "prompt" in body:
            return Read("llama", _llama(msgspec.convert(body, LlamaBody)))
        return Read("nova", _nova(msgspec.convert(body, NovaBody)))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise invalid(f"{malformed} ({error})") from error


def converse(members: Mapping[str, Any]) -> EmulatedQuestion:
    """The question in a Converse request. Raises EmulatedError if its turns are out of order."""
    # `messages` is optional in the API model, but without it there is no conversation: an empty list leads to
    # the service's own error for that.
    try:
        return _nova(msgspec.convert({"messages": [], **members}, NovaBody))
    except msgspec.ValidationError as error:
        raise invalid(f"{malformed} ({error})") from error


def written(layout: Layout, said: Completion) -> Body:
    """The complete answer body in a layout."""
    match layout:
        case "nova":
            message = {"role": "assistant", "content": [{"text": said.text}]}
            return {"output": {"message": message}, "stopReason": said.ending, "usage": usage(said)}
        case "anthropic":
            return {
                "id": "msg_bdrk_emulated",
                "type": "message",
                "role": "assistant",
                "content": [{"type": "text", "text": said.text}],
                "stop_reason": said.ending,
                "stop_sequence": None,
                "usage": {"input_tokens": said.input_tokens, "output_tokens": said.output_tokens},
            }
        case "llama":
            return {
                "generation": said.text,
                "prompt_token_count": said.input_tokens,
                "generation_token_count": said.output_tokens,
                "stop_reason": _llama_ending(said),
            }


def chunks(layout: Layout, said: Completion) -> Iterator[Body]:
    """The answer in the chunks of the vendor's streaming format."""
    match layout:
        case "nova":
            yield from ({name: members} for name, members in events(said))
        case "anthropic":
            yield from _anthropic_chunks(said)
        case "llama":
            # Llama's stream has the prompt's tokens in its first chunk and the answer's in its last.
            first, *others = said.pieces()
            yield _llama_chunk(first, said.input_tokens, None, None)
            for piece in others:
                yield _llama_chunk(piece, None, None, None)
            yield _llama_chunk("", None, said.output_tokens, _llama_ending(said))


def events(said: Completion) -> Iterator[tuple[str, Body]]:
    """The events of a Converse stream, up to and including messageStop."""
    yield "messageStart", {"role": "assistant"}
    for piece in said.pieces():
        yield "contentBlockDelta", {"delta": {"text": piece}, "contentBlockIndex": 0}
    yield "contentBlockStop", {"contentBlockIndex": 0}
    yield "messageStop", {"stopReason": said.ending}


def usage(said: Completion) -> Body:
    """Token counts with the member names of Converse and Nova."""
    return {
        "inputTokens": said.input_tokens,
        "outputTokens": said.output_tokens,
        "totalTokens": said.input_tokens + said.output_tokens,
    }


def encoded(body: Body) -> bytes:
    """A body as JSON bytes."""
    return json.dumps(body, ensure_ascii=False).encode()


def _nova(body: NovaBody) -> EmulatedQuestion:
    limits = body.inferenceConfig
    return EmulatedQuestion(
        prompt=_conversation(body.messages),
        system=_text(body.system),
        max_tokens=limits.maxTokens or limits.max_new_tokens,
        stops=tuple(limits.stopSequences),
    )


def _anthropic(body: AnthropicBody) -> EmulatedQuestion:
    return EmulatedQuestion(
        prompt=_conversation(body.messages),
        system=_text(body.system),
        max_tokens=body.max_tokens,
        stops=tuple(body.stop_sequences),
    )


def _llama(body: LlamaBody) -> EmulatedQuestion:
    return EmulatedQuestion(prompt=llama_markup.sub("", body.prompt).strip(), max_tokens=body.max_gen_len)


def _conversation(messages: list[BodyMessage]) -> str:
    """The text of all turns. Raises EmulatedError for turns out of order and for blank text."""
    if not messages or messages[0].role != "user":
        raise invalid(start_message)
    for place, message in enumerate(messages):
        if message.role != ("user", "assistant")[place % 2]:
            raise invalid(alternate_roles)
        for index, text in enumerate(_texts(message.content)):
            if not text.strip():
                where = f"messages.{place}.content.{index}"
                raise invalid(
                    f"The text field in the ContentBlock object at {where} is blank. "
                    "Add text to the text field, and try again."
                )
    return "\n\n".join(_text(message.content) for message in messages)


def _text(content: list[TextBlock] | str) -> str:
    return "\n".join(_texts(content))


def _texts(content: list[TextBlock] | str) -> list[str]:
    return [content] if isinstance(content, str) else [b.text for b in content if b.text is not None]


def _llama_ending(said: Completion) -> str:
    return "length" if said.ending == "max_tokens" else "stop"


def _llama_chunk(text: str, asked: int | None, given: int | None, ending: str | None) -> Body:
    return {
        "generation": text,
        "prompt_token_count": asked,
        "generation_token_count": given,
        "stop_reason": ending,
    }


def _anthropic_chunks(said: Completion) -> Iterator[Body]:
    # Anthropic's message_start already counts one output token; message_delta has the final number.
    begun = {"input_tokens": said.input_tokens, "output_tokens": 1}
    message = {
        "id": "msg_bdrk_emulated",
        "type": "message",
        "role": "assistant",
        "content": [],
        "usage": begun,
    }
    yield {"type": "message_start", "message": message}
    yield {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    for piece in said.pieces():
        yield {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}}
    yield {"type": "content_block_stop", "index": 0}
    ending = {"stop_reason": said.ending, "stop_sequence": None}
    yield {"type": "message_delta", "delta": ending, "usage": {"output_tokens": said.output_tokens}}
    yield {"type": "message_stop"}
