"""MasakhaPOS: trains on English Universal Dependencies, evaluates in 20 African languages."""

from raystilts.tasks.catalog.udpos import TRAIN, TYPE
from raystilts.tasks.languages import codes
from raystilts.tasks.source import Source
from raystilts.tasks.task import Task

TASK = Task(
    name="masakhapos",
    type=TYPE,
    train=TRAIN,
    dev=TRAIN.other("validation", rows=3_974),
    test=Source(
        dataset="masakhapos",
        split="test",
        path="masakhane/masakhapos",
        name="{iso3}",
        language_codes={"sw": "swa"},
        converter="upos_column",
        rows=600,
    ),
    languages=codes("bbj bm ee fon ha ig lg luo mos ny pcm rw sn sw tn tw wo xh yo zu"),
    dev_languages=("en",),
    main_score="accuracy",
    description="Universal part-of-speech tags of African news.",
    licence="MIT (repository)",
    citation="Dione et al. 2023, ACL, aclanthology.org/2023.acl-long.609",
    url="https://github.com/masakhane-io/masakhane-pos",
)
