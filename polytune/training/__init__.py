"""Local training: child programs that train Hugging Face models and answer with them.

    train.py   reads JOB/request.json, writes JOB/output/ and, last, JOB/result.json
    answer.py  reads batches of questions line by line, writes their answers line by line

Other code may import only the modules that do not need torch: `protocol`, `rows`, `prompting` and `compat`.
The rest runs in the two programs only.
"""
