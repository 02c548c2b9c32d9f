"""`cld demo`: the whole loop on a real model, from an empty data root to an answered question about its history.

`script` says what is fed and which ending is right, `run` plays it against a real daemon, `report` turns what the
store holds afterwards into the table and demo-report.json. No number comes from here: all are read from the store.
"""
