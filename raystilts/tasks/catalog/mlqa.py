"""MLQA: trains on SQuAD v1.1, evaluates in 7 languages (question and context in the same one)."""

from raystilts.tasks.catalog.squad import CARVED_DEV, CARVED_TRAIN
from raystilts.tasks.languages import codes
from raystilts.tasks.source import Source
from raystilts.tasks.task import Task
from raystilts.tasks.types.span_qa import SpanQA

TASK = Task(
    name="mlqa",
    type=SpanQA(normaliser="mlqa"),
    train=CARVED_TRAIN,
    dev=CARVED_DEV,
    test=Source(
        dataset="mlqa",
        split="test",
        fallback_splits=("validation",),
        path="facebook/mlqa",
        name="mlqa.{language}.{language}",
        rows=5_500,
        tokens_per_row=230,
    ),
    languages=codes("ar de en es hi vi zh"),
    dev_languages=("en",),
    main_score="em_f1",
    chance=0.0,
    description="Wikipedia paragraphs with questions translated by professionals; XTREME.",
    licence="CC BY-SA 3.0",
    citation="Lewis et al. 2020, ACL, aclanthology.org/2020.acl-main.653",
    url="https://github.com/facebookresearch/MLQA",
    scores_compared="MLQA's own normalisation by language (as in its evaluation script)",
)
