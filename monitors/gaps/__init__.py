"""Gaps: what the serving version does not know, and the probes that show it.

`cloze` makes probes from new documents, `changes` tells which of them ask for what a new version of a document changed,
`held_out` makes probes from new examples, `clusters` turns failures into named gaps, and `diagnosing` is the worker's
handler that runs them all. Only workers import this family.
"""
