"""When a run may go on and when it is stopped: pure rules, one object a stratum, no Ray and no torch."""

from raystilts.scheduling.rules.asha import AshaRule
from raystilts.scheduling.rules.base import BASELINE, Run, StratumRule, Verdict
from raystilts.scheduling.rules.choose import stratum_rule
from raystilts.scheduling.rules.full import FullRule
from raystilts.scheduling.rules.race import RaceRule
from raystilts.scheduling.rules.trial_asha import TrialAsha

__all__ = ["BASELINE", "AshaRule", "FullRule", "RaceRule", "Run", "StratumRule", "TrialAsha", "Verdict", "stratum_rule"]
