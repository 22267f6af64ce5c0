"""Import contracts of the house that import-linter does not bring along."""

from __future__ import annotations

from typing import Any

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class FamilyContract(Contract):
    """Members of a family stand alone: no member imports another, and nobody outside imports one.

    A family is a package; its members are the modules and packages in it whose names have no leading
    underscore, but for those under `shared`. Members are found, not listed, so that a new one is guarded
    from its first import on. Whoever needs a member loads it by its name in YAML.

    Options: `families` are packages, `shared` names in them that everybody may import, `insiders` modules
    that may import members.
    """

    families = fields.ListField(subfield=fields.StringField())
    shared = fields.ListField(subfield=fields.StringField())
    insiders = fields.ListField(subfield=fields.StringField(), required=False, default=[])

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Every import of a member from outside of it is a breach."""
        breaches = [
            f"{importer} -> {member}"
            for family in self._list(self.families)
            for member in sorted(self._members(graph, family))
            for importer in sorted(self._importers(graph, member))
        ]
        return ContractCheck(kept=not breaches, metadata={"breaches": breaches})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Each breach on a line."""
        for breach in check.metadata["breaches"]:
            output.print_error(breach)

    def _members(self, graph: ImportGraph, family: str) -> set[str]:
        shared = self._list(self.shared)
        names = {child: child.rpartition(".")[2] for child in graph.find_children(family)}
        return {child for child, name in names.items() if not name.startswith("_") and name not in shared}

    def _importers(self, graph: ImportGraph, member: str) -> set[str]:
        inside = {member, *graph.find_descendants(member)}
        found = {
            importer for module in inside for importer in graph.find_modules_that_directly_import(module)
        }
        return found - inside - set(self._list(self.insiders))

    def _list(self, field: Any) -> list[str]:
        return list(field)
