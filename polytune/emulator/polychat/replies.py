"""Replies of the model behind the Polychat API, and the code that the API extracts from them.

The API extracts code with two patterns that work line by line, so some replies come out damaged: words of a
fence and prose remain, several blocks are joined. This module writes such replies as a model would, and
extracts the code as the API does.
"""

from __future__ import annotations

import json
import re
from typing import Literal, get_args

Reply = Literal[
    "plain",
    "fence",
    "typescript_fence",
    "jsx_fence",
    "indented_fence",
    "prose",
    "two_blocks",
    "invalid",
    "empty",
    "json_blob",
]
reply_kinds: tuple[Reply, ...] = get_args(Reply)
# The real server's patterns, bugs included: `typescript` leaves the word as code, `jsx` leaves an "x".
opening_fence = re.compile(r"^```(?:javascript|js|strudel)?\n?", re.MULTILINE)
closing_fence = re.compile(r"```$", re.MULTILINE)


def code_of(kind: Reply, pattern: str) -> str:
    """The `code` of an answer if the model wraps the pattern in this way."""
    # Without any text content the real API skips the extraction.
    if kind == "json_blob":
        return _without_text(pattern)
    return extract(_said(kind, pattern))


def extract(reply: str) -> str:
    """The code that the API extracts from a model's reply."""
    return closing_fence.sub("", opening_fence.sub("", reply)).strip()


def _said(kind: Reply, pattern: str) -> str:
    match kind:
        case "fence":
            return f"```javascript\n{pattern}\n```"
        case "typescript_fence":
            return f"```typescript\n{pattern}\n```"
        case "jsx_fence":
            return f"```jsx\n{pattern}\n```"
        case "indented_fence":
            return f"Sure:\n  ```js\n{pattern}\n  ```"
        case "prose":
            return f"Here is a pattern for you:\n\n```js\n{pattern}\n```\n\nThe hats keep it moving."
        case "two_blocks":
            return f'```js\ns("bd*4")\n```\n```js\n{pattern}\n```'
        case "invalid":
            # Unbalanced brackets, which no Strudel parser accepts.
            return pattern[:-1].replace(")", "", 1)
        case "empty":
            return " \n"
        case _:
            return pattern


def _without_text(pattern: str) -> str:
    """A reply with thinking and no text; the API passes it on whole, as JSON, with HTTP 200."""
    reply = {
        "id": "msg_stand_in",
        "role": "assistant",
        "content": [{"type": "thinking", "thinking": f"A pattern of {len(pattern)} characters would do."}],
        "stop_reason": "end_turn",
    }
    return json.dumps(reply)
