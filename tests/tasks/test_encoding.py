from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raystilts.errors import UserError
from raystilts.tasks.encoding import (
    Ragged,
    concat_rows,
    constant,
    encode_texts,
    longest_first,
    slices,
    template,
    tokenise,
)

TEXT = st.text(alphabet="abc the 中ä  \n", max_size=30)
SETTINGS = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def test_template_reads_special_tokens(tiny_tokenizer: Any) -> None:
    single, pair = template(tiny_tokenizer, pair=False), template(tiny_tokenizer, pair=True)
    assert [part.tolist() for part in single.parts] == [[0], [2]]
    assert [part.tolist() for part in pair.parts] == [[0], [2, 2], [2]]
    assert (single.specials, pair.specials) == (2, 4)


def test_template_without_special_tokens() -> None:
    from tokenizers import Tokenizer, models

    bare = Tokenizer(models.WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]"))
    assert [part.tolist() for part in template(bare, pair=True).parts] == [[], [], []]


def test_max_length_without_room_is_refused(tiny_tokenizer: Any) -> None:
    with pytest.raises(UserError, match=r"max_length: 5 leaves no room.*give at least 6"):
        encode_texts(tiny_tokenizer, ["a"], ["b"], max_length=5)


def test_slow_tokenizer_is_refused() -> None:
    with pytest.raises(UserError, match="object has no fast version"):
        encode_texts(object(), ["a"], None, max_length=8)


@SETTINGS
@given(pairs=st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=5), max_length=st.integers(6, 40))
def test_pairs_equal_those_of_the_tokenizer_itself(
    tiny_tokenizer: Any, pairs: list[tuple[str, str]], max_length: int
) -> None:
    ids, types = encode_texts(tiny_tokenizer, [a for a, _ in pairs], [b for _, b in pairs], max_length=max_length)
    assert types is None
    backend = tiny_tokenizer.backend_tokenizer
    backend.enable_truncation(max_length, strategy="longest_first")
    try:
        expected = [encoding.ids for encoding in backend.encode_batch(pairs)]
    finally:
        backend.no_truncation()
    assert [row.tolist() for row in ids] == expected


@SETTINGS
@given(texts=st.lists(TEXT, min_size=1, max_size=5), max_length=st.integers(4, 20))
def test_single_texts_equal_those_of_the_tokenizer_itself(
    tiny_tokenizer: Any, texts: list[str], max_length: int
) -> None:
    ids, _ = encode_texts(tiny_tokenizer, texts, None, max_length=max_length)
    backend = tiny_tokenizer.backend_tokenizer
    backend.enable_truncation(max_length)
    try:
        expected = [encoding.ids for encoding in backend.encode_batch(texts)]
    finally:
        backend.no_truncation()
    assert [row.tolist() for row in ids] == expected


def test_segment_ids_where_the_tokenizer_has_them() -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.WordLevel({"[CLS]": 0, "[SEP]": 1, "a": 2, "b": 3, "[UNK]": 4}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 0), ("[SEP]", 1)],
    )
    bert = PreTrainedTokenizerFast(
        tokenizer_object=backend, model_input_names=["input_ids", "token_type_ids", "attention_mask"]
    )
    ids, types = encode_texts(bert, ["a b"], ["b"], max_length=10)
    assert types is not None
    assert ids[0].tolist() == [0, 2, 3, 1, 3, 1]
    assert types[0].tolist() == [0, 0, 0, 0, 1, 1]


def test_each_distinct_text_is_tokenised_once(tiny_tokenizer: Any) -> None:
    texts = tokenise(tiny_tokenizer, ["a b", "c", "a b"])
    assert texts.strings == ["a b", "c"]
    assert texts.index.tolist() == [0, 1, 0]
    rows = texts.rows()
    assert rows[0].tolist() == rows[2].tolist()


@pytest.mark.parametrize(
    "text",
    [
        "the  token\nis here ",
        "在这个国家，我们 学 中国",
        "هذا الكتاب في البيت",
        "हिन्दी में लिखा हुआ",
        "น้ำและคำไทย",
        "①ﬁle 😀 café x",
    ],
)
def test_offsets_cover_every_character_but_white_space(tiny_tokenizer: Any, text: str) -> None:
    spans = tokenise(tiny_tokenizer, [text], offsets=True).spans
    assert spans is not None
    covered = {i for start, end in spans.values.tolist() for i in range(start, end)}
    assert covered == {i for i, char in enumerate(text) if not char.isspace()}
    assert all(start <= end for start, end in spans.values.tolist())


def test_longest_first_halves_only_when_it_must() -> None:
    first, second = np.array([2, 9, 9, 3]), np.array([9, 2, 9, 3])
    a, b = longest_first(first, second, 7)
    assert a.tolist() == [2, 5, 3, 3]
    assert b.tolist() == [5, 2, 4, 3]


def test_slices_and_concat_rows() -> None:
    ragged = Ragged.from_rows([[1, 2, 3], [4, 5]], np.int32)
    cut = slices(ragged, np.array([1, 4]), np.array([2, 0]))
    joined = concat_rows([constant(np.array([1, 2]), 7), cut, ragged])
    assert [row.tolist() for row in joined] == [[7, 2, 3, 1, 2, 3], [7, 7, 4, 5]]


def test_concat_rows_of_pairs() -> None:
    spans = Ragged(np.array([[0, 1], [1, 2]], dtype=np.int32), np.array([0, 2]))
    joined = concat_rows([constant(np.array([1]), (-1, -1)), spans])
    assert joined[0].tolist() == [[-1, -1], [0, 1], [1, 2]]
