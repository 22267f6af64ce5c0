"""How polytune is installed: its lock files, its wheel and its virtual environments."""
