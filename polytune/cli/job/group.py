"""`polytune job`: remote jobs in the account, started by polytune or by other tools."""

from __future__ import annotations

from polytune.cli._group import Group

members = {
    "list": "List jobs: polytune's own, the account's, or what the ledger knows.",
    "status": "Look at one job once.",
    "watch": "Look at one job until it ends, and draw its loss curve.",
    "stop": "Stop one job.",
}

command = Group("job", members, help="List, watch and stop jobs, local or in the cloud.")
