"""Tatoeba: sentence retrieval between English and other languages."""

from raystilts.tasks.languages import codes
from raystilts.tasks.source import Source
from raystilts.tasks.task import Task
from raystilts.tasks.types.retrieval import Retrieval

TASK = Task(
    name="tatoeba",
    type=Retrieval(query="target_sentence", candidate="source_sentence"),
    test=Source(
        dataset="tatoeba",
        split="test",
        path="google/xtreme",
        name="tatoeba.{iso3}",
        hub_split="validation",
        language_codes={"zh": "cmn", "ar": "ara", "fa": "pes", "et": "est", "sw": "swh"},
        rows=1_000,
    ),
    languages=codes(
        "af am ar az be bg bn br bs ca cs cy da de el eo es et eu fa fi fo fr fy ga gd gl "
        "he hi hr hu hy ia id ie io is it ja jv ka kk km ko ku la lt lv mk ml mn mr ms nb "
        "nl nn oc pl pt ro ru sk sl sq sr sv sw ta te th tk tl tr tt ug uk ur uz vi xh yi "
        "zh"
    ),
    main_score="accuracy",
    chance=0.0,
    description="Finds the translation of each English sentence among up to 1,000; XTREME.",
    licence="CC BY 2.0 FR",
    citation="Artetxe and Schwenk 2019, TACL 7, aclanthology.org/Q19-1038",
    url="https://github.com/facebookresearch/LASER",
    scores_compared="accuracy@1, English as query, as in XTREME's evaluate.py",
)
