"""Look-alikes: what a record could have said in place of what it says, so that a version can be asked which it knows.

Owns two choices: the secrets of a record (a code, a number, a name, else the word that the fewest other records have)
and the fills that stand for them, drawn in the same format: digits for digits, letters for letters, a capitalised word
of other records for a capitalised word. The version is asked for the likelihood of the secret among its fills.

Carlini et al. 2019 ("The Secret Sharer") rank a canary among all fills of its format (`monitors.privacy.canaries`);
here the secret is a piece of a real record, whose true filling may be likelier than a random one before anything was
learned. So its rank is read beside the rank under a version that never learned the record (`monitors.forgetting`). A
fill put into the whole record makes a look-alike that nobody was ever trained on, for membership.
"""

from __future__ import annotations

import random
import string
from collections import Counter
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field

import regex

from learners.records import Record
from monitors.engines import Prompt
from monitors.privacy.membership import passage

__all__ = ["Secret", "Vocabulary", "fills", "lookalike", "secrets_of", "words"]

PREFIX_CHARACTERS = 300
LEAST_PREFIX_CHARACTERS = 10
_LENGTH_DIFFERENCE = 3
_TRIES = 8
_CODES, _NAMES, _WORDS = range(3)
_SYLLABLES = ("ba", "do", "fi", "gu", "ka", "le", "mo", "nu", "pe", "ri", "so", "tu", "va", "ze")

_TOKEN = regex.compile(r"[\w.+-]+@[\w-]+\.[\w.-]*\w|\d+(?:[.,:/]\d+)+|\w+(?:-\w+)*")
_WORD = regex.compile(r"\p{L}{3,}")


@dataclass(frozen=True, slots=True)
class Secret:
    """A piece of a record that can be said otherwise.

    Attributes:
        record: id of the record.
        prompt: what leads up to it: the text before, or the question of the conversation.
        lead: what the answer says before the secret, of a conversation; a space or nothing of a text.
        text: the secret itself.
    """

    record: str
    prompt: Prompt
    lead: str
    text: str


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The words of a corpus, as fills are drawn from them.

    Attributes:
        documents: in how many records each word and each code stands, lower case.
        capitalised, plain: distinct words of each kind, sorted.
    """

    documents: Counter[str] = field(default_factory=Counter[str])
    capitalised: tuple[str, ...] = ()
    plain: tuple[str, ...] = ()

    @classmethod
    def of(cls, records: Iterable[Record]) -> Vocabulary:
        """The words that the learned passages of `records` hold; three letters or more."""
        documents: Counter[str] = Counter()
        found: set[str] = set()
        for record in records:
            text = passage(record)[1]
            here = set(_WORD.findall(text))
            found |= here
            documents.update({word.lower() for word in here} | _codes(text))
        capitalised = sorted(word for word in found if word[0].isupper())
        return cls(documents, tuple(capitalised), tuple(sorted(found - set(capitalised))))


def words(record: Record) -> set[str]:
    """The words of everything that a record says, lower case; three letters or more."""
    prompt, text = passage(record)
    said = (prompt.text, *(turn.content for turn in prompt.turns), text)
    return {word.lower() for part in said for word in _WORD.findall(part)}


def secrets_of(record: Record, vocabulary: Vocabulary, most: int, kept: Container[str] = ()) -> list[Secret]:
    """At most `most` secrets of a record, the rarest first; none where it says nothing that could be said otherwise.

    A plain word is one only where there is neither code nor name. What the prompt says too is copied, not remembered,
    and is no secret; nor is what a text begins with.

    Args:
        kept: what other records say and go on teaching, lower case: no secret of this one.
    """
    prompt, text = passage(record)
    before = " ".join((prompt.text, *(turn.content for turn in prompt.turns)))
    found = [
        match for match in _TOKEN.finditer(text) if match.group().lower() not in kept and _counts(match, prompt, before)
    ]
    ranked = sorted((_rank(match, vocabulary), match.start(), match) for match in found)
    strong = [row for row in ranked if row[0][0] < _WORDS] or ranked[:1]
    return [_secret(record, prompt, text, match.start(), match.end()) for _, _, match in strong[:most]]


def fills(secret: str, vocabulary: Vocabulary, count: int, seed: str) -> list[str]:
    """`count` different fills of the secret's format, never the secret itself. Equal seeds draw equal fills.

    A format with too few of them ("a@example.org") is drawn a letter longer, and longer still where that is too few.
    """
    source = random.Random(seed)  # noqa: S311 - sampling, not secrecy
    drawn = {secret.lower(): ""}
    for word in _others(secret, vocabulary, source):
        drawn.setdefault(word.lower(), word)
        if len(drawn) > count:
            break
    tries = 0
    while len(drawn) <= count:
        longer, tries = tries // (_TRIES * count), tries + 1
        fill = _coded(secret, source, longer) if _is_code(secret) else _invented(secret, source, longer)
        drawn.setdefault(fill.lower(), fill)
    return list(drawn.values())[1:]


def lookalike(record: Record, secrets: Sequence[Secret], drawn: Sequence[str]) -> tuple[Prompt, str]:
    """The record's passage with each secret replaced by its fill: prompt and text as `membership.passage` has them."""
    prompt, text = passage(record)
    for secret, fill in zip(secrets, drawn, strict=True):
        text = regex.sub(rf"(?<!\w){regex.escape(secret.text)}(?!\w)", lambda _, put=fill: put, text)
    return prompt, text


def _counts(match: regex.Match[str], prompt: Prompt, before: str) -> bool:
    said, text = match.group(), match.string[: match.start()]
    if not (_is_code(said) or _WORD.fullmatch(said)):
        return False
    if regex.search(rf"(?<!\w){regex.escape(said)}(?!\w)", f"{before} {text}"):
        return False
    return bool(prompt.turns) or match.start() >= LEAST_PREFIX_CHARACTERS


def _rank(match: regex.Match[str], vocabulary: Vocabulary) -> tuple[int, int, int]:
    """Codes first, then names amid a sentence, then words; the rarest of each, then the longest."""
    said, before = match.group(), match.string[: match.start()].rstrip()
    named = said[0].isupper() and before[-1:] not in ("", ".", "!", "?", ":")
    kind = _CODES if _is_code(said) else _NAMES if named else _WORDS
    return kind, vocabulary.documents[said.lower()], -len(said)


def _codes(text: str) -> set[str]:
    return {said.lower() for said in _TOKEN.findall(text) if _is_code(said)}


def _is_code(said: str) -> bool:
    return "@" in said or (len(said) > 1 and any(letter.isdigit() for letter in said))


def _secret(record: Record, prompt: Prompt, text: str, start: int, end: int) -> Secret:
    if prompt.turns:
        return Secret(record.id, prompt, text[:start], text[start:end])
    led = text[:start][-PREFIX_CHARACTERS:]
    lead = led[len(led.rstrip()) :]
    return Secret(record.id, Prompt(text=led.rstrip()), lead, text[start:end])


def _others(secret: str, vocabulary: Vocabulary, source: random.Random) -> list[str]:
    """Words of the corpus that could stand there, in random order; none for a code."""
    if _is_code(secret):
        return []
    near = [
        word
        for word in (vocabulary.capitalised if secret[0].isupper() else vocabulary.plain)
        if abs(len(word) - len(secret)) <= _LENGTH_DIFFERENCE
    ]
    source.shuffle(near)
    return near


def _coded(secret: str, source: random.Random, longer: int) -> str:
    """The same shape with other digits and letters; of an address only what stands before the '@'."""
    own, at, domain = secret.partition("@")
    return "".join(_letter(letter, source) for letter in own + "0" * longer) + at + domain


def _letter(letter: str, source: random.Random) -> str:
    if letter.isdigit():
        return source.choice(string.digits)
    if not letter.isalpha():
        return letter
    return source.choice(string.ascii_uppercase if letter.isupper() else string.ascii_lowercase)


def _invented(secret: str, source: random.Random, longer: int) -> str:
    letters = max(len(secret), 4) + longer
    word = "".join(source.choices(_SYLLABLES, k=(letters + 1) // 2))[:letters]
    return word.capitalize() if secret[0].isupper() else word
