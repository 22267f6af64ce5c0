"""How answers are asked for: pace, budget, patience, and one place that remembers every paid answer."""
