"""Inference tests in single languages, trained on MultiNLI; without a hub path they need a folder."""

from raystilts.tasks.catalog.mnli import DEV, TRAIN, TYPE
from raystilts.tasks.source import Source
from raystilts.tasks.task import Task

# name language split | hub path | configuration | licence | citation | home page
_TABLE = """
indonli id test_lay|afaji/indonli||CC BY-SA 3.0 and 4.0|Mahendra et al. 2021, EMNLP|github.com/ir-nlp-csui/indonli
ocnli zh validation|clue/clue|ocnli|CC BY-NC 2.0|Hu et al. 2020, Findings of EMNLP|github.com/CLUEbenchmark/OCNLI
klue_nli ko validation|klue/klue|nli|CC BY-SA 4.0|Park et al. 2021, NeurIPS|github.com/KLUE-benchmark/KLUE
kornli ko test|||CC BY-SA 4.0|Ham et al. 2020, Findings of EMNLP|github.com/kakaobrain/KorNLUDatasets
jnli ja validation|||CC BY-SA 4.0|Kurihara, Kawahara and Shibata 2022, LREC|github.com/yahoojapan/JGLUE
c_xnli hr test|||CC BY-NC 4.0|Obadić et al. 2023, C-XNLI|github.com/lobadic/C-XNLI
myxnli my test|||CC BY-NC 4.0|Htet and Dras 2025, myXNLI|github.com/akhtet/myXNLI
farstail fa test|||Apache-2.0|Amirkhani et al. 2023, Soft Computing|github.com/dml-qom/FarsTail
"""


def _task(line: str) -> Task:
    key, path, config, licence, citation, url = line.split("|")
    name, language, split = key.split()
    return Task(
        name=name,
        type=TYPE,
        train=TRAIN,
        dev=DEV,
        test=Source(dataset=name, split=split, path=path or None, name=config or None, converter="premise_hypothesis"),
        languages=(language,),
        dev_languages=("en",),
        main_score="accuracy",
        chance=1 / 3,
        description=f"Natural language inference in {language!r}.",
        licence=licence,
        citation=citation,
        url=f"https://{url}",
    )


TASKS = [_task(line) for line in _TABLE.strip().splitlines()]
