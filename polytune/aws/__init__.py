"""The only code that imports boto3: credentials, calls, failures and the few services polytune needs.

access -> session -> service -> (shapes check the request, boto3, shapes check the reply, failures explain)
objects, iam, usage, pricing and functions each call one service; policies and variables call none.
"""
