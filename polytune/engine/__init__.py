"""The machine: graph, keys, ledger, runs, jobs; knows no language model and no cloud."""
