"""Mewsli-X: which of a million entities does the mention mean, by descriptions in 50 languages?

A folder holds mewsli_x/<language>/test.parquet and validation.parquet (one row an article, as published) and
mewsli_x/all/candidates.parquet. Nothing is trained on the English pairs, with which XTREME-R trains a retriever.
"""

from raystilts.tasks.languages import codes
from raystilts.tasks.source import Source
from raystilts.tasks.task import Task
from raystilts.tasks.types.answer_retrieval import AnswerRetrieval

LANGUAGES = codes("ar de en es fa ja pl ro ta tr uk")
PIN = "7e3723faa15c6d84cfd56d66cf6cd347be8ad00e"
HUB = "izhx/mewsli-x"
TEST = Source(dataset="mewsli_x", split="test", path=HUB, name="{language}", revision=PIN, converter="mewsli_mentions")
POOL = Source(dataset="mewsli_x", split="candidates", path=HUB, name="candidate_entities", hub_split="test",
              converter="mewsli_entities", rows=1_003_893, tokens_per_row=60)  # fmt: skip

TASK = Task(
    name="mewsli_x",
    type=AnswerRetrieval(k=20),
    dev=TEST.other("validation", rows=270),
    test=TEST.other("test", rows=1_400),
    pool=POOL,
    languages=LANGUAGES,
    dev_languages=LANGUAGES,
    main_score="map@20",
    chance=0.0,
    description="Links mentions in news to entities by their descriptions; XTREME-R.",
    licence="Apache-2.0; text CC BY-SA 3.0 (Wikipedia) and CC BY 2.5 (WikiNews)",
    citation="Ruder et al. 2021, EMNLP, aclanthology.org/2021.emnlp-main.802",
    url="https://github.com/google-research/google-research/tree/master/dense_representations_for_entity_retrieval/mel",
)
