"""What is known of the terms under which a teacher's answers may be trained on.

A pointer, no advice: each entry says where the terms stand. The first pattern that a teacher's label matches
counts; what matches none is unknown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

read = "2026-11-21"
unknown = "unknown: state them with --licence"


@dataclass(frozen=True)
class Terms:
    """The terms of some teachers."""

    teachers: str
    """A pattern of labels, in lower case."""
    name: str
    note: str
    where: str


known = (
    Terms("composed offline|composer", "none needed", "composed by rules; no language model had a part", ""),
    Terms(
        "claude",
        "Anthropic Commercial Terms",
        "answers are yours; no models that compete with Anthropic's",
        "support.claude.com/en/articles/12326764",
    ),
    Terms(
        r"\bnova\b|amazon|titan",
        "AWS Service Terms",
        "no foundation models that compete with Amazon Bedrock",
        "aws.amazon.com/service-terms",
    ),
    Terms("gpt-oss", "Apache-2.0", "no condition on answers", "huggingface.co/openai/gpt-oss-20b"),
    Terms(
        r"\bgpt-|\bo[134]\b|openai",
        "OpenAI Services Agreement",
        "answers are yours; no models that compete with OpenAI's",
        "openai.com/policies/services-agreement",
    ),
    Terms(
        r"llama[- ]?[34]",
        "Llama Community License",
        "name a model trained on answers 'Llama ...' and show 'Built with Llama' (3.1 and later)",
        "llama.com/llama3_1/license",
    ),
    Terms(
        "smollm",
        "Apache-2.0",
        "no condition on answers",
        "huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct",
    ),
    Terms(r"qwen3", "Apache-2.0", "no condition on answers", "huggingface.co/Qwen/Qwen3-32B"),
)


def terms_of(teacher: str) -> Terms | None:
    """What is known for a teacher's label; None when nothing is."""
    label = teacher.lower()
    return next((terms for terms in known if re.search(terms.teachers, label)), None)
