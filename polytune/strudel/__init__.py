"""Everything about Strudel: its engine in a child process, and a checker beside it."""
