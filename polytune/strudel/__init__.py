"""The Strudel domain: grader, composer, and the build of Strudel's engine. Registered by entry points."""
