"""Probability distributions: samples, log-probabilities, entropies, and Kullback-Leibler divergences.

Source: https://docs.pytorch.org/docs/stable/distributions.html
"""

from minigrad.distributions.discrete import Bernoulli, Categorical
from minigrad.distributions.distribution import Distribution, Independent
from minigrad.distributions.kl import kl_divergence
from minigrad.distributions.normal import Normal

__all__ = ["Bernoulli", "Categorical", "Distribution", "Independent", "Normal", "kl_divergence"]
