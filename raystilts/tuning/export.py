"""A search as an Optuna storage, for optuna-dashboard and Optuna's own plots."""

from __future__ import annotations

from collections.abc import Sequence

from raystilts.errors import UserError
from raystilts.study.search import Space
from raystilts.tuning.outcome import UnitOutcome
from raystilts.tuning.sampler import frozen


def export(url: str, study_name: str, outcomes: Sequence[tuple[Space, UnitOutcome]]) -> list[str]:
    """Writes one Optuna study a unit, named `<study>/<unit>`; returns their names.

    Args:
        url: An Optuna storage such as `sqlite:///search.db`.

    Raises:
        UserError: the storage cannot be opened, or holds a study of that name.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    names = []
    for space, one in outcomes:
        name = f"{study_name}/{one.unit.name}"
        try:
            study = optuna.create_study(storage=url, study_name=name, direction="maximize")
        except optuna.exceptions.DuplicatedStudyError:
            raise UserError(f"{url} holds a study {name!r} already; give another file") from None
        except Exception as error:  # the storage's own errors are of many kinds (SQLAlchemy's, the driver's)
            raise UserError(f"{url}: not an Optuna storage ({str(error).splitlines()[0][:120]}); "
                            "give one such as sqlite:///search.db") from None  # fmt: skip
        study.add_trials([frozen(space, trial) for trial in one.trials])
        study.set_metric_names([one.metric])
        names.append(name)
    return names
