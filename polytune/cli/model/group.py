"""`polytune model`: the catalogue's base models, and models made from them."""

from __future__ import annotations

from polytune.cli._group import Group

members = {
    "list": "List base models, what may be done with them, or the account's own models.",
    "info": "Show what is known of one base model, and where it was read.",
    "test": "Ask a model one question, and see the answer as it comes.",
    "compare": "Ask two models the same questions, side by side.",
    "export": "Write an application's configuration for a model.",
    "delete": "Delete a custom or imported model.",
}

command = Group("model", members, help="List, inspect, query, export and delete models.")
