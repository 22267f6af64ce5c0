"""The local training machine: child programs that train and answer with Hugging Face models.

    train.py   reads JOB/request.json, writes JOB/output/ and, last, JOB/result.json
    answer.py  reads batches of questions line by line, writes their answers line by line

What other code may import is light: `protocol`, `rows`, `prompting` and `compat`. The rest needs
torch and runs in the two programs only.
"""
