"""Models, adapters, data sets and training: holds weights and changes them, knows nothing of cycles or probes.

Start reading at `learners.job` (what is asked and answered), then `learners.worker` (how a job runs) and
`learners.training` (the one trainer). Imports neither `monitors` nor `agent`.
"""
