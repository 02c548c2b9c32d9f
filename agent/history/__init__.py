"""History: what was learned, when, from what and why; answered by meaning and by exact filters.

    cards    facts of a version, told as text          (written when a version is promoted, held or rejected)
    index    vectors of cards, gaps and lessons        (a cache below ROOT/index, rebuilt when it differs)
    search   questions in plain words
    diff     what changed between two versions

Reads the store; the only thing it writes there is a card.
"""
