#!/bin/sh
# datasets: one label has another number in each split, and a cast of label names leaves the numbers.
#
# A guess: `DatasetDict.class_encode_column` numbers the labels once for all splits, and a cast to the same names in
# another order moves the numbers with the names.
# What happens: each split is numbered by the labels that it has, so "C" is 2 in training and 1 in a test set without
# "B"; numbers are sorted as text, 10 before 2. A cast keeps the numbers: every "A" is now called "B", without a word.
# What to do: cast all splits to one `ClassLabel(names=...)` from text; `align_labels_with_mapping` for other orders.
#
# Versions: datasets 5.2.0, pyarrow 26.0.1, pandas 3.1.1; Python 3.11.
# Output seen:
#   train: names ['A', 'B', 'C'], C is 2
#   test: names ['A', 'C'], C is 1
#   stars 10, 9, 2: names ['10', '2', '9'], numbers [0, 2, 1]
#   ['A', 'B', 'B'] after a cast to the names B, A: ['B', 'A', 'A']
#
# Ends with 0 where this is still so, with 1 where it has changed.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check datasets==5.2.0 pyarrow==26.0.1 pandas==3.1.1

HF_HUB_OFFLINE=1 HF_HOME="$folder" HF_DATASETS_DISABLE_PROGRESS_BARS=1 "$folder/env/bin/python" - <<'PYTHON'
from datasets import ClassLabel, Dataset, DatasetDict

splits = DatasetDict(
    train=Dataset.from_dict({"label": ["A", "B", "C"]}), test=Dataset.from_dict({"label": ["A", "C"]})
).class_encode_column("label")
numbers = {}
for name, split in splits.items():
    feature = split.features["label"]
    numbers[name] = feature.str2int("C")
    print(f"{name}: names {feature.names}, C is {numbers[name]}")

stars = Dataset.from_dict({"label": [10, 9, 2]}).class_encode_column("label")
print(f"stars 10, 9, 2: names {stars.features['label'].names}, numbers {list(stars['label'])}")

before = Dataset.from_dict({"label": ["A", "B", "B"]}).class_encode_column("label")
after = before.cast_column("label", ClassLabel(names=["B", "A"]))
names = {what: [data.features["label"].int2str(n) for n in data["label"]] for what, data in
         (("before", before), ("after", after))}
print(f"{names['before']} after a cast to the names B, A: {names['after']}")

same = (
    numbers == {"train": 2, "test": 1} and list(stars["label"]) == [0, 2, 1]
    and names == {"before": ["A", "B", "B"], "after": ["B", "A", "A"]}
)

print("as described" if same else "CHANGED: not as described above")
raise SystemExit(not same)
PYTHON
