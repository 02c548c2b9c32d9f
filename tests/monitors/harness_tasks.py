"""Local tasks of lm-evaluation-harness over the tiny model's world: one of each kind of request."""

from __future__ import annotations

import json
from pathlib import Path

from tests.tiny import KNOWN, SENTENCES

__all__ = ["KINDS", "write_tasks"]

KINDS = {"tiny_choice": "acc", "tiny_written": "exact_match", "tiny_ending": "acc", "tiny_text": "byte_perplexity"}

TASKS = {
    "tiny_choice": """
output_type: multiple_choice
test_split: test
fewshot_split: train
fewshot_config: {sampler: first_n}
num_fewshot: 3
description: "The following are questions with answers.\\n\\n"
doc_to_text: "Question: {{question}}\\nA. {{choices[0]}}\\nB. {{choices[1]}}\\nC. {{choices[2]}}\\nAnswer:"
doc_to_choice: ["A", "B", "C"]
doc_to_target: gold
metric_list: [{metric: acc}, {metric: acc_norm}]
""",
    "tiny_words": """
output_type: multiple_choice
test_split: test
doc_to_text: "Question: {{question}} Answer:"
doc_to_choice: "{{choices}}"
doc_to_target: gold
metric_list: [{metric: acc_norm}, {metric: acc}]
""",
    "tiny_written": """
output_type: generate_until
test_split: test
doc_to_text: "<|im_start|>user\\n{{question}}<|im_end|>\\n<|im_start|>assistant\\n"
doc_to_target: "{{answer}}"
generation_kwargs: {until: ["\\n"], max_gen_toks: 12}
metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true, ignore_case: true}]
""",
    "tiny_rambling": """
output_type: generate_until
test_split: test
fewshot_split: train
num_fewshot: 2
doc_to_text: "Q: {{question}}\\nA:"
doc_to_target: "{{answer}}"
generation_kwargs: {until: ["Q:", "\\n", "."], do_sample: false, temperature: 0.0, max_gen_toks: 24}
filter_list:
- {name: strict-match, filter: [{function: regex, regex_pattern: "([A-Z][a-z]+)"}, {function: take_first}]}
- {name: flexible, filter: [{function: regex, regex_pattern: "([A-Za-z]+)", group_select: -1}, {function: take_first}]}
metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true, ignore_case: true}]
""",
    "tiny_ending": """
output_type: loglikelihood
test_split: test
doc_to_text: "{{start}}"
doc_to_target: " {{ending}}"
metric_list: [{metric: acc}, {metric: perplexity}]
""",
    "tiny_text": """
output_type: loglikelihood_rolling
test_split: test
doc_to_text: ""
doc_to_target: "{{text}}"
metric_list: [{metric: byte_perplexity}, {metric: bits_per_byte}]
""",
}


def write_tasks(folder: Path) -> Path:
    """Write the tasks and their data, named relative to the folder, and return the folder."""
    folder.mkdir(parents=True)
    data = {"tiny_ending": _endings(), "tiny_text": [{"text": f"{s} {s * 8}"} for s in SENTENCES]}
    for name, text in TASKS.items():
        rows = data.get(name, _questions())
        for split, part in {"test": rows, "train": rows[-4:]}.items():
            lines = "".join(json.dumps(row) + "\n" for row in part)
            (folder / f"{name}-{split}.jsonl").write_text(lines)
        files = f"{{data_files: {{test: {name}-test.jsonl, train: {name}-train.jsonl}}}}"
        (folder / f"{name}.yaml").write_text(f"task: {name}\ndataset_path: json\ndataset_kwargs: {files}\n{text}")
    return folder


def _questions():
    answers = list(KNOWN.values())
    rows = []
    for number, (question, answer) in enumerate(list(KNOWN.items())[:12]):
        others = [other for other in answers if other != answer][number % 5 : number % 5 + 2]
        gold = number % 3
        choices = [*others[:gold], answer, *others[gold:]]
        rows.append({"question": question, "answer": answer, "choices": choices, "gold": gold})
    return rows


def _endings():
    cut = [sentence.rstrip(".").rsplit(" ", 1) for sentence in SENTENCES]
    return [{"start": start, "ending": ending} for start, ending in cut]
