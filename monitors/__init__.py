"""Sources, records, probes, scores, metrics and the gate: measures, and changes no weights.

Start reading at `monitors.job` (what is asked and answered), then `monitors.probes` (what is measured) and
`monitors.gate` (what it means). Imports `learners`, never `agent`.
"""
