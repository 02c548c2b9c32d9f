"""How serving grows as knowledge grows: latency and memory of each serving form at 1, 8 and 32 tasks learned.

    forms     versions as that many tasks leave them, one function a form
    one_form  a version asked in a process of its own
    __main__  the command, the table and the plot

`python -m benchmarks.serving_forms`
"""
