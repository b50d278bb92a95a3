"""XQuAD: trains on SQuAD v1.1, evaluates in 12 languages."""

from raystilts.tasks.catalog.squad import CARVED_DEV, CARVED_TRAIN
from raystilts.tasks.languages import codes
from raystilts.tasks.source import Source
from raystilts.tasks.task import Task
from raystilts.tasks.types.span_qa import SpanQA

TASK = Task(
    name="xquad",
    type=SpanQA(),
    train=CARVED_TRAIN,
    dev=CARVED_DEV,
    test=Source(
        dataset="xquad",
        split="validation",
        path="google/xquad",
        name="xquad.{language}",
        rows=1_190,
        tokens_per_row=240,
    ),
    languages=codes("ar de el en es hi ro ru th tr vi zh"),
    dev_languages=("en",),
    main_score="em_f1",
    chance=0.0,
    description="240 paragraphs of SQuAD's dev split, professionally translated; XTREME.",
    licence="CC BY-SA 4.0",
    citation="Artetxe, Ruder and Yogatama 2020, ACL, aclanthology.org/2020.acl-main.421",
    url="https://github.com/google-deepmind/xquad",
    scores_compared="SQuAD v1.1's normaliser in every language, as in XTREME's evaluate.py",
)
