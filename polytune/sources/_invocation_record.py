"""Turns a record of Bedrock's model invocation log into a conversation.

    {"schemaType": "ModelInvocationLog", "operation": "Converse", "modelId": ...,
     "input": {"inputBodyJson": {...}}, "output": {"outputBodyJson": {...} or [events]}}

The bodies are in the model's own format: Converse, messages for Anthropic and Nova, or a prompt for Llama,
Titan and Mistral. Bedrock stores large bodies in S3 next to the log; these are not fetched.
Source: docs.aws.amazon.com/bedrock/latest/userguide/model-invocation-logging.html, read 2026-11.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from polytune.formats.interface import Conversation, Turn

record_type = "ModelInvocationLog"
prompts = ("prompt", "inputText")
answers = ("generation", "outputText", "completion", "text")


class NotConvertible(Exception):
    """The reason why a record cannot become a training row."""

    def __init__(self, path: str, reason: str, fix: str) -> None:
        super().__init__(reason)
        self.path = path
        self.reason = reason
        self.fix = fix


class _LogInput(msgspec.Struct):
    inputBodyJson: Any = None
    inputBodyS3Path: str = ""


class _LogOutput(msgspec.Struct):
    outputBodyJson: Any = None
    outputBodyS3Path: str = ""


class _LogRecord(msgspec.Struct):
    schemaType: str = ""
    operation: str = ""
    errorCode: str = ""
    input: _LogInput | None = None
    output: _LogOutput | None = None


_decoder = msgspec.json.Decoder(_LogRecord)


def conversation_of(line: bytes) -> Conversation:
    """The conversation in a record: request and answer. Raises NotConvertible."""
    record = _record(line)
    asked, answered = _bodies(record)
    system, turns = _asked(asked)
    answer = "".join(_texts_of(answered))
    if not answer.strip():
        raise NotConvertible("output.outputBodyJson", "the answer holds no text", "Drop the record.")
    return Conversation(system or None, (*turns, Turn("assistant", answer)))


def _record(line: bytes) -> _LogRecord:
    try:
        record = _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotConvertible("", f"not a record of a log: {error}", "Give files of a log.") from error
    if record.schemaType != record_type:
        what = f"schemaType is '{record.schemaType}', not {record_type}"
        raise NotConvertible("schemaType", what, "Give files of a model invocation log.")
    if record.errorCode:
        raise NotConvertible("errorCode", f"the call failed: {record.errorCode}", "Drop the record.")
    return record


def _bodies(record: _LogRecord) -> tuple[Mapping[str, Any], Any]:
    asked, answered = record.input, record.output
    far = (asked.inputBodyS3Path if asked else "") or (answered.outputBodyS3Path if answered else "")
    if far and ((asked and asked.inputBodyJson is None) or (answered and answered.outputBodyJson is None)):
        raise NotConvertible("", f"the body is in {far}", "Put it into the record, or drop the record.")
    if asked is None or not isinstance(asked.inputBodyJson, Mapping):
        raise NotConvertible("input.inputBodyJson", "there is no request in the log", "Drop the record.")
    if answered is None or answered.outputBodyJson is None:
        fix = "Turn on text data delivery in the logging settings."
        raise NotConvertible("output.outputBodyJson", "there is no answer in the log", fix)
    return asked.inputBodyJson, answered.outputBodyJson


def _asked(body: Mapping[str, Any]) -> tuple[str, list[Turn]]:
    messages = body.get("messages")
    if isinstance(messages, list) and messages:
        system = "\n\n".join(_texts(body.get("system"), "input.inputBodyJson.system"))
        return _spoken(messages, system)
    prompt = next((body[key] for key in prompts if isinstance(body.get(key), str)), "")
    if not prompt.strip():
        raise NotConvertible("input.inputBodyJson", "holds neither messages nor a prompt", "Drop the record.")
    return "", [Turn("user", prompt)]


def _spoken(messages: list[Any], system: str) -> tuple[str, list[Turn]]:
    turns: list[Turn] = []
    for number, message in enumerate(messages):
        path = f"input.inputBodyJson.messages[{number}]"
        role = message.get("role") if isinstance(message, Mapping) else None
        if role == "system":
            system = "\n\n".join(filter(None, (system, *_texts(message.get("content"), path))))
        elif role in ("user", "assistant"):
            text = "\n\n".join(_texts(message.get("content"), path))
            turns.append(Turn("user" if role == "user" else "assistant", text))
        else:
            raise NotConvertible(f"{path}.role", f"expected user or assistant, found '{role}'", "Drop it.")
    if not turns or turns[-1].role != "user":
        raise NotConvertible("input.inputBodyJson.messages", "the last turn is not the user's", "Drop it.")
    return system, turns


def _texts(content: Any, path: str) -> Iterator[str]:
    """The texts of a message's content. Raises NotConvertible for content other than text."""
    if content is None or isinstance(content, str):
        yield from [content] if content else []
        return
    for block in content if isinstance(content, list) else [content]:
        if isinstance(block, str):
            yield block
        elif isinstance(block, Mapping) and isinstance(block.get("text"), str):
            yield block["text"]
        # A cache point only marks where prompt caching may start; it is not content.
        elif not (isinstance(block, Mapping) and "cachePoint" in block):
            what = "content other than text, which is not converted"
            raise NotConvertible(path, what, "Drop the record, or take the content out.")


def _texts_of(body: Any) -> Iterator[str]:
    """The texts of an answer, complete or in the events of a stream."""
    if isinstance(body, list):
        for event in body:
            yield from _delta(event)
        return
    if not isinstance(body, Mapping):
        raise NotConvertible("output.outputBodyJson", "the answer is no object", "Drop the record.")
    message = (body.get("output") or {}).get("message") if isinstance(body.get("output"), Mapping) else None
    if isinstance(message, Mapping):
        yield from _texts(_spoken_blocks(message.get("content")), "output.outputBodyJson.output.message")
    elif "content" in body:
        yield from _texts(_spoken_blocks(body["content"]), "output.outputBodyJson.content")
    else:
        yield from _completed(body)


def _spoken_blocks(content: Any) -> Any:
    """The content without the model's reasoning."""
    if not isinstance(content, list):
        return content
    silent = ("reasoningContent", "thinking", "redacted_thinking")
    return [
        block
        for block in content
        if not (isinstance(block, Mapping) and ("reasoningContent" in block or block.get("type") in silent))
    ]


def _completed(body: Mapping[str, Any]) -> Iterator[str]:
    for part in (body, *_listed(body, "results"), *_listed(body, "outputs")):
        found = next((part[key] for key in answers if isinstance(part.get(key), str)), None)
        if found is not None:
            yield found
    for choice in _listed(body, "choices"):
        message = choice.get("message")
        if isinstance(message, Mapping):
            yield from _texts(message.get("content"), "output.outputBodyJson.choices")


def _listed(body: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    found = body.get(key)
    return [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []


def _delta(event: Any) -> Iterator[str]:
    """The piece of text in a stream event of Converse, Nova or Anthropic."""
    if not isinstance(event, Mapping):
        return
    delta = event.get("contentBlockDelta", event)
    delta = delta.get("delta") if isinstance(delta, Mapping) else None
    if isinstance(delta, Mapping) and isinstance(delta.get("text"), str):
        yield delta["text"]
    elif isinstance(delta, Mapping) and ("toolUse" in delta or "partial_json" in delta):
        what = "content other than text, which is not converted"
        raise NotConvertible("output.outputBodyJson", what, "Drop the record.")
    elif delta is None:
        yield from _completed(event)
