"""`polytune data`: inspects, checks and cleans the rows of any JSONL file, without an experiment."""

from __future__ import annotations

from polytune.cli._group import Group

members = {
    "stats": "Show counts, lengths, tokens, teachers and cells.",
    "head": "Show the first rows.",
    "sample": "Show rows drawn at random.",
    "lint": "Find rows that can be read and still teach the wrong thing.",
    "dedupe": "Find rows that repeat others, and write the file without them.",
    "diff": "Compare the rows of two files.",
    "card": "Write a dataset card in Markdown.",
}

files = {"head": "data.rows:head", "sample": "data.rows:sample"}

command = Group("data", members, files, help="Inspect, check and clean the rows of any JSONL file.")
