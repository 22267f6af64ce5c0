"""The commands for an AWS account, against a rehearsal's servers."""
