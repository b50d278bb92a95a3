"""Tasks generated from Unicode CLDR, which `babel` ships: real localized text with no download.

Names of territories, languages, currencies, cities, units and time zones, quantities, and dates
come from the locale data itself: every language's rows are its own strings. English has training
data; English and all other languages have a dev and a test split. The splits are disjoint in the
underlying items (a territory code, a unit, a calendar day), not merely in strings, and alike in
all tasks: what one task tests, no other task trains on.

Each module holds a task, or several alike, and functions ``(language, split) -> pyarrow.Table``. Rows depend
only on the arguments, this package's code and the version of `babel`.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Final

#: Raise the number whenever a change of this package's code changes a row of any task.
VERSION: Final = f"1+babel{version('babel')}"

#: Languages that CLDR covers well enough for every task (currency and unit names are translated).
_CODES: Final = (
    "en af am ar az bg bn ca cs da de el es et eu fa fi fr gu he hi hr hu hy id is it ja ka kk km"
    " kn ko lt lv mk ml mn mr ms my nb ne nl pa pl pt ro ru si sk sl sq sr sv sw ta te th tr uk ur"
    " uz vi zh"
)
LANGUAGES: Final = tuple(_CODES.split())

#: The same without English: the languages that only transfer reaches.
FOREIGN: Final = LANGUAGES[1:]

CITATION: Final = (
    "Unicode Consortium. Common Locale Data Repository (CLDR). https://cldr.unicode.org"
)
LICENCE: Final = "Unicode-3.0 (data), BSD-3-Clause (babel)"
URL: Final = "https://cldr.unicode.org"
