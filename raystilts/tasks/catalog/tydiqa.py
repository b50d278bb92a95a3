"""TyDiQA-GoldP."""

from raystilts.tasks.languages import codes
from raystilts.tasks.source import Source
from raystilts.tasks.task import Task
from raystilts.tasks.types.span_qa import SpanQA

TRAIN = Source(
    dataset="tydiqa",
    split="train",
    converter="language_by_id",
    path="google-research-datasets/tydiqa",
    name="secondary_task",
    revision="da78f23f9119363459acbaf46bf89426ff26c259",
    rows=3_696,
    tokens_per_row=160,
)

TASK = Task(
    name="tydiqa",
    type=SpanQA(),
    train=TRAIN.carved("train", share=0.1, by=("context",), rows=3_330),
    dev=TRAIN.carved("dev", share=0.1, by=("context",), rows=366),
    test=TRAIN.other("validation", rows=564),
    languages=codes("ar bn en fi id ko ru sw te"),
    dev_languages=("en",),
    main_score="em_f1",
    chance=0.0,
    description="Questions asked in 9 languages about Wikipedia passages in them; XTREME.",
    licence="Apache-2.0",
    citation="Clark et al. 2020, TACL 8, aclanthology.org/2020.tacl-1.30",
    url="https://github.com/google-research-datasets/tydiqa",
    scores_compared="SQuAD v1.1's normaliser in every language, as in XTREME's evaluate.py",
)
