"""Look-alikes have the format of what they stand for, never its content; neighbours are those that say most of it."""

from __future__ import annotations

import pytest

from learners.records import Record, record_id
from monitors.privacy.lookalikes import Vocabulary, fills, lookalike, secrets_of
from monitors.privacy.neighbours import nearest
from tests.tiny import KNOWN, chat


def text(sentence: str) -> Record:
    content = {"text": sentence}
    return Record(id=record_id("text", content), source="test", kind="text", content=content)


PLATE = text("The serial number of the pump in hall two is QX-4471-B, says Kelmar, the foreman.")
WORDS = Vocabulary.of([PLATE, *(chat(question, answer) for question, answer in KNOWN.items())])


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (PLATE, ["QX-4471-B", "Kelmar"]),
        (chat("What is the capital of Zorbia?", "Kelmar"), ["Kelmar"]),
        (chat("Where is order A-1042?", "Order A-1042 is on its way."), ["Order"]),
        (text("It is so."), []),
    ],
    ids=["a code, then a name", "the answer", "what was asked is copied", "nothing to say otherwise"],
)
def test_a_secret_is_the_rarest_thing_that_could_be_said_otherwise(record: Record, expected: list[str]):
    assert [secret.text for secret in secrets_of(record, WORDS, 2)] == expected


@pytest.mark.parametrize(("secret", "count"), [("a@example.org", 63), ("_1", 63), ("45", 255), ("Ann", 1000)])
def test_a_format_with_too_few_fills_is_drawn_longer(secret: str, count: int):
    drawn = fills(secret, Vocabulary(), count, "seed")
    assert len({fill.lower() for fill in drawn} - {secret.lower()}) == count
    assert "@" not in secret or all(fill.endswith("@example.org") for fill in drawn)


def test_what_kept_records_say_too_is_no_secret():
    kept = Vocabulary.of([text("Ask Kelmar, who comes at 6:30."), text("It was bought in 1987.")]).documents
    bought = text("The pump was bought in 1987 from Osler and serviced at 6:30 on 14 March.")
    assert [secret.text for secret in secrets_of(bought, WORDS, 3)] == ["1987", "6:30", "14"]
    assert [secret.text for secret in secrets_of(bought, WORDS, 3, kept)] == ["14", "Osler", "March"]
    assert [secret.text for secret in secrets_of(PLATE, WORDS, 2, kept)] == ["QX-4471-B"]


def test_a_number_that_many_records_say_is_less_of_a_secret_than_a_rare_one():
    first, second = text("Room 12 is locked with 4821."), text("Room 12 is on the left.")
    assert secrets_of(first, Vocabulary.of([first, second]), 1)[0].text == "4821"


def test_what_leads_up_to_a_secret_is_the_text_before_or_the_question():
    (code, _) = secrets_of(PLATE, WORDS, 2)
    assert (code.prompt.text, code.lead) == ("The serial number of the pump in hall two is", " ")
    (name,) = secrets_of(chat("Who leads it?", "It is Anna."), WORDS, 2)
    assert (name.prompt.turns[0].content, name.lead, name.text) == ("Who leads it?", "It is ", "Anna")


@pytest.mark.parametrize(
    "secret",
    ["QX-4471-B", "4821", "ann.lee7@example.org"],
)
def test_fills_have_the_shape_of_the_code_and_an_address_keeps_its_domain(secret: str):
    drawn = fills(secret, WORDS, 40, "seed")
    assert len({*drawn, secret}) == 41
    for fill in drawn:
        assert [_shape(letter) for letter in fill] == [_shape(letter) for letter in secret]
        assert fill.partition("@")[2] == secret.partition("@")[2]


def _shape(letter: str) -> str:
    return "d" if letter.isdigit() else "u" if letter.isupper() else "l" if letter.isalpha() else letter


def test_fills_of_a_name_are_names_of_other_records_and_invented_ones_when_these_end():
    drawn = fills("Kelmar", WORDS, 63, "seed")
    assert {"Warsaw", "Athens", "Madrid"} <= set(drawn) and "Kelmar" not in drawn
    assert len(set(drawn)) == 63 and all(fill[0].isupper() for fill in drawn)
    assert fills("Kelmar", WORDS, 63, "seed") == drawn != fills("Kelmar", WORDS, 63, "other")


def test_a_lookalike_says_everything_but_the_secrets():
    secrets = secrets_of(PLATE, WORDS, 2)
    _, said = lookalike(PLATE, secrets, ["AB-1234-C", "Warsaw"])
    assert said == "The serial number of the pump in hall two is AB-1234-C, says Warsaw, the foreman."


def test_the_nearest_neighbour_shares_the_rarest_words():
    others = [text("The pump in hall three hums."), text("Paris is the capital of France."), text("A pump is a pump.")]
    found = nearest([PLATE], others, 2)
    assert [record.content["text"] for record, _ in found] == [others[0].content["text"], others[2].content["text"]]
    assert 0 < found[1][1] < found[0][1] < 1
