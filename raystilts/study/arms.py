"""What the arms of a study are to each other: what they are made of, whose data they hold, which axes they have.

A member of a sequence or a merge is named: by the name of another arm of the study, or, in a sequence, by a task.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from raystilts.errors import did_you_mean
from raystilts.study.composed import Trainings
from raystilts.study.intermediate import ALL, Intermediate

NONE = Intermediate()


class Arms:
    """The arms of a study by their names.

    Args:
        arms: In the order of the study file.
    """

    def __init__(self, arms: Sequence[Intermediate]) -> None:
        self.by_label = {arm.label: arm for arm in arms}

    def member(self, name: str) -> Intermediate:
        """The arm that a member's name stands for; a task that is no arm of the study is one by itself."""
        return self.by_label.get(name) or Intermediate.model_validate(name)

    def members(self, arm: Intermediate) -> list[Intermediate]:
        """The arms that an arm is made of; none of a single training."""
        if arm.step is not None:
            return [self.whole(arm)]
        names = arm.sequence.sequence if arm.sequence else arm.merge.merge if arm.merge else ()
        return [self.member(name) for name in names]

    def whole(self, arm: Intermediate) -> Intermediate:
        """The training on whose way a step's weights are taken, as the study has it."""
        return self.by_label.get(arm.whole.label, arm.whole)

    def steps_of(self, arm: Intermediate) -> list[Intermediate]:
        """The arms along a training, in the order of its updates."""
        found = [one for one in self.by_label.values() if one.step is not None and one.whole.label == arm.label]
        return sorted(found, key=lambda one: one.step or 0.0)

    def tasks_of(self, arm: Intermediate) -> tuple[str, ...]:
        """The tasks whose training data is in an arm's weights, each once; a foreign checkpoint states its own."""
        if arm.checkpoint is not None:
            return arm.checkpoint.trained_on
        own = [name for one in self.members(arm) for name in self.tasks_of(one)]
        return tuple(dict.fromkeys([*own, *arm.tasks]))

    def sized_by(self, arm: Intermediate) -> tuple[str, ...]:
        """The tasks whose data the study's intermediate fractions shrink, each once."""
        members = self.members(arm)
        if arm.step is None and arm.sequence is not None and arm.sequence.fractions == "last":
            members = members[-1:]
        own = [name for one in members for name in self.sized_by(one)]
        return tuple(dict.fromkeys([*own, *arm.tasks]))

    def has_seeds(self, arm: Intermediate) -> bool:
        """Whether an arm's weights depend on the seed."""
        if arm.merge is not None:
            return any(map(self.has_seeds, self.members(arm)))
        return not arm.is_none and arm.checkpoint is None

    def has_fractions(self, arm: Intermediate) -> bool:
        """Whether there is an arm for each of the study's intermediate fractions."""
        return self.has_seeds(arm)

    def words(self, arm: Intermediate) -> str:
        """What an arm is made of, where its name may not say so; empty for single trainings."""
        if arm.checkpoint is not None:
            given = arm.checkpoint
            revision = "" if given.revision is None else f", revision {given.revision}"
            trained_on = f", stated to be trained on {', '.join(given.trained_on)}" if given.trained_on else ""
            return f"a checkpoint from elsewhere, {given.checkpoint}{revision}{trained_on}"
        if arm.step is not None:
            return f"{self.whole(arm).label} after {arm.step:g} of its updates"
        if arm.sequence is not None:
            return f"trained on {', then '.join(arm.sequence.sequence)}"
        if arm.merge is not None:
            settings = arm.merge.model_dump(exclude={"merge", "method"}, exclude_defaults=True)
            given_settings = "".join(f", {name} {value}" for name, value in settings.items())
            return f"merged from {', '.join(arm.merge.merge)} by {arm.merge.method}{given_settings}"
        return ""

    def with_members(self, labels: Iterable[str]) -> set[str]:
        """These names, and those of all arms of the study that these arms are made of."""
        found: set[str] = set()
        left = list(labels)
        while left:
            label = left.pop()
            if label in self.by_label and label not in found:
                left += [one.label for one in self.members(self.by_label[label])]
            found.add(label)
        return found


def with_steps(arms: Sequence[Intermediate], shares: Iterable[float]) -> tuple[Intermediate, ...]:
    """The arms, and behind them those along each training; share 1 is the training itself."""
    known = {arm.label for arm in arms}
    trained = [arm for arm in arms if arm.step is None and arm.trains]
    more = [arm.at_step(share) for arm in trained for share in sorted(shares) if share < 1]
    return (*arms, *(arm for arm in more if arm.label not in known))


def prefix_of(sequence: Trainings, arms: Arms) -> Intermediate:
    """What the last training of a sequence starts from: the member before it, or the sequence of those before."""
    before = sequence.sequence[:-1]
    if len(before) == 1:
        return arms.member(before[0])
    prefix = sequence.model_copy(update={"sequence": before})
    # An arm of the same name may be something else: a task with a name of its own, or other fractions.
    same = (one for one in arms.by_label.values() if one.sequence == prefix and one.step is None)
    return next(same, Intermediate(sequence=prefix))


def check_arms(arms: Sequence[Intermediate]) -> None:
    """Finds out whether arms can be made of their members.

    Raises:
        ValueError: a member is not there, cannot stand where it stands, or is made of the arm itself.
    """
    known = Arms(arms)
    for index, arm in enumerate(arms):
        place = f"intermediates.{index}"
        for number, name in enumerate(arm.merge.merge if arm.merge else ()):
            if name not in known.by_label and name != "none":
                hint = did_you_mean(name, [*known.by_label])
                raise ValueError(f"{place}.merge.{number}: {name!r} is no arm that this study trains; {hint}")
        for number, name in enumerate(arm.sequence.sequence if arm.sequence else ()):
            _check_trained(known, name, number, f"{place}.sequence.{number}")
    for index, arm in enumerate(arms):
        _check_no_circle(known, arm, (), f"intermediates.{index}")


def _check_trained(known: Arms, name: str, number: int, place: str) -> None:
    """Whether a member of a sequence can stand at its place."""
    if name == ALL and ALL not in known.by_label:
        raise ValueError(f"{place}: {ALL!r} is no arm of this study; add it to the intermediates")
    member = known.member(name)
    if member.is_none:
        raise ValueError(f"{place}: 'none' is no training; leave it out")
    if number and member.is_composed:
        raise ValueError(
            f"{place}: {name!r} is not one training, so it can only be the first member; name its trainings one by one"
        )


def _check_no_circle(known: Arms, arm: Intermediate, above: tuple[str, ...], place: str) -> None:
    if arm.label in above:
        way = " -> ".join([*above, arm.label])
        raise ValueError(f"{place}: an arm that is made of itself ({way}); name other members")
    for member in known.members(arm):
        _check_no_circle(known, member, (*above, arm.label), place)
