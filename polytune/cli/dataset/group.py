"""`polytune dataset`: converts, checks and uploads data files without an experiment."""

from __future__ import annotations

from polytune.cli._group import Group

members = {
    "import": "Convert data of other tools, or invocation logs, to a training layout.",
    "validate": "Check data files against a base model's rules.",
    "upload": "Store data files in a bucket, under their content.",
}

files = {"validate": "validate:command"}

command = Group("dataset", members, files, help="Convert, check and upload data files.")
