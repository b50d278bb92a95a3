"""LAReQA: which of all sentences, in all languages, answers the question? XQuAD-R.

The hub's copy lacks the sentence breaks: a folder holds the published files as Parquet. Candidates are sentences
without their paragraph, and nothing is trained on SQuAD (XTREME-R trains a retriever, and adds the paragraph).
"""

from raystilts.tasks.languages import codes
from raystilts.tasks.source import Source
from raystilts.tasks.task import Task
from raystilts.tasks.types.answer_retrieval import AnswerRetrieval

TASK = Task(
    name="lareqa",
    type=AnswerRetrieval(),
    test=Source(dataset="xquad_r", split="test", converter="lareqa_sentences", rows=2_370),
    languages=codes("ar de el en es hi ru th tr vi zh"),
    main_score="map",
    chance=0.0,
    description="Finds the sentences that answer a question among those of 11 languages; XTREME-R.",
    licence="CC BY-SA 4.0",
    citation="Roy et al. 2020, EMNLP, aclanthology.org/2020.emnlp-main.477",
    url="https://github.com/google-research-datasets/lareqa",
    scores_compared="mean average precision as in XTREME-R's utils_lareqa.py; its scores are of trained retrievers",
)
