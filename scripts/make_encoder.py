"""Make the small multilingual encoder that ships with raystilts.

It is distilled from a BERT-shaped multilingual sentence encoder on openly licensed plain text.
Run from the root of the repository, with the teacher in a Hugging Face folder and the text in
a folder laid out ``<language>/train.parquet``; the shipped one was made by

    python scripts/make_encoder.py --teacher ../e5-small --mono ../shared/data/mono \
        --work ../encoder-work --out raystilts/encoders/mini

What is slow (the teacher's pass over the text) stays in ``--work`` and is not done again.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from encoder_corpus import (
    Span,
    frequent_words,
    read_open_lines,
    sample_spans,
    with_words,
)
from encoder_student import build_student, load_teacher, save_student
from encoder_teacher import (
    LONGEST_STUDENT,
    LONGEST_TEACHER,
    Encoded,
    align,
    teacher_targets,
)
from encoder_training import Recipe, make_goals, train
from encoder_vocabulary import SPECIAL, choose_pieces, restrict, save_tokenizer
from tokenizers import Tokenizer

# Languages with more text and more room in the vocabulary than the rest.
FOCUS = ("de", "es", "fr", "ru", "zh", "ar", "hi", "fi", "tr", "vi", "en")
# These write no blanks between words, so a run of letters is no word.
UNSPACED = frozenset({"zh", "th"})
SPAN_WIDTH = 72
SPANS = 188_416
STEPS = 4200
FOCUS_WIDTH = 620_000
OTHER_WIDTH = 110_000
SMALL_WIDTH = {"hi": 400_000}
WORDS_EACH = 4000
USAGE_FLOOR = 0.2


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--teacher", type=Path, required=True, help="folder of the teacher")
    parser.add_argument("--mono", type=Path, required=True, help="folder of plain text")
    parser.add_argument("--work", type=Path, required=True, help="folder for what is kept")
    parser.add_argument("--out", type=Path, required=True, help="folder of the encoder")
    parser.add_argument("--pieces", type=int, default=40_000, help="size of the vocabulary")
    parser.add_argument("--embedding", type=int, default=192, help="width of the embeddings")
    parser.add_argument("--layers", type=int, nargs="+", default=[0, 1], help="teacher's layers")
    parser.add_argument("--spans", type=int, default=SPANS, help="spans to learn from")
    parser.add_argument("--steps", type=int, default=STEPS, help="training steps")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="changes the last digits")
    return parser.parse_args()


def collect_spans(
    lines: dict[str, list[str]], pieces: Sequence[str], most: int, seed: int
) -> list[Span]:
    """Clauses, windows of words, frequent words and whole-word pieces, mixed."""
    budgets = {"*": OTHER_WIDTH, **dict.fromkeys(FOCUS, FOCUS_WIDTH), **SMALL_WIDTH}
    spans = sample_spans(lines, budgets, SPAN_WIDTH, seed)
    spaced = [language for language in FOCUS if language not in UNSPACED]
    words = frequent_words(lines, spaced, WORDS_EACH)
    return with_words(spans, words, pieces, seed)[:most]


def usage_of(tokenizer: Tokenizer, spans: Sequence[Span]) -> torch.Tensor:
    """The square root of how often each piece is used, so that rare ones count too."""
    encoded = Encoded.of(tokenizer, spans, LONGEST_STUDENT)
    counts = np.bincount(encoded.ids, minlength=tokenizer.get_vocab_size())
    return torch.from_numpy(counts + USAGE_FLOOR).float().sqrt()


def report_sources(used: Counter[str]) -> None:
    """Print each source that was read, and its lines."""
    for source, count in sorted(used.items()):
        print(f"{count:7d} lines  {source}")


def main() -> None:
    """Choose the vocabulary, ask the teacher, train the student, write the folder."""
    arguments = parse()
    torch.set_num_threads(arguments.threads)
    lines, used = read_open_lines(arguments.mono)
    report_sources(used)
    original = Tokenizer.from_file(str(arguments.teacher / "tokenizer.json"))
    pieces = choose_pieces(original, lines, arguments.pieces, FOCUS)
    tokenizer = restrict(original, pieces)
    names = [str(original.id_to_token(piece)) for piece in pieces]
    spans = collect_spans(lines, names, arguments.spans, arguments.seed)
    teacher = load_teacher(arguments.teacher)
    theirs = Encoded.of(original, spans, LONGEST_TEACHER)
    ours = Encoded.of(tokenizer, spans, LONGEST_STUDENT)
    print(f"{len(spans)} spans, {len(theirs.ids)} tokens of the teacher, {len(ours.ids)} here")
    targets = teacher_targets(teacher, theirs, arguments.work)
    ids = [original.get_vocab()[name] for name in SPECIAL] + pieces
    student = build_student(
        teacher, ids, usage_of(tokenizer, spans), arguments.embedding, arguments.layers
    )
    recipe = Recipe(arguments.steps, seed=arguments.seed)
    languages = [span.language for span in spans]
    rows = align(ours, theirs)
    goals = make_goals(targets, theirs, languages, rows, recipe.whitening)
    save_tokenizer(tokenizer, arguments.out, student.config.max_position_embeddings)
    train(student, ours, goals, recipe, lambda: save_student(student, arguments.out))


if __name__ == "__main__":
    main()
