"""`polytune diff`: structure, rows, figures, and the pages a person reads."""
