"""One posterior for all targets of a study: what is learnt on one target, and from earlier studies, counts on the next.

A Bayesian factor model of the transfer matrix (reduced-rank regression with a horseshoe-like pair of scales; the factor
part is that of Salakhutdinov and Mnih, "Bayesian Probabilistic Matrix Factorization", ICML 2008). In units g_t of the
target's own spread, for target t, arm a and seed s:

    y_tas ~ N(theta_ta, sigma2_ta); a run far below its arm (probability pi, learnt) weighs 1/64
    theta_ta = mu_t + beta_t x_ta + sum_k lambda_tk f_ak + e_ta
    e_ta ~ .9 N(0, psi2_t) + .1 N(0, 16 psi2_t)          an arm may stand out on one target alone
    f_ak ~ N(0, 1);  beta_t, lambda_tk ~ N(m, s2)        the targets' slopes are learnt together
    sigma2_ta ~ IG(h/2, h tau_t/2)                       noise between seeds is an arm's own, drawn to its target's

x is what earlier studies say of the cell (`prior_features`). Draws are by a Gibbs sampler, whose conditional
distributions are all standard ones. docs/measurements/schedules.md has what it is worth.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from raystilts.errors import UserError
from raystilts.ranking.intervals import BoolArray, FloatArray
from raystilts.ranking.sampler import generator

BURN, DRAWS = 100, 400
_WIDE_SHARE, _WIDE_VARIANCE = 0.1, 16.0  # of deviations that are a target's own
_COLLAPSED = 1 / 64  # weight of a run far below its arm
_PSI_SHAPE, _PSI_SCALE = 3.0, 1.2  # a learnt scale collapses to 0
_TAU_SHAPE = 3.0
_DEGREES = np.array([2.0, 3.0, 4.0, 6.0, 9.0, 14.0, 24.0, 60.0])  # of freedom, h
_LOG_GAMMAS = np.array([math.lgamma(degrees / 2) for degrees in _DEGREES])
_SLOPE_MEAN, _SLOPE_PRECISION = 0.3, 4.0
_SMALLEST, _LARGEST = 1e-6, 1e3  # variances, in the squared unit
_CLIP = 3.0  # an arm of an earlier study stands out by this at most


#: Scores of finished runs, by target and arm.
EarlierScores = Mapping[str, Mapping[str, Sequence[float]]]


@dataclass(frozen=True, slots=True, eq=False)
class JointPosterior:
    """Joint draws of what every arm scores on every target.

    Attributes:
        theta: ``[targets, arms, draws]``, expected scores, in the unit of the scores.
        noise: ``[targets, arms, draws]``, variance between seeds, in the squared unit of the scores.
        unit: ``[targets]``, the spread of each target's scores that the model works in.
    """

    theta: FloatArray
    noise: FloatArray
    unit: FloatArray

    @property
    def sigma(self) -> FloatArray:
        """``[targets, arms]``, noise between seeds, as the root of its mean variance, in the unit of the scores."""
        return np.asarray(np.sqrt(self.noise.mean(axis=2)))


def joint_posterior(
    scores: FloatArray,
    prior: FloatArray | None = None,
    *,
    stream: str = "",
    burn: int = BURN,
    draws: int = DRAWS,
    each: int = 1,
) -> JointPosterior:
    """The posterior of all targets together.

    Args:
        scores: ``[targets, arms, seeds]``, nan where a run is missing or has failed.
        prior: ``[targets, arms]``, standardised expectations from elsewhere, 0 where unknown; None: there are none.
        stream: Fixes the random numbers, together with the scores.
        burn: Sweeps before the first draw.
        draws: Sweeps that are kept.
        each: Draws of the scores from each of these, given all else; so there are ``draws * each``.

    Raises:
        UserError: Wrong shapes, or no draws.
    """
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 3 or (prior is not None and prior.shape != scores.shape[:2]):
        raise UserError("joint_posterior takes scores[targets, arms, seeds] and prior[targets, arms]")
    if min(draws, each) < 1 or burn < 0:
        raise UserError(f"joint_posterior takes at least 1 draw after at least 0 sweeps, not {draws} after {burn}")
    seen = [None if np.isnan(score) else round(score, 12) for score in scores.ravel().tolist()]
    rng = generator("joint", stream, scores.shape, seen, None if prior is None else prior.round(12).tolist())
    sampler = _Gibbs(scores, prior, rng)
    for _ in range(burn):
        sampler.sweep()
    theta = np.empty((*scores.shape[:2], draws * each))
    variance = np.empty((*scores.shape[:2], draws))
    for number in range(draws):
        sampler.sweep()
        theta[:, :, number * each] = sampler.theta
        if each > 1:
            theta[:, :, number * each + 1 : (number + 1) * each] = sampler.more_scores(each - 1)
        variance[:, :, number] = sampler.sigma2
    scale = sampler.unit[:, None, None]
    theta = theta * scale + sampler.middle[:, None, None]
    return JointPosterior(theta, np.repeat(variance, each, axis=2) * scale**2, sampler.unit)


def units(scores: FloatArray) -> tuple[FloatArray, FloatArray]:
    """``[targets]`` each: median of a target's scores, and their spread by 1.4826 times the median absolute deviation.

    Collapsed runs must not set the spread. Where the robust spread is under a tenth of the standard deviation (most
    scores are equal), it is the standard deviation; where that is 0 or unknown, the median spread of the others.
    """
    flat = scores.reshape(len(scores), -1)
    middle, spread = np.zeros(len(flat)), np.full(len(flat), np.nan)
    for target, row in enumerate(flat):
        known = row[~np.isnan(row)]
        if len(known) == 0:
            continue
        middle[target] = np.median(known)
        if len(known) > 1:
            mad, deviation = 1.4826 * float(np.median(np.abs(known - middle[target]))), float(known.std(ddof=1))
            spread[target] = mad if mad > 0.1 * deviation else deviation
    spread[~(spread > 0)] = np.nan
    usual = 1.0 if np.isnan(spread).all() else float(np.nanmedian(spread))
    return middle, np.where(np.isnan(spread), usual, spread)


class _Gibbs:
    """The state of the sampler, in units of each target's spread."""

    def __init__(self, scores: FloatArray, prior: FloatArray | None, rng: np.random.Generator) -> None:
        self.rng = rng
        self.middle, self.unit = units(scores)
        self.known: BoolArray = ~np.isnan(scores)
        self.z = np.where(self.known, (scores - self.middle[:, None, None]) / self.unit[:, None, None], 0.0)
        targets, arms = scores.shape[:2]
        self.shape = (targets, arms)
        self.runs = self.known.sum(axis=2).astype(np.float64)
        self.repeated = self.runs > 1
        # One factor beside a prior, two without: more changed nothing that could be measured.
        self.given = np.zeros((targets, arms, 0)) if prior is None else prior[:, :, None].astype(np.float64)
        self.n_given, self.n_factors = self.given.shape[2], 1 if prior is not None else 2
        slopes = self.n_given + self.n_factors
        self.level = np.zeros(targets)  # mu
        self.slopes = np.full((targets, slopes), _SLOPE_MEAN)  # beta, lambda
        self.slope_mean, self.slope_variance = np.full(slopes, _SLOPE_MEAN), np.full(slopes, 0.1)  # m, s2
        self.factors = 0.5 * rng.standard_normal((arms, self.n_factors))  # f
        self.psi2 = np.full(targets, 0.3)
        self.wide = np.ones(self.shape)  # 1, or 16 for an arm that stands out
        self.sigma2 = np.full(self.shape, 0.3)
        self.tau, self.tau_rate, self.degrees = np.full(targets, 0.3), 10.0, 6.0
        self.collapsed_share = 0.03  # pi
        self.theta, self.expected, self.root = (np.zeros(self.shape) for _ in range(3))
        self._weigh(np.zeros(scores.shape, dtype=bool))

    def sweep(self) -> None:
        """One draw of everything from its conditional distribution."""
        noise = self.sigma2 / np.maximum(self.weight, 1e-12)
        precision = np.where(self.weight > 0, 1 / (self.psi2[:, None] * self.wide + noise), 0.0)
        self._draw_factors(precision)
        fit = self._draw_lines(precision)
        self._draw_deviations(fit, noise)
        self._draw_noise()
        self._draw_slope_prior()
        self._draw_collapsed()

    def more_scores(self, number: int) -> FloatArray:
        """``[targets, arms, number]``, further draws of the scores, given all else that the sweep drew."""
        noise = self.rng.standard_normal((*self.shape, number))
        return np.asarray(self.expected[:, :, None] + noise / self.root[:, :, None])

    def _weigh(self, collapsed: BoolArray) -> None:
        """Sufficient statistics of each cell, where collapsed runs count little."""
        weights = self.known * np.where(collapsed, _COLLAPSED, 1.0)
        self.weight = weights.sum(axis=2)
        self.mean = (weights * self.z).sum(axis=2) / np.maximum(self.weight, 1e-12)
        self.squares = (weights * (self.z - self.mean[:, :, None]) ** 2).sum(axis=2)

    def _draw_factors(self, precision: FloatArray) -> None:
        slopes, loads = self.slopes[:, : self.n_given], self.slopes[:, self.n_given :]
        rest = self.mean - self.level[:, None] - (self.given * slopes[:, None, :]).sum(axis=2)
        matrix = np.eye(self.n_factors) + np.einsum("ta,tk,tl->akl", precision, loads, loads)
        self.factors = _normals(self.rng, matrix, (precision * rest).T @ loads)

    def _draw_lines(self, precision: FloatArray) -> FloatArray:
        """Each target's level and slopes; returns ``[targets, arms]`` what they say."""
        targets, arms = self.shape
        factors = np.broadcast_to(self.factors, (targets, arms, self.n_factors))
        design = np.concatenate([np.ones((targets, arms, 1)), self.given, factors], axis=2)
        prior_precision = np.concatenate([[1e-2], 1 / self.slope_variance])
        prior_mean = np.concatenate([[0.0], self.slope_mean])
        weighted = design * precision[:, :, None]
        matrix = weighted.transpose(0, 2, 1) @ design + np.diag(prior_precision)
        drawn = _normals(
            self.rng, matrix, (weighted * self.mean[:, :, None]).sum(axis=1) + prior_precision * prior_mean
        )
        self.level, self.slopes = drawn[:, 0], drawn[:, 1:]
        return np.asarray((design * drawn[:, None, :]).sum(axis=2))

    def _draw_deviations(self, fit: FloatArray, noise: FloatArray) -> None:
        """What is an arm's own on a target, and so its score; then the scale of that on each target."""
        seen = self.weight > 0
        psi2 = self.psi2[:, None]
        rest = self.mean - fit
        narrow = np.log1p(-_WIDE_SHARE) + _log_normal(rest, psi2 + noise)
        wide = np.log(_WIDE_SHARE) + _log_normal(rest, _WIDE_VARIANCE * psi2 + noise)
        share = np.where(seen, _logistic(wide - narrow), _WIDE_SHARE)
        self.wide = np.where(self.rng.random(self.shape) < share, _WIDE_VARIANCE, 1.0)
        precision = 1 / (psi2 * self.wide) + self.weight / self.sigma2
        expected = self.weight / self.sigma2 * rest / precision
        self.expected, self.root = fit + expected, np.sqrt(precision)
        own = expected + self.rng.standard_normal(self.shape) / self.root
        self.theta = fit + own
        squares = (own**2 / self.wide * seen).sum(axis=1)
        drawn = (_PSI_SCALE + squares / 2) / self.rng.standard_gamma(_PSI_SHAPE + seen.sum(axis=1) / 2)
        self.psi2 = np.clip(drawn, _SMALLEST, _LARGEST)

    def _draw_noise(self) -> None:
        """The variance of each cell between seeds, those of the targets, and how far cells differ from these."""
        half = self.degrees / 2
        squares = self.squares + self.weight * (self.mean - self.theta) ** 2
        drawn = (half * self.tau[:, None] + squares / 2) / self.rng.standard_gamma(half + self.runs / 2)
        self.sigma2 = np.clip(drawn, _SMALLEST, _LARGEST)
        inverse = np.where(self.repeated, 1 / self.sigma2, 0.0)
        shape = _TAU_SHAPE + half * self.repeated.sum(axis=1)
        rate = self.tau_rate + half * inverse.sum(axis=1)
        self.tau = np.clip(self.rng.standard_gamma(shape) / rate, _SMALLEST, _LARGEST)
        total = float(self.tau.sum())
        self.tau_rate = float(self.rng.standard_gamma(2 + len(self.tau) * _TAU_SHAPE)) / (0.2 + total)
        halves = _DEGREES / 2
        # Log density of the repeated cells' variances, of which only sums are needed.
        tau = np.broadcast_to(self.tau[:, None], self.shape)[self.repeated]
        variance = self.sigma2[self.repeated]
        ratio, logs = float((tau / variance).sum()), float(np.log(tau / variance).sum())
        density = len(tau) * (halves * np.log(halves) - _LOG_GAMMAS) + halves * (logs - ratio)
        self.degrees = float(_DEGREES[(density + self.rng.gumbel(size=len(halves))).argmax()])

    def _draw_slope_prior(self) -> None:
        """Mean and variance over targets of each slope; the mean is 0 for all factors but the first."""
        targets, slopes = self.slopes.shape
        variance = 1 / (targets / self.slope_variance + _SLOPE_PRECISION)
        mean = variance * (self.slopes.sum(axis=0) / self.slope_variance + _SLOPE_PRECISION * _SLOPE_MEAN)
        self.slope_mean = mean + np.sqrt(variance) * self.rng.standard_normal(slopes)
        self.slope_mean[self.n_given + 1 :] = 0.0
        squares = ((self.slopes - self.slope_mean) ** 2).sum(axis=0)
        self.slope_variance = (0.1 + squares / 2) / self.rng.standard_gamma(2 + targets / 2, slopes)

    def _draw_collapsed(self) -> None:
        """Which runs lie so far below their arm that they say little of it."""
        rest = self.z - self.theta[:, :, None]
        squares = rest**2 / self.sigma2[:, :, None]
        far = np.log(2 * self.collapsed_share) + np.log(_COLLAPSED) / 2 - squares * _COLLAPSED / 2
        near = np.log1p(-self.collapsed_share) - squares / 2
        share = np.where(self.known & (rest < 0), _logistic(far - near), 0.0)
        collapsed = self.rng.random(rest.shape) < share
        number, runs = int(collapsed.sum()), int(self.known.sum())
        self.collapsed_share = float(self.rng.beta(1 + number, 30 + runs - number))
        self._weigh(collapsed)


def _normals(rng: np.random.Generator, precision: FloatArray, shift: FloatArray) -> FloatArray:
    """A draw of N(precision^-1 shift, precision^-1) for each of ``precision[n, d, d]`` and ``shift[n, d]``."""
    lower = np.linalg.cholesky(precision)
    mean = np.linalg.solve(precision, shift[..., None])
    noise = np.linalg.solve(lower.transpose(0, 2, 1), rng.standard_normal(shift.shape)[..., None])
    return np.asarray((mean + noise)[..., 0])


def _log_normal(rest: FloatArray, variance: FloatArray) -> FloatArray:
    return np.asarray(-(np.log(variance) + rest**2 / variance) / 2)


def _logistic(log_odds: FloatArray) -> FloatArray:
    return np.asarray(1 / (1 + np.exp(-np.clip(log_odds, -50.0, 50.0))))


def prior_features(
    earlier: Sequence[EarlierScores], targets: Sequence[str], arms: Sequence[str]
) -> tuple[FloatArray, BoolArray]:
    """What earlier studies expect of each target and arm, for `joint_posterior`, matched by name.

    In each study, each arm's mean is taken relative to the target's, shrunk by its noise (empirical Bayes: B = t^2 /
    (t^2 + s^2 / n)) and divided by the spread t of the arms' true scores; so a target on which the arms cannot be told
    apart says little. Studies are averaged over those that know the cell.

    Args:
        earlier: Of each study, the scores of its finished runs.

    Returns:
        ``[targets, arms]`` each: the features, 0 where no study knows the cell, and whether one does.
    """
    total, number = np.zeros((len(targets), len(arms))), np.zeros((len(targets), len(arms)))
    places = {arm: place for place, arm in enumerate(arms)}
    for study in earlier:
        for row, target in enumerate(targets):
            for arm, value in _standings(study.get(target, {})).items():
                if arm in places:
                    total[row, places[arm]] += value
                    number[row, places[arm]] += 1
    return total / np.maximum(number, 1), number > 0


def _standings(scores: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """The shrunk, standardised standing of each arm on one target."""
    runs = {arm: np.asarray(values, dtype=np.float64) for arm, values in scores.items() if len(values)}
    if len(runs) < 3:
        return {}
    counts = np.array([len(values) for values in runs.values()])
    means = np.array([values.mean() for values in runs.values()])
    # A collapsed arm must not set the scale, nor a collapsed run the noise.
    repeats = [values for values in runs.values() if len(values) > 1]
    noise2 = float(np.median([values.var(ddof=1) / _median_of_mean(len(values) - 1) for values in repeats] or [np.nan]))
    middle, spread = units(means[None, :, None])
    unit2 = float(spread[0]) ** 2
    if np.isnan(noise2):
        noise2 = unit2 / 2  # a single run of each arm: half of what is seen is taken for noise
    true2 = max(unit2 - noise2 * float((1 / counts).mean()), 0.05 * unit2)
    standings = np.sqrt(true2) * (means - middle[0]) / (true2 + noise2 / counts)
    return dict(zip(runs, np.clip(standings, -_CLIP, _CLIP).tolist(), strict=True))


def _median_of_mean(degrees: int) -> float:
    """The median of a sample variance as a share of its mean, by Wilson and Hilferty (1931)."""
    return (1 - 2 / (9 * degrees)) ** 3
