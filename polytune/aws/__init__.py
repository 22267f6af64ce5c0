"""The only code that imports boto3: credentials, calls, failures and the few services polytune needs.

access -> session -> service -> (shapes before, boto3, shapes after, failures on the way out)
objects, iam, usage, pricing and functions speak to one service each; policies and variables to none.
"""
