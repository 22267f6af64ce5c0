"""How answers are asked for."""
