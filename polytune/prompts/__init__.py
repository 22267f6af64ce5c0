"""MACHINE: prompt files, and the order in which their cells, templates and slots are sampled."""
