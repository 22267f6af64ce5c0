"""Rules about what rows say, one file each: what a format check cannot see."""
