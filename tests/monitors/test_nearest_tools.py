"""Of many tools a prompt shows those that a question is about.

Measured on the 30 tools below and one question of each that shares few words with its tool: the tool is among the five
nearest for 29 of the questions; by shared words (BM25) for 4 of them.
"""

import math
import re
from collections import Counter

import pytest

from monitors.engines import Prompt, Turn
from monitors.engines.scripted import Answers, ScriptedEngine
from monitors.probes.scorers import ToolCall
from monitors.tools import Tool, tools_of
from monitors.tools.loop import Asked, converse
from monitors.tools.nearest import nearest, solved
from monitors.tools.running import Result, Runner
from tests.monitors.planted_tools import Talks

SHOWN = 5

KNOWN = {
    "weather": ("Forecasts rain, wind and temperature for a city.", "Do I need an umbrella in Oslo tomorrow?"),
    "flights": ("Finds plane connections between two airports.", "How can I fly from Lisbon to Rome on Friday?"),
    "hotels": ("Books rooms for the night.", "I need somewhere to sleep in Vienna this weekend."),
    "translate": ("Translates text into another language.", "How do you say good morning in Japanese?"),
    "stocks": ("Tells the price of shares.", "What is Siemens trading at on the exchange?"),
    "currency": ("Converts amounts of money from one currency to another.", "How many euros are 300 dollars?"),
    "recipes": ("Finds dishes for given ingredients.", "What can I cook with leeks and eggs?"),
    "nutrition": ("Counts calories and nutrients of food.", "How much protein is in a bowl of lentils?"),
    "mail": ("Sends an e-mail.", "Write to Petra that I shall be late."),
    "calendar": ("Creates appointments.", "Put lunch with Jonas on Thursday at noon."),
    "reminder": ("Sets an alarm for later.", "Wake me at six in the morning."),
    "maps": ("Plans a route by car or on foot.", "Which way do I drive from here to the station?"),
    "traffic": ("Reports congestion on roads.", "Are there jams on the motorway to the coast?"),
    "trains": ("Lists railway departures.", "When does the next express leave for Lyon?"),
    "music": ("Plays songs.", "Put on something by Nina Simone."),
    "films": ("Searches movies by actor, director or plot.", "In which picture did Bogart run a bar?"),
    "books": ("Searches a library catalogue.", "Do you have novels by Joseph Roth to borrow?"),
    "news": ("Lists today's headlines.", "What happened in the world this morning?"),
    "sports": ("Tells results of matches.", "Who won the football final last night?"),
    "dictionary": ("Defines a word.", "What does perspicacious mean?"),
    "synonyms": ("Lists words with a similar meaning.", "Give me another term for happy."),
    "spelling": ("Corrects errors in writing.", "Is accomodation written right?"),
    "plants": ("Identifies plants from a description.", "Which flower has five yellow petals and grows in meadows?"),
    "medicine": ("Explains drugs and their side effects.", "Can I take aspirin together with ibuprofen?"),
    "clinic": ("Finds doctors and free consultation hours.", "I have a toothache, who can see me today?"),
    "tax": ("Computes what is owed to the revenue office.", "How much of my salary goes to the state?"),
    "loans": ("Computes monthly rates of a credit.", "What would I pay back for a mortgage of 200,000?"),
    "jobs": ("Lists vacancies.", "Is anybody hiring electricians nearby?"),
    "parcels": ("Tracks shipments.", "Where is the package that I ordered on Monday?"),
    "lights": ("Switches lamps at home on or off.", "It is too dark in the kitchen."),
}


def made(name, description):
    """A tool that says this of itself."""
    return type(name, (Talks,), {"name": name, "description": description, "__module__": __name__})()


TOOLS = tuple(made(name, description) for name, (description, _) in KNOWN.items())


def words(text):
    return re.findall(r"[a-z]+", text.lower())


def by_shared_words(question, tools, count, k=1.5, b=0.75):
    """BM25 (Robertson and Zaragoza 2009) over names and descriptions."""
    documents = [Counter(words(f"{tool.name} {tool.description}")) for tool in tools]
    mean = sum(map(Counter.total, documents)) / len(documents)

    def weight(word, document):
        having = sum(word in one for one in documents)
        rare = math.log(1 + (len(documents) - having + 0.5) / (having + 0.5))
        return rare * document[word] * (k + 1) / (document[word] + k * (1 - b + b * document.total() / mean))

    scores = [sum(weight(word, document) for word in words(question)) for document in documents]
    found = [place for place in sorted(range(len(tools)), key=lambda place: -scores[place]) if scores[place] > 0]
    return tuple(tools[place] for place in found[:count])


def recall(find):
    hits = [name in {tool.name for tool in find(question, TOOLS, SHOWN)} for name, (_, question) in KNOWN.items()]
    return sum(hits) / len(hits)


def test_more_questions_find_their_tool_by_meaning_than_by_shared_words():
    assert recall(nearest) >= 0.85
    assert recall(nearest) > recall(by_shared_words) + 0.4


def test_few_tools_are_all_shown_as_they_stand_and_nothing_is_embedded(monkeypatch):
    monkeypatch.setattr("monitors.embedding.embed", lambda texts: pytest.fail("nothing is to be chosen"))
    assert nearest("anything", TOOLS[:3], 3) == TOOLS[:3]
    assert solved("anything", tools_of({"calculator": {}, "date": {}}), 0) == []


def test_a_question_like_a_tools_example_finds_it():
    calculator = tools_of({"calculator": {}})
    assert nearest("What is 13 times 8, less 2?", [*TOOLS, *calculator], 1) == calculator


class Listening(ScriptedEngine):
    """Remembers what it was asked."""

    def __init__(self, answers, default="No."):
        super().__init__(Answers(answers=answers, default=default))
        self.prompts = []

    def generate(self, prompts, max_new_tokens):
        self.prompts += prompts
        return super().generate(prompts, max_new_tokens)


def asked(tools, **options):
    return Asked(Prompt((Turn("user", "Where is the package that I ordered on Monday?"),)), tools, **options)


def described(prompt):
    return re.findall(r"^- (\w+):", prompt.turns[0].content, re.MULTILINE)


def test_a_prompt_describes_the_nearest_tools_alone_and_one_that_is_added_at_once():
    engine = Listening({})
    without = tuple(tool for tool in TOOLS if tool.name != "parcels")
    dict(converse(engine, [asked(without, nearest=3), asked(TOOLS, nearest=3), asked(TOOLS)], [8] * 3))
    shown = [described(prompt) for prompt in engine.prompts]
    assert [len(names) for names in shown] == [3, 3, 30]
    assert ("parcels" in shown[0], shown[1][0]) == (False, "parcels")


def test_the_examples_most_like_the_question_stand_solved_behind_the_tools():
    question = "Which date is 40 days after 2020-02-01?"
    tools, engine = tools_of({"calculator": {}, "date": {}}), Listening({})
    chat, plain = Prompt((Turn("user", question),)), Prompt(text=question)
    dict(converse(engine, [Asked(one, tools, examples=2) for one in (chat, plain)], [8] * 2))
    told, text = engine.prompts[0].turns[0].content, engine.prompts[1].text
    assert told.count("Question: ") == text.count("Question: ") == 2
    example = 'Question: Which date is 10 days after 2024-03-01?\nCALL date {"operation": "add"'
    assert example in told and text.index(example) < text.index(question)
    assert solved(question, (), 2) == [] and engine.prompts[0].turns[1:] == chat.turns


def test_a_tool_that_was_not_shown_can_be_called_and_a_model_that_knows_its_tools_is_shown_none(monkeypatch):
    monkeypatch.setattr(Runner, "run", lambda self, tool, given: Result(tool.run(tool.validated(given))))
    engine = Listening({asked(()).question: "CALL planted {}"}, default="It said so.")
    talks: Tool = Talks()
    found = dict(converse(engine, [asked((*TOOLS, talks), nearest=1)], [8]))[0]
    assert (found.made[0].result.failed, found.answer) == (False, "It said so.")
    assert asked(TOOLS, told=False, nearest=3).described() == ()


def test_a_probe_says_how_many_tools_its_prompt_shows():
    tools = {"calculator": {}, "date": {}, "lookup": {"entries": {}}}
    probe = ToolCall(id="a", prompt="How much is 3 plus 4?", expect=None, tools=tools, nearest=1, examples=3)
    asked = probe.asks().conversation
    assert ([tool.name for tool in asked.described()], asked.examples) == (["calculator"], 3)
