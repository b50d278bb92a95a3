"""Words of sentences as sub-words: of the text that the sentence is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raystilts.tasks.words import pieces_by_word, word_pieces

ROOM = 1000


def byte_level() -> Any:
    """A byte-level BPE as ModernBERT and RoBERTa have it, trained on a few sentences."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    text = [
        "Berlin is in Germany .",
        "Is Germany in Europe ?",
        "the Germany of the north is in the north",
        "中国人",
    ] * 20
    backend.train_from_iterator(text, trainers.BpeTrainer(vocab_size=400, show_progress=False))
    return backend


def shown(tokenizer: Any, sentence: list[str]) -> tuple[list[list[str]], list[str]]:
    """The sub-words of each word of a sentence, and the one at which it is read."""
    backend = getattr(tokenizer, "backend_tokenizer", tokenizer)
    pieces, read = word_pieces(tokenizer, [sentence], ROOM)
    found = [[backend.id_to_token(int(one)) for one in row] for row in pieces]
    return found, [row[int(at)] for row, at in zip(found, read, strict=True)]


def test_byte_level_words_keep_their_spaces() -> None:
    backend = byte_level()
    sentence = ["Berlin", "is", "in", "Germany", "."]
    found, read = shown(backend, sentence)
    assert [one for row in found for one in row] == backend.encode("Berlin is in Germany .").tokens
    assert found[1:] == [["Ġis"], ["Ġin"], ["ĠGermany"], ["Ġ."]]
    assert read[1:] == ["Ġis", "Ġin", "ĠGermany", "Ġ."]


def test_words_of_scripts_without_spaces_are_joined(tiny_tokenizer: Any) -> None:
    found, read = shown(tiny_tokenizer, ["中国", "人", "是", "the", "。"])
    assert found == [["▁", "中", "国"], ["人"], ["是"], ["t", "h", "e"], ["。"]]
    assert read == ["中", "人", "是", "t", "。"]
    found, read = shown(tiny_tokenizer, ["ไทย", "the", "a"])
    assert found[1:] == [["t", "h", "e"], ["▁a"]]
    assert read[0] == "ไ"


def test_a_bare_mark_before_punctuation_is_not_read(tiny_tokenizer: Any) -> None:
    found, read = shown(tiny_tokenizer, ["the", ",", "a"])
    assert found == [["▁the"], ["▁", ","], ["▁a"]]
    assert read == ["▁the", ",", "▁a"]


def test_a_subword_over_two_words_makes_the_words_of_that_sentence_stand_alone() -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    pieces = [("<unk>", 0.0), ("▁", -3.0), ("中", -5.0), ("国", -5.0), ("人", -5.0), ("国人", -1.0), ("▁a", -2.0)]
    backend = Tokenizer(models.Unigram(pieces, unk_id=0))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    assert backend.encode("中国人").tokens == ["▁", "中", "国人"]
    rows = [["中国", "人"], ["a", "国人"]]
    found, read = word_pieces(backend, rows, ROOM)
    assert [[backend.id_to_token(int(one)) for one in row] for row in found] == [
        ["▁", "中", "国"], ["人"], ["▁a"], ["国人"],
    ]  # fmt: skip
    assert read.tolist() == [1, 0, 0, 0]


def test_a_word_of_nothing_but_a_mark_is_read_there(tiny_tokenizer: Any) -> None:
    found, read = shown(tiny_tokenizer, ["a", "▁", "the"])
    assert len(found) == 3
    assert all(row for row in found)
    assert read[0] == "▁a"


WORD = st.text(st.sampled_from("aeinrst.,éßж中国人กไ가\u200b▁xyz0"), min_size=1, max_size=6)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(WORD, min_size=1, max_size=8), min_size=1, max_size=5), st.booleans(), st.integers(1, 12))
def test_every_word_has_subwords_in_order(
    tiny_tokenizer: Any, sentences: list[list[str]], bytes_: bool, room: int
) -> None:
    tokenizer = BYTES if bytes_ else tiny_tokenizer
    pieces, read = word_pieces(tokenizer, sentences, room)
    assert len(pieces) == len(read) == sum(map(len, sentences))
    assert pieces.lengths.min() >= 1
    assert pieces.lengths.max() <= room
    assert np.all((read >= 0) & (read < pieces.lengths))
    # What a sentence has does not depend on its neighbours.
    alone = [word_pieces(tokenizer, [sentence], room) for sentence in sentences]
    assert np.concatenate([one.values for one, _ in alone]).tolist() == pieces.values.tolist()
    assert np.concatenate([at for _, at in alone]).tolist() == read.tolist()


BYTES = byte_level()


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.sampled_from(["Berlin", "is", "in", "Germany", ".", "north", "über", "жить"]), min_size=1, max_size=9)
)
def test_the_subwords_of_a_sentence_with_spaces_are_those_of_its_text(tiny_tokenizer: Any, words: list[str]) -> None:
    for tokenizer in (BYTES, tiny_tokenizer):
        backend = getattr(tokenizer, "backend_tokenizer", tokenizer)
        pieces, _ = word_pieces(tokenizer, [words], ROOM)
        assert pieces.values.tolist() == backend.encode(" ".join(words), add_special_tokens=False).ids


@pytest.mark.parametrize("word", ["the", "xyz"])
def test_a_word_alone_is_as_the_reference_has_it(tiny_tokenizer: Any, word: str) -> None:
    assert (
        pieces_by_word(tiny_tokenizer, [word], ROOM)[0].tolist()
        == tiny_tokenizer(word, add_special_tokens=False)["input_ids"]
    )
