"""Experiments that name files and folders in every way that a spec can. They need no account."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from tests.sources.made import write_parquet
from tests.sources.pictures import png
from tests.training.small_model import small_model

place = "inputs/"
"""How experiments name what they read: in this folder, beside the file."""
topics = ("rain", "trains", "sun", "wind", "snow", "sand", "salt", "smoke")
logged = {
    "schemaType": "ModelInvocationLog",
    "schemaVersion": "1.0",
    "timestamp": "2026-11-21T09:00:17Z",
    "accountId": "123456789012",
    "region": "us-east-1",
    "requestId": "ff4b6c63-5561-4431-93b8-06a817275900",
    "operation": "Converse",
    "modelId": "us.amazon.nova-pro-v1:0",
    "input": {"inputBodyJson": {"messages": [{"role": "user", "content": [{"text": "Q1"}]}]}},
    "output": {
        "outputBodyJson": {
            "stopReason": "end_turn",
            "output": {"message": {"role": "assistant", "content": [{"text": "A1"}]}},
        }
    },
}


def lines(*rows: object) -> str:
    """Rows as JSON lines."""
    return "".join(json.dumps(row) + "\n" for row in rows)


def pairs(start: int, stop: int) -> str:
    """Rows of a dataset in the layout `prompt-completion`."""
    return lines(*({"prompt": f"Question {n}", "completion": f"Answer {n}"} for n in range(start, stop)))


@dataclass(frozen=True)
class InputExperiment:
    """Steps whose inputs are all below `inputs/`."""

    steps: dict[str, Any]
    texts: dict[str, str]
    """Path below `inputs/` -> text."""
    rehearsed: bool = False

    def placed(self, folder: Path, prefix: str = place) -> InputExperiment:
        """Lay the inputs into a folder, `inputs/` replaced by a prefix; return the steps that name them."""
        for name, text in self.texts.items():
            path = folder / (prefix + name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        if f"{place}model" in self.yaml():
            small_model(folder / f"{prefix}model")
        if f"{place}saved" in self.yaml():
            write_parquet(folder / f"{prefix}saved/train.parquet", [{"prompt": "Q7", "completion": "A7"}])
        if f"{place}media" in self.yaml():
            (folder / f"{prefix}media").mkdir(parents=True, exist_ok=True)
            (folder / f"{prefix}media/red.png").write_bytes(png("disc", "red"))
        return replace(self, steps=json.loads(json.dumps(self.steps).replace(place, prefix)))

    def yaml(self) -> str:
        """The experiment file."""
        return yaml.safe_dump(
            {"name": "named", "seed": 3, "platform": {"kind": "local"}, "steps": self.steps}
        )


cloud = {
    "kind": "bedrock",
    "bucket": "${env:BEDROCK_TRAINING_BUCKET:-}",
    "role_arn": "${env:BEDROCK_ROLE_ARN:-}",
}
experiments = {
    "asking": InputExperiment(
        {
            "generate": {
                "prompts": f"{place}prompts.yaml",
                "seeds": {"path": f"{place}seeds.csv"},
                "teacher": {"kind": "replay", "path": f"{place}answers.jsonl"},
                "count": len(topics),
            },
            "format": {"system": "none", "split": {"train": 0.8, "validation": 0.1, "test": 0.1}},
        },
        {
            "prompts.yaml": "templates: ['About {{ topic }}']\n",
            "seeds.csv": "id,topic\n" + "".join(f"{n},{topic}\n" for n, topic in enumerate(topics)),
            "answers.jsonl": lines(*({"prompt": f"About {t}", "answer": f"So much {t}"} for t in topics)),
        },
    ),
    "collecting": InputExperiment(
        {
            "collect": {
                "sources": [
                    {"kind": "jsonl", "path": f"{place}rows.jsonl"},
                    {"kind": "csv", "path": f"{place}rows.csv"},
                    {"kind": "captures", "path": f"{place}captures.jsonl", "minimum_rating": 0.5},
                    {"kind": "invocation_logs", "folder": f"{place}logs"},
                    {"kind": "huggingface", "folder": f"{place}saved"},
                ]
            },
            "format": {"system": "none"},
        },
        {
            "rows.jsonl": pairs(0, 3),
            "rows.csv": "prompt,answer\nQ2,A2\n",
            "captures.jsonl": lines({"prompt": "Q3", "answer": "A3", "rating": 1}),
            "logs/one.json": lines(logged),
        },
    ),
    "media": InputExperiment(
        {
            "dataset": {
                "layout": "image-caption",
                "train": f"{place}train.jsonl",
                "media": f"{place}media",
            }
        },
        {"train.jsonl": lines({"image-ref": "file:red.png", "caption": "A red disc"})},
    ),
    "training": InputExperiment(
        {
            "dataset": {
                "layout": "prompt-completion",
                "train": f"{place}train.jsonl",
                "validation": f"{place}validation.jsonl",
                "test": f"{place}test.jsonl",
            },
            "validate": {"base_model": f"{place}model"},
            "upload": {},
            "train": {"base_model": f"{place}model", "epochs": 1, "batch_size": 8},
            "evaluate": {
                "base_model": f"{place}model",
                "graders": [{"kind": "strudel", "engine": "checker"}],
                "limit": 1,
                "max_tokens": 8,
            },
            "export": {"to": "json", "path": "exports/named.json"},
        },
        {
            "train.jsonl": pairs(0, 16),
            "validation.jsonl": pairs(16, 20),
            "test.jsonl": pairs(20, 22),
        },
    ),
    "importing": InputExperiment(
        {"import_model": {"platform": cloud, "folder": f"{place}model"}}, {}, rehearsed=True
    ),
    "rewarding": InputExperiment(
        {
            "dataset": {"layout": "bedrock-rft", "train": f"{place}train.jsonl"},
            "validate": {"base_model": "nova-2-lite"},
            "upload": {"platform": cloud},
            "reinforce": {
                "platform": cloud,
                "base_model": "nova-2-lite",
                "reward": {
                    "file": f"{place}reward.py",
                    "function_role_arn": "arn:aws:iam::123456789012:role/reward",
                },
            },
        },
        {
            "train.jsonl": lines(
                *(
                    {"messages": [{"role": "user", "content": f"Question {n}"}], "reference_answer": f"{n}"}
                    for n in range(120)
                )
            ),
            "reward.py": "def grade(sample):\n    return 1.0\n",
        },
        rehearsed=True,
    ),
}
