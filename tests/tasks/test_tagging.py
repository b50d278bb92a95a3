from __future__ import annotations

import random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from raystilts.errors import UserError
from raystilts.tasks.encoding import Features, Ragged
from raystilts.tasks.types.tagging import Tagging

NER = Tagging(tags="tags", labels=("O", "B-PER", "I-PER"), scores="entities")
FIRST = NER.model_copy(update={"subwords": "first"})


def rows(tokens: list[list[str]], tags: list[list[Any]]) -> pa.Table:
    return pa.table({"tokens": tokens, "tags": tags})


def gold_outputs(features: Features) -> Ragged:
    """The best tag a token of a model that is right; 0 where there is no label."""
    assert features.token_labels is not None
    return Ragged(np.maximum(features.token_labels.values, 0), features.token_labels.offsets)


def labelled(features: Features) -> list[int]:
    """The labels, without the positions that have none."""
    assert features.token_labels is not None
    return [label for label in features.token_labels.values.tolist() if label != -100]


def test_the_first_subword_with_a_character_is_labelled(tiny_tokenizer: Any) -> None:
    table = rows([["xyz", "the"]], [["B-PER", "O"]])
    for task, expected in ((NER, [-100, -100, 1, -100, -100, 0, -100]), (FIRST, [-100, 1, -100, -100, -100, 0, -100])):
        features = task.encode(table, tiny_tokenizer, max_length=32, training=True)
        tokens = tiny_tokenizer.convert_ids_to_tokens(features.input_ids[0].tolist())
        assert tokens == ["<s>", "▁", "x", "y", "z", "▁the", "</s>"]
        assert features.token_labels is not None
        assert features.token_labels[0].tolist() == expected


@pytest.mark.parametrize("tags", [["B-PER", "O"], [1, 0], ["1", "0"]])
def test_tags_as_names_and_indices(tiny_tokenizer: Any, tags: list[Any]) -> None:
    features = NER.encode(rows([["a", "b"]], [tags]), tiny_tokenizer, max_length=32, training=True)
    assert labelled(features) == [1, 0]


@pytest.mark.parametrize("max_length", [6, 16, 64, 512])
def test_no_word_of_a_long_sentence_is_lost(tiny_tokenizer: Any, max_length: int) -> None:
    draw = random.Random(1)
    sentences = [
        [draw.choice(["the", "xyzxyzxyzxyz", "中国", "\u200b", "हिन्दी"]) for _ in range(draw.randint(1, 60))]
        for _ in range(20)
    ]
    tags = [[draw.choice(NER.labels) for _ in words] for words in sentences]
    table = rows(sentences, tags)
    features = NER.encode(table, tiny_tokenizer, max_length=max_length, training=False)
    assert features.input_ids.lengths.max() <= max_length
    assert sorted(set(features.example.tolist())) == list(range(20))
    assert NER.predict(gold_outputs(features), features, table) == tags
    assert NER.score(tags, table, "en") == {"f1": 1.0}
    if max_length == 512:
        assert len(features.input_ids) == 20


def test_pieces_are_as_long_as_words_allow(tiny_tokenizer: Any) -> None:
    table = rows([["中国人"] * 5], [["O"] * 5])
    # With the rule of the reference each word has the mark of a space: four sub-words a word, room for 8.
    for task, expected in ((FIRST, [10, 10, 6]), (NER, [9, 8, 5])):
        features = task.encode(table, tiny_tokenizer, max_length=10, training=True)
        assert features.input_ids.lengths.tolist() == expected


def test_a_word_without_subwords_is_unknown(tiny_tokenizer: Any) -> None:
    from tokenizers import normalizers

    from raystilts.tasks.encoding import fast_backend

    backend = fast_backend(tiny_tokenizer)
    kept = backend.normalizer
    backend.normalizer = normalizers.Sequence([normalizers.Replace("z", ""), normalizers.Strip()])
    try:
        table = rows([["z", "a"]], [["B-PER", "O"]])
        features = NER.encode(table, tiny_tokenizer, max_length=32, training=True)
    finally:
        backend.normalizer = kept
    assert labelled(features) == [1, 0]


def test_part_of_speech_scores() -> None:
    task = Tagging(tags="tags", labels=("NOUN", "PROPN", "VERB"), scores="pos")
    table = rows([["a", "b", "c"]], [["NOUN", "PROPN", "VERB"]])
    assert task.score([["NOUN", "NOUN", "VERB"]], table, "en") == {
        "accuracy": pytest.approx(2 / 3),
        "xtreme_pos_f1": pytest.approx(0.4),
    }


def test_bad_rows_are_named(tiny_tokenizer: Any) -> None:
    table = rows([["a"], [], ["a", "b"], ["a", ""]], [["X"], [], ["O"], ["O", "O"]])
    assert list(map(str, NER.check(table, "en"))) == [
        "unknown tag in 1 row (0): 'X'; allowed: O, B-PER, I-PER, or 0 to 2",
        "no words in 1 row (1): []; allowed: at least one word a sentence",
        "words and tags differ in number in 1 row (2): 2 and 1; allowed: a tag for every word",
        "empty word in 1 row (3)",
    ]
    with pytest.raises(UserError, match=r"unknown tag in 1 row \(0\): 'X'"):
        NER.encode(table, tiny_tokenizer, max_length=32, training=True)
    with pytest.raises(UserError, match=r"words and tags differ in number in 1 row \(1\)"):
        NER.encode(rows([["a"], ["a", "b"]], [["O"], ["O"]]), tiny_tokenizer, max_length=32, training=True)


def test_words_keep_their_space_for_tokenizers_without_a_prefix() -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    vocabulary = {"Ġa": 0, "a": 1, "Ġb": 2, "b": 3, "[UNK]": 4}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    for task, expected in ((NER, [1, 2]), (FIRST, [0, 2])):
        features = task.encode(rows([["a", "b"]], [["O", "O"]]), backend, max_length=8, training=True)
        assert features.input_ids[0].tolist() == expected
